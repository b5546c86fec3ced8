"""TIFF files with pixel size, place and provenance."""

from __future__ import annotations

import gc
import json
import math
import os
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError
from ..base.whole_files import _allocate, atomic_file, check_space, rename_into_place
from .image import Image, read_only
from .provenance import EXPERIMENTAL, Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ..base.arrays import Pixels

TIFF_SUFFIXES = (".tif", ".tiff")
_METADATA_KEY = "napari_smdiffusion"  # key of our own metadata in a TIFF file
_IMAGEJ_MOST = 3.9e9  # bytes: ImageJ's own form ends at 4 GB
_LARGEST_PIXEL = 2e4  # nm; no objective has larger ones: what says so is the resolution of a print
_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3, "mm": 1e6, "cm": 1e7}
_NO_PROVENANCE = Provenance()


class _UnsuitableError(InputError):
    """A TIFF file is whole, but holds nothing that can be worked with here."""


def _read_tiff(path: Path, pixel_size: float | None) -> Image:
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
            facts = _own_metadata(tiff)
            size = pixel_size or facts.get("pixel_size_nm") or _tiff_pixel_size(tiff, path)
    except _UnsuitableError:
        raise
    # tifffile and its codecs raise many kinds of errors on damaged files; to a person they are all the same.
    except Exception as error:
        raise InputError(f"{path} cannot be read as a TIFF image ({error}).") from error
    singles = tuple(i for i, length in enumerate(pixels.shape[:-2]) if length == 1)
    pixels = pixels.squeeze(singles) if pixels.ndim > 2 else pixels
    origin = facts.get("origin_nm", (0.0, 0.0))
    return Image(read_only(pixels), size, (origin[0], origin[1]), str(path), _provenance(facts))


def _own_metadata(tiff: Any) -> dict[str, Any]:
    """Return what `new_tiff` put into the file, or nothing."""
    with suppress(ValueError, TypeError, KeyError):
        text = tiff.imagej_metadata[_METADATA_KEY] if tiff.is_imagej else tiff.pages[0].description
        facts = json.loads(text)
        return facts if isinstance(facts, dict) else {}
    return {}


def _provenance(facts: dict[str, Any]) -> Provenance:
    found = facts.get("provenance")
    return Provenance.from_json(found) if isinstance(found, dict) else Provenance()


@dataclass(frozen=True)
class FileMetadata:
    """What stands in a TIFF file beside its pixels: nothing in any other file.

    `pixel_size` is in nm; where it is not told because the pixels are not square, `problem` says so.
    """

    provenance: Provenance = field(default_factory=Provenance)
    pixel_size: float | None = None
    problem: str = ""


def read_metadata(path: Path) -> FileMetadata:
    """Return what stands in a file beside its pixels."""
    import tifffile

    if path.suffix.lower() not in TIFF_SUFFIXES:
        return FileMetadata()
    try:
        with tifffile.TiffFile(path) as tiff:
            facts = _own_metadata(tiff)
            provenance, size = _provenance(facts), facts.get("pixel_size_nm")
            try:
                return FileMetadata(provenance, size or _tiff_pixel_size(tiff, path))
            except _UnsuitableError as error:
                return FileMetadata(provenance, None, str(error))
    # See `_read_tiff`.
    except Exception:
        return FileMetadata()


def kind_of_file(path: Path) -> str:
    """Return what kind of image is in a file: "experimental", unless this package made it."""
    return read_metadata(path).provenance.kind


def made_by_us(path: Path) -> bool:
    """Tell whether a file is a TIFF that this package generated, simulated, enhanced or mapped."""
    return kind_of_file(path) != EXPERIMENTAL


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


@contextmanager
def new_tiff(
    path: Path,
    shape: tuple[int, int, int],
    pixel_size: float | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    provenance: Provenance = _NO_PROVENANCE,
    dtype: npt.DTypeLike = np.float32,
) -> Iterator[npt.NDArray[Any]]:
    """Open an array (N, Y, X) that is a TIFF file, for images larger than memory.

    The file has the pixel size as ImageJ reads it, and place and provenance; it appears when the block ends well. The
    array stays readable after the block and can then no longer be written to. Windows cannot rename a file that is
    mapped: there, delete the array within the block.
    """
    import tifffile

    kind = np.dtype(dtype)
    options = _tiff_options(shape, kind.itemsize, pixel_size, origin, provenance)
    with atomic_file(path) as temporary:
        check_space(path, shape, itemsize=kind.itemsize)
        pixels: Any = tifffile.memmap(temporary, shape=shape, dtype=kind, **options)
        _allocate(temporary, path)
        try:
            yield pixels
            pixels.flush()
            pixels.flags.writeable = False
        finally:
            # The map ends with the last array that uses it. Closed before, any use of one would be a segmentation
            # fault.
            del pixels
            if os.name == "nt":
                gc.collect()


