"""The reader of TIFF files of this package, of ImageJ, of OME and of microscopes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError
from ..base.regular_files import open_regular
from .image import Image, read_only
from .limits import open_tiff
from .readers import READERS, FileMetadata, image_reader
from .tiff import TIFF_SUFFIXES, own_metadata

if TYPE_CHECKING:
    from pathlib import Path

_MAX_PIXEL_SIZE = 2e4  # nm; no objective has larger pixels: a larger value is the resolution of a print
_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3, "mm": 1e6, "cm": 1e7}


class _UnsuitableError(InputError):
    """An intact TIFF file holds no image that this package can use."""


def is_tiff(path: Path) -> bool:
    """Return whether a file begins with the signature of a TIFF or BigTIFF file."""
    with suppress(OSError, InputError), open_regular(path) as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return False


def tiff_metadata(path: Path) -> FileMetadata:
    """Return the metadata of a TIFF file; empty if the file cannot be read."""
    try:
        with open_tiff(path) as tiff:
            metadata = own_metadata(tiff)
            provenance, size = metadata.provenance, metadata.pixel_size
            try:
                return FileMetadata(provenance, size or _tiff_pixel_size(tiff, path))
            except _UnsuitableError as error:
                return FileMetadata(provenance, None, str(error))
    # tifffile and its codecs raise many kinds of errors for damaged files.
    except Exception:
        return FileMetadata()


@READERS.register("TIFF")
@image_reader(*TIFF_SUFFIXES, metadata=tiff_metadata, supports=is_tiff, in_napari=False)
def read_tiff(path: Path, pixel_size: float | None) -> Image:
    """Read a TIFF file with one plane or a stack, of 8, 16 or 32 bits or float; `pixel_size` in nm replaces its own."""
    try:
        with open_tiff(path) as tiff:
            first, *others = tiff.series
            if "S" in first.axes and first.shape[first.axes.index("S")] > 1:
                raise _UnsuitableError(f"{path} is a color (RGB) image: convert it to grayscale first.")
            # Planes that were written one by one are a series each, as are stage positions. Previews are skipped.
            others = [series for series in others if not series.keyframe.is_reduced]
            if any((series.shape, series.dtype) != (first.shape, first.dtype) for series in others):
                raise _UnsuitableError(
                    f"{path} holds {1 + len(others)} images of different sizes or types: save each as a separate file."
                )
            if any(series.is_multifile or None in series.pages for series in (first, *others)):
                # One file of a multi-file set: only its own planes are read, since the other files may be missing.
                pixels = np.stack([page.asarray() for page in tiff.pages])
            else:
                pixels = np.stack([series.asarray() for series in (first, *others)]) if others else first.asarray()
            metadata = own_metadata(tiff)
            size = pixel_size or metadata.pixel_size or _tiff_pixel_size(tiff, path)
    except InputError:
        raise
    # tifffile and its codecs raise many kinds of errors for damaged files; the user needs the same message for all.
    except Exception as error:
        raise InputError(f"{path} cannot be read as a TIFF image ({error}).") from error
    single_axes = tuple(axis for axis, length in enumerate(pixels.shape[:-2]) if length == 1)
    pixels = pixels.squeeze(single_axes) if pixels.ndim > 2 else pixels
    return Image(read_only(pixels), size, metadata.origin, str(path), metadata.provenance)


def _tiff_pixel_size(tiff: Any, path: Path) -> float | None:
    """Return the pixel size in nm from OME-XML, ImageJ metadata or the resolution tags; None if there is none.

    Raises
    ------
    _UnsuitableError
        If the pixels are not square.
    """
    sides = [size for size in (_tiff_pixel_side(tiff, axis) for axis in "YX") if size and size <= _MAX_PIXEL_SIZE]
    if len(sides) == 2 and abs(sides[0] / sides[1] - 1) > 0.01:
        raise _UnsuitableError(
            f"{path} has pixels of {sides[0]:.4g} by {sides[1]:.4g} nm: resample it to square ones first."
        )
    return sides[-1] if sides else None


def _tiff_pixel_side(tiff: Any, axis: str) -> float | None:
    """Return the side of a pixel along `axis` ("Y" or "X") in nm; None if the file states none."""
    if tiff.is_ome:
        from xml.etree import ElementTree

        with suppress(ElementTree.ParseError, ValueError, KeyError):
            for element in ElementTree.fromstring(tiff.ome_metadata).iter():
                if element.tag.endswith("}Pixels") and f"PhysicalSize{axis}" in element.attrib:
                    unit = element.attrib.get(f"PhysicalSize{axis}Unit", "µm")
                    return float(element.attrib[f"PhysicalSize{axis}"]) * _NM[unit]
        return None
    tags = tiff.pages[0].tags
    if f"{axis}Resolution" not in tags:
        return None
    numerator, denominator = tags[f"{axis}Resolution"].value
    if not numerator or not denominator:
        return None
    if tiff.is_imagej:
        unit = str((tiff.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
        return _NM[unit] * denominator / numerator if unit in _NM else None
    # Microscopes write centimetres. Inches come from a printer's setting (72 dpi).
    centimetres = "ResolutionUnit" in tags and tags["ResolutionUnit"].value == 3
    return 1e7 * denominator / numerator if centimetres else None
