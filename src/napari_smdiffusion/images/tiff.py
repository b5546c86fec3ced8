"""TIFF files as this package writes them: with pixel size, place and provenance."""

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

from ..base.json_values import read_json
from ..base.whole_files import _allocate, atomic_file, check_space, rename_into_place
from .provenance import EXPERIMENTAL, Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ..base.arrays import Pixels
    from .image import Image

TIFF_SUFFIXES = (".tif", ".tiff")
_METADATA_KEY = "napari_smdiffusion"  # key of our own metadata in a TIFF file
_IMAGEJ_MOST = 3.9e9  # bytes: ImageJ's own form ends at 4 GB
_NO_PROVENANCE = Provenance()


@dataclass(frozen=True)
class OwnMetadata:
    """What `new_tiff` writes into a file beside the pixels.

    Parameters
    ----------
    pixel_size
        In nm; None where it is not known.
    origin
        (y, x) of the corner of the first pixel, in nm.
    provenance
        Where the image came from.
    """

    pixel_size: float | None = None
    origin: tuple[float, float] = (0.0, 0.0)
    provenance: Provenance = field(default_factory=Provenance)

    def to_json(self) -> dict[str, Any]:
        """Return what the description of the file holds."""
        return {
            "pixel_size_nm": self.pixel_size,
            "origin_nm": self.origin,
            "provenance": self.provenance.to_json(),
        }


def own_metadata(tiff: Any) -> OwnMetadata:
    """Return what `new_tiff` put into the file, or nothing; values of another type are left out."""
    # Any program may have written the description.
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        text = tiff.imagej_metadata[_METADATA_KEY] if tiff.is_imagej else tiff.pages[0].description
        facts = read_json(text)
        if isinstance(facts, dict):
            found = facts.get("provenance")
            provenance = Provenance.from_json(found) if isinstance(found, dict) else Provenance()
            return OwnMetadata(_positive(facts.get("pixel_size_nm")), _corner(facts.get("origin_nm")), provenance)
    return OwnMetadata()


def _positive(value: Any) -> float | None:
    return float(value) if _is_number(value) and value > 0 else None


def _corner(value: Any) -> tuple[float, float]:
    if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
        return float(value[0]), float(value[1])
    return 0.0, 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def made_by_us(path: Path) -> bool:
    """Return whether a file is a TIFF that this package generated, simulated, enhanced or mapped."""
    import tifffile

    # A file that is damaged, or no TIFF, raises one of many kinds of errors.
    with suppress(Exception), tifffile.TiffFile(path) as tiff:
        return own_metadata(tiff).provenance.kind != EXPERIMENTAL
    return False


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
    # Older tifffile reads no line of ImageJ's description that has a second "=", and takes any description in which it
    # finds "shape": for its own.
    text = (
        json.dumps(OwnMetadata(pixel_size, origin, provenance).to_json())
        .replace("=", "\\u003d")
        .replace('"shape":', '"\\u0073hape":')
    )
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
