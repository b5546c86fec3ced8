"""Reading of images from files and folders."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError
from .image import Image, common_pixel_size, with_own_pixels
from .readers import FileMetadata, image_suffixes, reader_of, readers_of_suffix
from .tiff import own_metadata

if TYPE_CHECKING:
    import os
    from collections.abc import Container, Iterable


def read_image(path: str | os.PathLike[str], pixel_size: float | None = None) -> Image:
    """Read a file as an image.

    Parameters
    ----------
    path
        A TIFF (8-, 16-, 32-bit or float; one plane or a stack), a localization table (.csv, .hdf5), which is rendered,
        or a file of another of `READERS`.
    pixel_size
        In nm; replaces the one in the file. A localization table is rendered at it (default 20 nm).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If the file cannot be read as a gray image; the sentence names the file.

    Warns
    -----
    InputWarning
        If a localization table is 3-D: z is not used.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    if pixel_size is not None and not (math.isfinite(pixel_size) and pixel_size > 0):
        raise InputError(f"The pixel size of {path} must be a positive number of nm, not {pixel_size:g}.")
    return reader_of(path).read(path, pixel_size)


def read_images(
    paths: Iterable[str | os.PathLike[str]], pixel_size: float | None = None, left_out: Container[str] = ()
) -> list[Image]:
    """Read files and all image files of folders, in the order given, then by name.

    Files of folders whose kind of provenance is among `left_out` are not read: results of an earlier run.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no image.
    InputError
        If no path was given, a file cannot be read, or two images have different pixel sizes.
    """
    images = [read_image(path, pixel_size) for path in image_files(paths, left_out=left_out)]
    common_pixel_size(images)
    return images


def image_files(
    paths: Iterable[str | os.PathLike[str]],
    suffixes: tuple[str, ...] = (),
    left_out: Container[str] = (),
) -> list[Path]:
    """Return the files named in `paths`, and those of folders that end in one of `suffixes`.

    Hidden files of folders are left out, and those whose kind of provenance is among `left_out`. Without `suffixes`,
    they are those of all `READERS`.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no such file.
    """
    suffixes = suffixes or image_suffixes()
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"There is no file {path}.")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found = [p for p in inside if p == path or (p.suffix.lower() in suffixes and not p.name.startswith("."))]
        if left_out:
            found = [p for p in found if p == path or kind_of_file(p) not in left_out]
        if not found:
            made = ", or only results of another run" if left_out else ""
            raise FileNotFoundError(f"The folder {path} holds no file that ends in {', '.join(suffixes)}{made}.")
        files += found
    return files


def read_metadata(path: Path) -> FileMetadata:
    """Return what a file states beside its pixels: nothing where no reader has its suffix."""
    for reader in readers_of_suffix(path):
        if (metadata := reader.metadata(path)) != FileMetadata():
            return metadata
    return FileMetadata()


def kind_of_file(path: Path) -> str:
    """Return what kind of image is in a file: "experimental", unless this package made it."""
    return read_metadata(path).provenance.kind


def mapped_image(path: Path) -> Image:
    """Return a TIFF file that `new_tiff` wrote, mapped: each plane is read from the disk when it is used.

    Returns
    -------
    Image of (N, Y, X) float32, in the byte order of the file, which cannot be written to.
    """
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        own = own_metadata(tiff)
    pixels: Any = tifffile.memmap(path, mode="r")
    if pixels.dtype != np.float32:
        return read_image(path)
    empty = Image(np.zeros((16, 16), np.float32), own.pixel_size, own.origin, str(path), own.provenance)
    return with_own_pixels(empty, pixels.reshape(-1, *pixels.shape[-2:]))