@dataclass
class GrowingTiff:
    """An array (N, Y, X) in a file, of which the first `finished` planes are kept."""

    pixels: npt.NDArray[Any]
    finished: int = 0


@contextmanager
def growing_tiff(
    path: Path,
    shape: tuple[int, int, int],
    pixel_size: float | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    provenance: Provenance = _NO_PROVENANCE,
) -> Iterator[GrowingTiff]:
    """Do the same as `new_tiff` for work that may be stopped: only the planes that are finished become the file.

    Raises
    ------
    OSError
        If it cannot be written. Where the finished planes alone cannot, the message names the file that holds them.
    """
    whole = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.whole.tif")
    with new_tiff(whole, shape, pixel_size, origin, provenance) as pixels:
        growing = GrowingTiff(pixels)
        del pixels
        yield growing
        del growing.pixels
    if growing.finished == shape[0]:
        rename_into_place(whole, path)
        return
    try:
        _copy_planes(whole, path, growing.finished, pixel_size, origin, provenance)
    except OSError as error:
        raise OSError(f"{error} What is finished, {growing.finished} planes, begins the file {whole}.") from error
    whole.unlink()


def _copy_planes(
    whole: Path,
    path: Path,
    count: int,
    pixel_size: float | None,
    origin: tuple[float, float],
    provenance: Provenance,
) -> None:
    """Write the first `count` planes of a file that `new_tiff` wrote as another one."""
    import tifffile

    source: Any = tifffile.memmap(whole, mode="r")
    source = source.reshape(-1, *source.shape[-2:])
    with new_tiff(path, (count, *source.shape[1:]), pixel_size, origin, provenance) as pixels:
        for k in range(count):
            pixels[k] = source[k]
        del pixels


def _tiff_options(
    shape: tuple[int, int, int],
    itemsize: int,
    pixel_size: float | None,
    origin: tuple[float, float],
    provenance: Provenance,
) -> dict[str, Any]:
    """Return how tifffile writes (N, Y, X) pixels with their pixel size, place and provenance.

    The planes are a plain ImageJ stack. tifffile itself writes only hyperstacks in ImageJ's form, in which every axis
    is time, depth or color, and nobody knows that of N images. A description with the number of images alone opens as
    a stack in ImageJ, and has the axes IYX in tifffile.
    """
    facts = {"pixel_size_nm": pixel_size, "origin_nm": origin, "provenance": provenance.to_json()}
    # Older tifffile reads no line of ImageJ's description that has a second "=", and takes any description in which it
    # finds "shape": for its own.
    text = json.dumps(facts).replace("=", "\\u003d").replace('"shape":', '"\\u0073hape":')
    options: dict[str, Any] = {"description": text, "metadata": None, "photometric": "minisblack"}
    large = itemsize * math.prod(shape) > _IMAGEJ_MOST
    if large:
        options["bigtiff"] = True
    else:
        unit = "unit=um\n" if pixel_size else ""
        options["description"] = f"ImageJ=1.11a\nimages={shape[0]}\n{unit}loop=false\n{_METADATA_KEY}={text}\n"
    if pixel_size:
        # ImageJ counts in its own unit, which is µm here.
        per_unit, unit_tag = (1e7, "CENTIMETER") if large else (1e3, "NONE")
        options |= {"resolution": (per_unit / pixel_size,) * 2, "resolutionunit": unit_tag}
    return options


def write_image(path: str | os.PathLike[str], image: Image, dtype: npt.DTypeLike | None = None) -> None:
    """Write an image as a TIFF (N, Y, X) with its pixel size, place and provenance, whole or not at all.

    Parameters
    ----------
    path
        File to write; it is replaced if it exists.
    image
        Image to write.
    dtype
        Type of the pixels in the file. By default whole numbers are written as uint8 or uint16 where all fit, and
        anything else as float32; the pixels are the same when they are read back.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    shape, kind = (len(image), *image.size), dtype or _exact_type(image.pixels)
    with new_tiff(Path(path), shape, image.pixel_size, image.origin, image.provenance, kind) as pixels:
        for target, plane in zip(pixels, image.pixels, strict=True):
            target[...] = plane
        del pixels, target  # Windows renames no mapped file


def _exact_type(pixels: Pixels) -> npt.DTypeLike:
    """Return the smallest of uint8 and uint16 that holds all of (N, Y, X) `pixels` exactly, or else float32."""
    highest = 0.0
    for plane in pixels:  # plane by plane: the whole may be larger than memory
        highest = max(highest, float(plane.max()))
        if plane.min() < 0 or highest > np.iinfo(np.uint16).max or (plane != np.floor(plane)).any():
            return np.float32
    return np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16
