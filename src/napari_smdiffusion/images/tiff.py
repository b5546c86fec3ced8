"""TIFF files of this package, with pixel size, origin and provenance."""

from __future__ import annotations

import gc
import json
import math
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import UserError
from ..base.folders import user_path
from ..base.json_values import read_json
from ..base.printable import printable
from ..base.whole_files import FULL, allocate, atomic_file, check_space, other_places
from .axes import DEPTH, TIME, Axis, axes_from_json, axes_to_json, fitting_axes, reordered
from .limits import open_tiff
from .provenance import EXPERIMENTAL, Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ..base.arrays import Pixels
    from .image import Image

TIFF_SUFFIXES = (".tif", ".tiff")
_METADATA_KEY = "napari_smdiffusion"  # key of this package's metadata in a TIFF file
_IMAGEJ_MAX_BYTES = 3.9e9  # ImageJ's own form ends at 4 GB
_SMALLEST, _LARGEST = 1e-3, 1e6  # nm; of a pixel in a file of this program
_FARTHEST = 1e12  # nm; the largest coordinate
_NO_PROVENANCE = Provenance()


@dataclass(frozen=True)
class OwnMetadata:
    """The metadata that `new_tiff` writes into a file.

    Parameters
    ----------
    pixel_size
        Side of a pixel in nm, or None if it is unknown.
    origin
        (y, x) of the upper left corner of the first pixel, in nm.
    provenance
        Source of the image.
    axes
        Axes before Y and X; () for planes of one kind.
    problems
        Clauses on values of another type or range in the file, which are not used.
    """

    pixel_size: float | None = None
    origin: tuple[float, float] = (0.0, 0.0)
    provenance: Provenance = field(default_factory=Provenance)
    axes: tuple[Axis, ...] = ()
    problems: tuple[str, ...] = field(default=(), compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the metadata in the form that the description of the file holds."""
        return {
            "pixel_size_nm": self.pixel_size,
            "origin_nm": self.origin,
            "provenance": self.provenance.to_json(),
            **({"axes": axes_to_json(self.axes)} if self.axes else {}),
        }


def own_metadata(tiff: Any) -> OwnMetadata:
    """Return the metadata that `new_tiff` wrote into an open TIFF file; unsuitable values are left out (`problems`)."""
    # Any program may have written the description, so every kind of text is possible.
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        text = tiff.imagej_metadata[_METADATA_KEY] if tiff.is_imagej else tiff.pages[0].description
        values = read_json(text)
        if isinstance(values, dict):
            return checked_metadata(values)
    return OwnMetadata()


def checked_metadata(values: dict[str, Any]) -> OwnMetadata:
    """Return the metadata of a file or a store, and the reasons for those that are left out."""
    size, corner, stated = (values.get(key) for key in ("pixel_size_nm", "origin_nm", "provenance"))
    right = (
        ("pixel_size_nm", size, size is None or (_is_number(size) and _SMALLEST <= size <= _LARGEST)),
        ("origin_nm", corner, isinstance(corner, list) and len(corner) == 2 and all(map(_is_number, corner))),
        ("provenance", stated, isinstance(stated, dict)),
    )
    wrong = {key: value for key, value, is_right in right if key in values and not is_right}
    return OwnMetadata(
        None if size is None or "pixel_size_nm" in wrong else float(size),
        (0.0, 0.0) if corner is None or "origin_nm" in wrong else (float(corner[0]), float(corner[1])),
        Provenance() if stated is None or "provenance" in wrong else Provenance.from_json(stated),
        axes_from_json(values.get("axes")),
        tuple(f"{key} {printable(json.dumps(value), 40)}" for key, value in wrong.items()),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _FARTHEST


def made_by_us(path: Path) -> bool:
    """Return whether a file is a TIFF that this package wrote with a kind other than "experimental"."""
    # tifffile raises many kinds of errors for damaged files and files of other formats.
    with suppress(Exception), open_tiff(path) as tiff:
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
    axes: Sequence[Axis] = (),
) -> Iterator[npt.NDArray[Any]]:
    """Open an (N, Y, X) array that is mapped to a new TIFF file, for images larger than memory.

    The file appears when the block ends without an error. After the block the array is read-only. Windows cannot
    rename a mapped file, so delete the array within the block.

    Parameters
    ----------
    path
        File to write; it is replaced if it exists.
    shape
        (N, Y, X) in pixels.
    pixel_size
        Side of a pixel in nm, or None if it is unknown. ImageJ reads it too.
    origin
        (y, x) of the upper left corner in nm.
    provenance
        Source of the image.
    dtype
        Type of the pixels in the file.
    axes
        Axes before Y and X, with N planes in all: times before depths. () for planes of one kind. ImageJ reads them.

    Raises
    ------
    OSError
        If the file cannot be written, or the disk has too little space.
    """
    metadata: dict[str, Any] = {
        "pixel_size": pixel_size,
        "origin": origin,
        "provenance": provenance,
        "dtype": dtype,
        "axes": axes,
    }
    with atomic_file(path) as temporary:
        pixels: Any = mapped_file(temporary, path, shape, **metadata)
        try:
            yield pixels
            pixels.flush()
            pixels.flags.writeable = False
            if not temporary.exists():
                write_again(pixels, temporary, path, **metadata)
        finally:
            # The map is closed with the last array that uses it. Closing it here would turn any later use of an array
            # into a segmentation fault.
            del pixels
            if os.name == "nt":
                gc.collect()


def mapped_file(
    file: Path,
    path: Path,
    shape: tuple[int, int, int],
    pixel_size: float | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    provenance: Provenance = _NO_PROVENANCE,
    dtype: npt.DTypeLike = np.float32,
    axes: Sequence[Axis] = (),
) -> npt.NDArray[Any]:
    """Write a TIFF of zeros to `file`, and return its mapped (N, Y, X) pixels; `path` is its later name, for messages.

    The other parameters are those of `new_tiff`. The space of the whole file is allocated.

    Raises
    ------
    OSError
        If the file cannot be written, or the disk has too little space.
    """
    import tifffile

    pixel_type = np.dtype(dtype)
    metadata = OwnMetadata(pixel_size, origin, provenance, fitting_axes(axes, shape[0]))
    options = _tiff_options(shape, pixel_type.itemsize, metadata)
    check_space(path, shape, itemsize=pixel_type.itemsize)
    pixels: Any = tifffile.memmap(file, shape=shape, dtype=pixel_type, **options)
    allocate(file, path, file.stat().st_size)
    return pixels  # type: ignore[no-any-return]  # tifffile is untyped


def restate(
    file: Path,
    shape: tuple[int, int, int],
    pixel_size: float | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    provenance: Provenance = _NO_PROVENANCE,
    axes: Sequence[Axis] = (),
) -> None:
    """Replace the metadata in a file of `mapped_file` with float32 pixels; the pixels are neither read nor moved."""
    import tifffile

    metadata = OwnMetadata(pixel_size, origin, provenance, fitting_axes(axes, shape[0]))
    description = _tiff_options(shape, 4, metadata)["description"].encode()
    _check_room_behind(file, len(description) + 2)
    tifffile.tiffcomment(file, description)


def _check_room_behind(file: Path, count: int) -> None:
    """Raise an OSError unless a file can grow by `count` bytes: a full disk would leave half of them in it."""
    if not hasattr(os, "posix_fallocate"):
        return
    with file.open("r+b") as opened:
        size = opened.seek(0, os.SEEK_END)
        try:
            os.posix_fallocate(opened.fileno(), size, count)
        except OSError as error:
            if error.errno in FULL:  # other systems cannot tell
                raise
        finally:
            opened.truncate(size)


def write_again(pixels: npt.NDArray[Any], file: Path, path: Path, **metadata: Any) -> None:
    """Write complete pixels again whose file was removed while it was mapped, for example with its folder.

    Parameters
    ----------
    pixels
        (N, Y, X); the system keeps them until the map is closed.
    file, path
        The file that was removed, which is made again, and its later name.
    **metadata
        See `mapped_file`.

    Raises
    ------
    OSError
        If `file` cannot be made again. The message names the file that holds the pixels, if any could be written.
    """
    for place in (file, *other_places(path)):
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            again: Any = mapped_file(place, path, pixels.shape, **metadata)
            for target, plane in zip(again, pixels, strict=True):
                target[...] = plane
            again.flush()
            if place != file:
                raise ResultElsewhereError(
                    f"{path} cannot be written (its folder was removed or replaced meanwhile). The result is in "
                    f"{place}."
                )
            return
    raise OSError(f"{path} is lost, because its folder was removed and no other place can be written: run it again.")


class ResultElsewhereError(UserError):
    """A result is complete, but in another file than the user chose; the message names it."""


def copy_planes(source: Path, path: Path, count: int, **metadata: Any) -> None:
    """Write the first `count` planes of a file of `new_tiff` to another file; see `new_tiff` for its metadata."""
    import tifffile

    pixels: Any = tifffile.memmap(source, mode="r")
    pixels = pixels.reshape(-1, *pixels.shape[-2:])
    with new_tiff(path, (count, *pixels.shape[1:]), **metadata) as copy:
        for k in range(count):
            copy[k] = pixels[k]
        del copy


def _tiff_options(shape: tuple[int, int, int], itemsize: int, metadata: OwnMetadata) -> dict[str, Any]:
    """Return tifffile's options to write (N, Y, X) pixels with their metadata.

    Planes of one kind are a plain ImageJ stack. The ImageJ files of tifffile are hyperstacks, in which every axis is
    time, depth or color. The axis of N images is none of these. A description with only the number of images opens as a
    stack in ImageJ, and has the axes IYX in tifffile.
    """
    # Older versions of tifffile skip a line of ImageJ's description with a second "=". They also mistake a description
    # that contains "shape": for their own format.
    text = json.dumps(metadata.to_json()).replace("=", "\\u003d").replace('"shape":', '"\\u0073hape":')
    options: dict[str, Any] = {"description": text, "metadata": None, "photometric": "minisblack"}
    large = itemsize * math.prod(shape) > _IMAGEJ_MAX_BYTES
    if large:
        options["bigtiff"] = True
    else:
        lines = [f"images={shape[0]}", *_imagej_axes(metadata)]
        lines += ["unit=um"] if metadata.pixel_size else []
        options["description"] = "\n".join(["ImageJ=1.11a", *lines, "loop=false", f"{_METADATA_KEY}={text}", ""])
    if metadata.pixel_size:
        # ImageJ's resolution is in pixels per unit, and the unit is µm here.
        per_unit, unit_tag = (1e7, "CENTIMETER") if large else (1e3, "NONE")
        options |= {"resolution": (per_unit / metadata.pixel_size,) * 2, "resolutionunit": unit_tag}
    return options


def _imagej_axes(metadata: OwnMetadata) -> list[str]:
    """Return the lines of ImageJ's description for times and depths, whose planes are in the order of a hyperstack.

    ImageJ has no other axes: with one of them, the planes are a plain stack, and only this package reads the axes.
    """
    steps = {axis.name: axis.step for axis in metadata.axes}
    if list(steps) not in ([TIME], [DEPTH], [TIME, DEPTH]):
        return []
    lines = [f"{'frames' if axis.name == TIME else 'slices'}={axis.length}" for axis in metadata.axes]
    lines += ["hyperstack=true"] if len(steps) > 1 else []
    if interval := steps.get(TIME):
        lines.append(f"finterval={interval:.9g}")
    # ImageJ's unit is that of all lengths, so that it needs the pixel size.
    if metadata.pixel_size and (depth := steps.get(DEPTH)):
        lines.append(f"spacing={depth / 1000:.9g}")
    return lines


def write_image(path: str | os.PathLike[str], image: Image, dtype: npt.DTypeLike | None = None) -> None:
    """Write an image as a TIFF with its axes, pixel size, origin and provenance.

    If writing fails, an existing file stays unchanged.

    Parameters
    ----------
    path
        File to write; it is replaced if it exists.
    image
        Image to write.
    dtype
        Type of the pixels in the file. The default is uint8 or uint16 if it holds every pixel exactly, else float32.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    shape, file_type = (len(image), *image.size), dtype or _exact_type(image.pixels)
    planes, axes = reordered(image.axes, image.pixels)
    with new_tiff(user_path(path), shape, image.pixel_size, image.origin, image.provenance, file_type, axes) as pixels:
        for target, plane in zip(pixels, planes, strict=True):
            target[...] = plane
        del pixels, target  # Windows cannot rename a mapped file


def _exact_type(pixels: Pixels) -> npt.DTypeLike:
    """Return the smaller of uint8 and uint16 that holds all (N, Y, X) `pixels` exactly, or float32 if neither does."""
    highest = 0.0
    for plane in pixels:  # plane by plane, because a mapped image may be larger than memory
        highest = max(highest, float(plane.max()))
        if plane.min() < 0 or highest > np.iinfo(np.uint16).max or (plane != np.floor(plane)).any():
            return np.float32
    return np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16
