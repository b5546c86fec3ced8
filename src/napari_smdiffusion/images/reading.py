"""Reading of images from files and folders."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, InputWarning
from ..base.folders import user_path
from .axes import Channel, fitting_axes
from .image import Image, common_pixel_size, with_own_pixels
from .localizations import WHOLE_DEPTH, ZRange, is_table, render_table
from .pixel_size import check_pixel_size
from .readers import (
    FileMetadata,
    SceneChoice,
    image_suffixes,
    is_folder_of_images,
    is_named_as_image,
    reader_of,
    readers_of_suffix,
)
from .tiff import own_metadata
from .zarr_planes import ZARR_SUFFIXES

if TYPE_CHECKING:
    import os
    from collections.abc import Container, Iterable
    from pathlib import Path


def read_image(
    path: str | os.PathLike[str],
    pixel_size: float | None = None,
    channel: Channel = None,
    *,
    z_range: ZRange = WHOLE_DEPTH,
    scene: SceneChoice = None,
) -> Image:
    """Read a file as an image.

    Parameters
    ----------
    path
        A TIFF file (8-, 16-, 32-bit or float; one plane or a stack), a localization table (.csv, .hdf5), or a file of
        another reader in `READERS`. A localization table is rendered as an image.
    pixel_size
        Pixel size in nm. It replaces the one in the file, and sets the pixels of a rendered table (default 20 nm).
    channel
        Index (the first is 0) or name of the channel, for a file with several.
    z_range
        (lowest, highest) z in nm of the molecules of a localization table that are rendered; None for no bound.
    scene
        Index (the first is 0) or name of the scene, for a file of a microscope (.czi, .nd2, .lif) with several: a
        position of the stage or a series.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    InputError
        If the file cannot be read as a gray image, or holds several channels or scenes and none is chosen. Also if a
        range of z is given and the file is no localization table with z. The message names the file.

    Warns
    -----
    InputWarning
        If a localization table is 3-D and no range of z is given: its image is a projection along z.
        If a TIFF file is incomplete, or states a pixel size that is not understood.
    """
    path = user_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    if pixel_size is not None:
        check_pixel_size(pixel_size, f"The pixel size of {path}")
    if z_range == WHOLE_DEPTH:
        return reader_of(path).image(path, pixel_size, channel, scene)
    if not is_table(path):
        raise InputError(f"{path} is no localization table: leave out the range of z.")
    return render_table(path, pixel_size, z_range)


def read_images(
    paths: Iterable[str | os.PathLike[str]],
    pixel_size: float | None = None,
    left_out: Container[str] = (),
    channel: Channel = None,
) -> list[Image]:
    """Read image files, and all image files in folders.

    Parameters
    ----------
    paths
        Files and folders. The images have this order; the files of a folder are sorted by name.
    pixel_size
        Pixel size in nm for all images; it replaces the ones in the files.
    left_out
        Kinds of provenance. Files of these kinds in folders are skipped: they are results of an earlier run.
    channel
        Index or name of the channel, for files with several.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no image.
    InputError
        If `paths` is empty, a file cannot be read, or two images have different pixel sizes.
    """
    images = [read_image(path, pixel_size, channel) for path in image_files(paths, left_out=left_out)]
    common_pixel_size(images)
    return images


def _is_there(file: Path) -> bool:
    """Return whether a file of a folder exists; a link to nothing is left out with a warning."""
    if file.exists():
        return True
    warnings.warn(f"{file} is a link to a file that is not there: it is left out.", InputWarning, stacklevel=3)
    return False


def image_files(
    paths: Iterable[str | os.PathLike[str]],
    suffixes: tuple[str, ...] = (),
    left_out: Container[str] = (),
) -> list[Path]:
    """Return the files in `paths`, and the image files in the folders in `paths`.

    Parameters
    ----------
    paths
        Files and folders. A file is returned with any suffix.
    suffixes
        Suffixes of the files to return from folders; () for the suffixes of all `READERS`. Hidden files are skipped.
    left_out
        Kinds of provenance. Files of these kinds in folders are skipped.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no such file.
    """
    suffixes = suffixes or image_suffixes()
    files: list[Path] = []
    for path in map(user_path, paths):
        if not path.exists():
            raise FileNotFoundError(f"There is no file {path}.")
        if not is_folder_of_images(path):
            files.append(path)
            continue
        inside = [file for file in sorted(path.iterdir()) if not file.name.startswith(".")]
        images = [file for file in inside if is_named_as_image(file, suffixes) and _is_there(file)]
        if left_out:
            images = [file for file in images if kind_of_file(file) not in left_out]
        if not images:
            results = ", or only results of another run" if left_out else ""
            raise FileNotFoundError(f"The folder {path} holds no file that ends in {', '.join(suffixes)}{results}.")
        files += images
    return files


def read_metadata(path: Path) -> FileMetadata:
    """Return the metadata of a file; empty if no reader has its suffix."""
    for reader in readers_of_suffix(path):
        if (metadata := reader.metadata(path)) != FileMetadata():
            return metadata
    return FileMetadata()


def kind_of_file(path: Path) -> str:
    """Return the kind of provenance of an image file; "experimental" if the file states none."""
    return read_metadata(path).provenance.kind


def mapped_image(path: Path) -> Image:
    """Return the image in a TIFF file or a Zarr store of this package: a part is read from the disk when it is used.

    Returns
    -------
    Image of (N, Y, X) float32 in the byte order of the file, read-only.
    """
    if path.suffix.lower() in ZARR_SUFFIXES:
        from .ome_zarr import lazy_store

        return lazy_store(path)
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        metadata = own_metadata(tiff)
    pixels: Any = tifffile.memmap(path, mode="r")
    if pixels.dtype != np.float32:
        return read_image(path)
    empty = Image(np.zeros((16, 16), np.float32), metadata.pixel_size, metadata.origin, str(path), metadata.provenance)
    pixels = pixels.reshape(-1, *pixels.shape[-2:])
    return with_own_pixels(empty, pixels, axes=fitting_axes(metadata.axes, len(pixels)))
