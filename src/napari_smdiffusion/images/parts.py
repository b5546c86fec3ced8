"""Recognition of a part of an image, wherever it was cut, and of the whole image by a part of it.

An image is marked by hashes of small windows, chosen by their content. A crop has the same windows at the same content,
and so the marks of these windows. A window is described by which neighbouring pixels are brighter, so that
contrast, offset and the number type of a copy do not matter.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .patches import SYMMETRIES, symmetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..base.arrays import Pixels

_DOUBLINGS = 4
_WINDOW = 2**_DOUBLINGS  # pixels
_MOST = 2048  # marks of an image
_EVERY = 1024  # pixels of an image for each mark
_LEAST = 32  # marks of a small image
_STRUCTURE = _WINDOW**2 // 4  # pixels of a window that differ from a neighbour; fewer may look alike by chance
_STRIP = 512  # rows that are hashed at once
_TURNED = 8  # planes that are searched in all symmetries; the others as they are
_RECORD = np.dtype([("hash", "<u8"), ("plane", "<u2"), ("y", "<u2"), ("x", "<u2")])
_LOW = np.uint64(2**16 - 1)
_LARGEST = 2**16  # planes and pixels along a side that a record can state

_Hashes = npt.NDArray[np.uint64]
_Records = npt.NDArray[Any]

# Odd numbers without a pattern: one for each comparison of a pixel with its two neighbours, and for rows and columns.
_CODES = np.random.Generator(np.random.PCG64(1)).integers(0, 2**63, 9, np.uint64) * np.uint64(2) + np.uint64(1)
_ROW, _COLUMN = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


def marks_of(pixels: Pixels) -> str:
    """Return the marks of an image (N, Y, X) as text; "" if it has too little structure."""
    wanted = int(np.clip(pixels.size // _EVERY, _LEAST, _MOST))
    plane_records = [_plane_records(plane, index) for index, plane in enumerate(pixels[:_LARGEST])]
    records = np.concatenate(plane_records) if plane_records else np.empty(0, _RECORD)
    # A window that occurs twice does not identify the place of a part.
    _, first, counts = np.unique(records["hash"], return_index=True, return_counts=True)
    chosen = records[first[counts == 1]][:wanted]  # `unique` sorts: the smallest hashes, which a part has too
    return base64.b64encode(chosen.tobytes()).decode("ascii")


def fewer_marks(marks: str, count: int) -> str:
    """Return at most `count` of the marks of an image."""
    return base64.b64encode(_records(marks)[:count].tobytes()).decode("ascii")


def shared_parts(pixels: Pixels, marks: Sequence[str]) -> set[int]:
    """Return the indices of the marked images that an image (N, Y, X) shares a part with.

    The image may be a part of a marked one or contain a part of it, in any of the 8 symmetries of the square. A part
    of 200 pixels along each side is found as a rule, and a smaller one often.
    """
    found: set[int] = set()
    records = [_records(text) for text in marks]
    if not any(map(len, records)):
        return found
    for k in SYMMETRIES:
        for plane in pixels if k == 0 else pixels[:_TURNED]:
            found |= {index for index, *_ in _places_in_plane(np.ascontiguousarray(symmetry(plane, k)), records)}
        if found:
            break
    return found


def places_of_part(pixels: Pixels, marks: str) -> set[tuple[int, int]]:
    """Return where in an image (N, Y, X) a marked image may begin: the (row, column) of its first pixel.

    Parts that were turned or mirrored are not found.
    """
    records = [_records(marks)]
    if not len(records[0]):
        return set()
    return {(row, column) for plane in pixels for _, row, column in _places_in_plane(plane, records)}


def _records(marks: str) -> _Records:
    """Return marks as records; none if the text is no list of marks."""
    try:
        data = base64.b64decode(marks, validate=True)
    except (ValueError, binascii.Error):
        return np.empty(0, _RECORD)
    return np.frombuffer(data[: len(data) // _RECORD.itemsize * _RECORD.itemsize], _RECORD)


def _plane_records(plane: Pixels, index: int) -> _Records:
    """Return the records of the windows of a plane that may become marks: those with structure and a small hash."""
    plane = plane[:_LARGEST, :_LARGEST]
    parts = []
    for first, hashes, structure in _hashes(plane):
        y, x = np.nonzero(structure)
        values = hashes[y, x]
        # Many more than are wanted of the whole plane, so that nothing changes but the memory.
        keep = np.argsort(values)[: 4 * _MOST]
        records = np.empty(len(keep), _RECORD)
        records["hash"], records["plane"] = values[keep], index
        records["y"], records["x"] = y[keep] + first, x[keep]
        parts.append(records)
    return np.concatenate(parts) if parts else np.empty(0, _RECORD)


def _places_in_plane(plane: Pixels, marked: Sequence[_Records]) -> set[tuple[int, int, int]]:
    """Return the marked images of which a plane shows two marks at the same displacement.

    Each has its index, and the row and the column of its first pixel in the plane, which may lie outside of it.
    """
    images = np.repeat(np.arange(len(marked)), [len(records) for records in marked])
    records = np.concatenate(list(marked))
    places: dict[tuple[int, int, int, int], list[tuple[int, int]]] = {}
    # Most hashes are sorted out by 16 of their bits, which is far faster than a search for each.
    wanted = np.zeros(2**16, np.bool_)
    wanted[records["hash"] & _LOW] = True
    for first, hashes, _ in _hashes(plane):
        y, x = np.nonzero(wanted[hashes & _LOW])
        same = np.isin(hashes[y, x], records["hash"])
        y, x = y[same], x[same]
        for row, column, value in zip((y + first).tolist(), x.tolist(), hashes[y, x].tolist(), strict=True):
            for index in np.flatnonzero(records["hash"] == value).tolist():
                mark = records[index]
                place = row - int(mark["y"]), column - int(mark["x"])
                places.setdefault((int(images[index]), int(mark["plane"]), *place), []).append((row, column))
    # Windows that overlap may show one and the same spot, which other images have too.
    return {
        (index, row, column)
        for (index, _, row, column), found in places.items()
        if np.ptp(np.array(found), axis=0).max() >= _WINDOW
    }


def _hashes(plane: Pixels) -> Iterator[tuple[int, _Hashes, npt.NDArray[np.bool_]]]:
    """Yield, for each strip, its first row, the hash of the window at each pixel, and whether it shows a structure."""
    height, width = plane.shape[0] - _WINDOW, plane.shape[1] - _WINDOW
    if height <= 0 or width <= 0:
        return
    for first in range(0, height, _STRIP):
        strip = plane[first : min(first + _STRIP, height) + _WINDOW]
        right, below = np.sign(strip[:-1, 1:] - strip[:-1, :-1]), np.sign(strip[1:, :-1] - strip[:-1, :-1])
        codes = (3 * (right + 1) + below + 1).astype(np.intp)
        structure = _window_sums((codes != 4).astype(np.uint64), np.uint64(1), np.uint64(1)) >= _STRUCTURE
        yield first, _mixed(_window_sums(_CODES[codes], _ROW, _COLUMN)), structure


def _window_sums(values: _Hashes, row: np.uint64, column: np.uint64) -> _Hashes:
    """Return Σ row^i column^j v[y + i, x + j] over the window at each pixel (y, x), modulo 2⁶⁴."""
    # Each doubling joins two neighbouring windows into one of twice the side.
    for doubling in range(_DOUBLINGS):
        side = 2**doubling
        values = values[:, :-side] + column * values[:, side:]
        values = values[:-side] + row * values[side:]
        with np.errstate(over="ignore"):
            row, column = row * row, column * column
    return values


def _mixed(hashes: _Hashes) -> _Hashes:
    """Mix the bits of hashes, so that small values are as frequent among all contents (splitmix64)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
