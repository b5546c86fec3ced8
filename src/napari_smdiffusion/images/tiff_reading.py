"""The reader of TIFF files: those of this package, of ImageJ, of OME and of microscopes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError
from .image import Image, read_only
from .readers import READERS, FileMetadata, image_reader
from .tiff import TIFF_SUFFIXES, own_metadata

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST_PIXEL = 2e4  # nm; no objective has larger ones: what says so is the resolution of a print
_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3, "mm": 1e6, "cm": 1e7}


class _UnsuitableError(InputError):
    """A TIFF file is whole, but holds nothing that can be worked with here."""


def is_tiff(path: Path) -> bool:
    """Return whether a file begins as a TIFF or BigTIFF file does."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return False


def tiff_metadata(path: Path) -> FileMetadata:
    """Return what a TIFF file states beside its pixels."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            own = own_metadata(tiff)
            provenance, size = own.provenance, own.pixel_size
            try:
                return FileMetadata(provenance, size or _tiff_pixel_size(tiff, path))
            except _UnsuitableError as error:
                return FileMetadata(provenance, None, str(error))
    # See `read_tiff`.
    except Exception:
        return FileMetadata()


@READERS.register("TIFF")
@image_reader(*TIFF_SUFFIXES, metadata=tiff_metadata, supports=is_tiff, in_napari=False)
def read_tiff(path: Path, pixel_size: float | None) -> Image:
    """Read a TIFF file: 8, 16 or 32 bits or float, one plane or a stack."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            first, *others = tiff.series
            if "S" in first.axes and first.shape[first.axes.index("S")] > 1:
                raise _UnsuitableError(f"{path} is a color (RGB) image: convert it to grayscale first.")
            # Planes written one by one and positions of a stage are a series each; small previews are left out.
            others = [one for one in others if not one.keyframe.is_reduced]
            if any((one.shape, one.dtype) != (first.shape, first.dtype) for one in others):
                raise _UnsuitableError(
                    f"{path} holds images of different sizes or kinds, {1 + len(others)} in all: save each as a file "
                    "of its own."
                )
            if any(one.is_multifile or None in one.pages for one in (first, *others)):
                # A file of a set gives its own planes: the others come with theirs, or are not there.
                pixels = np.stack([page.asarray() for page in tiff.pages])
            else:
                pixels = np.stack([one.asarray() for one in (first, *others)]) if others else first.asarray()
            own = own_metadata(tiff)
            size = pixel_size or own.pixel_size or _tiff_pixel_size(tiff, path)
    except _UnsuitableError:
        raise
    # tifffile and its codecs raise many kinds of errors on damaged files; to a person they are all the same.
    except Exception as error:
        raise InputError(f"{path} cannot be read as a TIFF image ({error}).") from error
    singles = tuple(i for i, length in enumerate(pixels.shape[:-2]) if length == 1)
    pixels = pixels.squeeze(singles) if pixels.ndim > 2 else pixels
    return Image(read_only(pixels), size, own.origin, str(path), own.provenance)


def _tiff_pixel_size(tiff: Any, path: Path) -> float | None:
    """Return the pixel size in nm from OME-XML, ImageJ metadata or the resolution tags, or None.

    Raises
    ------
    _UnsuitableError
        If the pixels are not square.
    """
    sides = [size for size in (_tiff_pixel_side(tiff, axis) for axis in "YX") if size and size <= _LARGEST_PIXEL]
    if len(sides) == 2 and abs(sides[0] / sides[1] - 1) > 0.01:
        raise _UnsuitableError(
            f"{path} has pixels of {sides[0]:.4g} by {sides[1]:.4g} nm: resample it to square ones first."
        )
    return sides[-1] if sides else None


def _tiff_pixel_side(tiff: Any, axis: str) -> float | None:
    """Return how large a pixel is along "Y" or "X", in nm."""
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
    # Inches are a printer's setting (72 dpi), not a microscope's; centimetres are what microscopes write.
    centimetres = "ResolutionUnit" in tags and tags["ResolutionUnit"].value == 3
    return 1e7 * denominator / numerator if centimetres else None
