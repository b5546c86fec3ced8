"""Writing of images, as TIFF files or OME-Zarr stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.folders import user_path
from .axes import reordered
from .tiff import write_image as write_tiff
from .zarr_planes import ZARR_SUFFIXES

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from .image import Image


def write_image(path: str | os.PathLike[str], image: Image, dtype: npt.DTypeLike | None = None) -> None:
    """Write an image as a TIFF, or as an OME-Zarr store, with its axes, pixel size, origin and provenance.

    If writing fails, an existing file stays unchanged.

    Parameters
    ----------
    path
        File to write; it is replaced if it exists. A path that ends in .zarr is a store (NGFF 0.5) of float32.
    image
        Image to write.
    dtype
        Type of the pixels in a TIFF. The default is uint8 or uint16 if it holds every pixel exactly, else float32.

    Raises
    ------
    OSError
        If the file cannot be written.
    InputError
        If it is a store, and the package zarr is missing.
    """
    path = user_path(path)
    if path.suffix.lower() not in ZARR_SUFFIXES:
        write_tiff(path, image, dtype)
        return
    from .zarr_results import write_store

    planes, axes = reordered(image.axes, image.pixels)
    write_store(path, planes, image.pixel_size, image.origin, image.provenance, axes)
