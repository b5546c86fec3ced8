"""Reading of images from files and folders."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, InputWarning
from .image import Image, common_pixel_size, read_only, with_own_pixels
from .localizations import TABLE_SUFFIXES, read_table, render, rendered_corner
from .tiff import TIFF_SUFFIXES, _own_metadata, _read_tiff, kind_of_file

if TYPE_CHECKING:
    import os
    from collections.abc import Container, Iterable


def read_image(path: str | os.PathLike[str], pixel_size: float | None = None) -> Image:
    """Read a TIFF file or a localization table.

    Parameters
    ----------
    path
        TIFF (8-, 16-, 32-bit or float; one plane or a stack), or a localization table (.csv, .hdf5), which is rendered.
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
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _rendered(path, pixel_size or 20.0)
    return _read_tiff(path, pixel_size)


def _rendered(path: Path, pixel_size: float) -> Image:
    table = read_table(path)
    if table.depth:
        low, high = table.depth
        sentence = f"{path} is 3-D (z from {low:.4g} to {high:.4g} nm): its image is a projection along z."
        warnings.warn(InputWarning(sentence), stacklevel=3)
    return Image(read_only(render(table, pixel_size)), pixel_size, rendered_corner(table, pixel_size), path.name)


def read_images(
    paths: Iterable[str | os.PathLike[str]], pixel_size: float | None = None, left_out: Container[str] = ()
) -> list[Image]:
    """Read files and all TIFF files and localization tables of folders, in the order given, then by name.

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
    suffixes: tuple[str, ...] = TIFF_SUFFIXES + TABLE_SUFFIXES,
    left_out: Container[str] = (),
) -> list[Path]:
    """Return the files named in `paths`, and those of folders that end in one of `suffixes`; hidden ones are left out.

    So are those of folders whose kind of provenance is among `left_out`.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no such file.
    """
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


def mapped_image(path: Path) -> Image:
    """Return a TIFF file that `new_tiff` wrote, mapped: each plane is read from the disk when it is used.

    Returns
    -------
    Image of (N, Y, X) float32, in the byte order of the file, which cannot be written to.
    """
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        facts = _own_metadata(tiff)
    pixels: Any = tifffile.memmap(path, mode="r")
    if pixels.dtype != np.float32:
        return read_image(path)
    empty = Image(
        np.zeros((16, 16), np.float32), facts["pixel_size_nm"], facts["origin_nm"], str(path), facts["provenance"]
    )
    return with_own_pixels(empty, pixels.reshape(-1, *pixels.shape[-2:]))
