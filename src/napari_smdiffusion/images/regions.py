"""Rectangular regions of images, in pixels: their checks, and the parts of an image inside or outside of them.

A rectangle is (first row, last row + 1, first column, last column + 1), as in a slice: (0, 256, 0, 512) are the rows 0
to 255 and the columns 0 to 511. The first pixel has row 0 and column 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, cast

import numpy as np

from ..base.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

Rectangle: TypeAlias = tuple[int, int, int, int]
Rectangles: TypeAlias = "Rectangle | Sequence[Rectangle]"
Window: TypeAlias = tuple[slice, slice]  # rows and columns of an image, in pixels

LEAST = 16  # pixels along a side of a region
_MOST = 32  # rectangles, so that the division of an image takes no time


class Whole(Protocol):
    """What a part can be cut from: an image, or a layer's source."""

    @property
    def name(self) -> str:
        """Name in messages."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a plane in pixels."""

    def crop(self, y: slice, x: slice) -> Any:
        """Return the rows `y` and the columns `x`."""


WholeT = TypeVar("WholeT", bound=Whole)


def as_rectangles(value: Any, setting: str) -> tuple[Rectangle, ...]:
    """Return one rectangle, or a sequence of them, as a tuple of rectangles.

    Parameters
    ----------
    value
        Four whole numbers, or a sequence of rectangles; () or None for no rectangle.
    setting
        Name of the setting in errors.

    Raises
    ------
    InputError
        If a rectangle is no four whole numbers of at least 0, its sides are below 16 pixels, or there are too many.
    """
    if value is None:
        return ()
    items = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
    if items and all(isinstance(item, (int, np.integer)) for item in items):
        items = [items]
    if len(items) > _MOST:
        raise InputError(f"{setting} has {len(items)} rectangles: give at most {_MOST}.", setting)
    return tuple(_rectangle(item, setting) for item in items)


def one_rectangle(value: Any, setting: str) -> tuple[Rectangle, ...]:
    """Return no rectangle, or one, as a tuple; raises InputError as `as_rectangles`, or for several."""
    rectangles = as_rectangles(value, setting)
    if len(rectangles) > 1:
        raise InputError(f"{setting} has {len(rectangles)} rectangles: give one in each run.", setting)
    return rectangles


def _rectangle(value: Any, setting: str) -> Rectangle:
    numbers = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
    whole = [int(n) for n in numbers if isinstance(n, (int, np.integer)) and not isinstance(n, bool)]
    if len(numbers) != 4 or len(whole) != 4 or min(whole) < 0:
        raise InputError(
            f"{setting} must be first row, last row + 1, first column, last column + 1 in pixels, such as 0, 256, 0, "
            f"512, not {value!r}.",
            setting,
        )
    top, bottom, left, right = whole
    if bottom - top < LEAST or right - left < LEAST:
        raise InputError(
            f"{setting} {top}, {bottom}, {left}, {right} has {bottom - top} rows and {right - left} columns: give at "
            f"least {LEAST} of each.",
            setting,
        )
    return top, bottom, left, right


def window_of(rectangle: Rectangle) -> Window:
    """Return the slices of a rectangle."""
    top, bottom, left, right = rectangle
    return slice(top, bottom), slice(left, right)


def rectangle_of(window: Window) -> Rectangle:
    """Return the rectangle of slices that have a start and a stop."""
    rows, columns = window
    return int(rows.start), int(rows.stop), int(columns.start), int(columns.stop)


def in_words(window: Sequence[int]) -> str:
    """Return a rectangle in words: "rows 0 to 255, columns 0 to 511"; "" for anything else."""
    if len(window) != 4:
        return ""
    top, bottom, left, right = window
    return f"rows {top} to {bottom - 1}, columns {left} to {right - 1}"


def stated_window(numbers: Sequence[int], size: tuple[int, int]) -> Window | None:
    """Return the window that a file states, or None if it is no window of at least 16 pixels in a plane of `size`."""
    if len(numbers) != 4:
        return None
    top, bottom, left, right = numbers
    if not (0 <= top <= bottom - LEAST and bottom <= size[0] and 0 <= left <= right - LEAST and right <= size[1]):
        return None
    return slice(top, bottom), slice(left, right)


def within(image: Whole, rectangle: Rectangle) -> Window:
    """Return the part of a rectangle that an image covers.

    Raises
    ------
    InputError
        If this is less than 16 pixels along a side.
    """
    rows, columns = (
        slice(min(part.start, n), min(part.stop, n)) for part, n in zip(window_of(rectangle), image.size, strict=True)
    )
    if min(rows.stop - rows.start, columns.stop - columns.start) < LEAST:
        height, width = image.size
        raise InputError(
            f"The region of {in_words(rectangle)} lies outside of {image.name}, or covers fewer than {LEAST} of its "
            f"{height} × {width} pixels along a side: give another region."
        )
    return rows, columns


def cut(image: WholeT, window: Window) -> WholeT:
    """Return a part of an image, or the image itself if the window is all of it."""
    whole = rectangle_of(window) == (0, image.size[0], 0, image.size[1])
    return image if whole else cast("WholeT", image.crop(*window))


def windows_to_train_on(
    image: Whole, inside: Sequence[Window], held_out: Sequence[Window], patch: int, multiple: int = 1
) -> list[Window]:
    """Return the windows of an image that a training may draw patches from; they do not overlap.

    Parameters
    ----------
    image
        The image, or a layer's source.
    inside
        Windows of the image that are trained on; empty for all of it.
    held_out
        Windows that are not trained on: no patch has a pixel of them.
    patch
        Side of a patch in pixels. Parts that are narrower hold no patch and are left out.
    multiple
        The rows and columns of a part begin and end at multiples of this number, as for pairs with widefield images.

    Raises
    ------
    InputError
        If no part holds a patch.
    """
    height, width = image.size
    if not inside and not held_out:
        return [(slice(0, height), slice(0, width))]
    windows = disjoint_windows((height, width), inside, held_out, patch, multiple)
    if not windows:
        raise InputError(
            f"No patch of {patch} × {patch} pixels fits into the part of {image.name} to train on: choose another "
            "region, or a smaller patch."
        )
    return windows


def disjoint_windows(
    size: tuple[int, int], inside: Sequence[Window], held_out: Sequence[Window], least: int, multiple: int = 1
) -> list[Window]:
    """Divide the rest of a plane into windows that do not overlap, each at least `least` pixels high and wide.

    The window with the most places for a square of `least` pixels comes first, then that of the remaining area, and so
    on. In this way few squares are lost at the cuts. The windows are returned from top to bottom and from left to
    right.
    """
    rows, columns = (_edges(length, [w[k] for w in (*inside, *held_out)]) for k, length in enumerate(size))
    free = np.full((len(rows) - 1, len(columns) - 1), not inside)
    for windows, allowed in ((inside, True), (held_out, False)):
        for y, x in windows:
            free[_covered(rows, y)[:, None] & _covered(columns, x)] = allowed
    found = []
    while (best := _roomiest(rows, columns, free, least, multiple)) is not None:
        (top, bottom), (left, right) = best
        free[top:bottom, left:right] = False
        found.append((_snapped(rows[top], rows[bottom], multiple), _snapped(columns[left], columns[right], multiple)))
    return sorted(found, key=lambda window: (window[0].start, window[1].start))


def _edges(length: int, parts: Sequence[slice]) -> npt.NDArray[np.intp]:
    """Return the places along an axis where a part begins or ends, and the ends of the axis."""
    inner = [min(max(int(edge), 0), length) for part in parts for edge in (part.start, part.stop)]
    return np.unique(np.array([0, length, *inner], np.intp))


def _covered(edges: npt.NDArray[np.intp], part: slice) -> npt.NDArray[np.bool_]:
    """Return which of the cells between the edges a part covers."""
    return np.asarray((edges[:-1] >= part.start) & (edges[1:] <= part.stop))


def _snapped(first: int, end: int, multiple: int) -> slice:
    """Return the part of an axis from the first to the last multiple in it."""
    return slice(int(-(-first // multiple) * multiple), int(end // multiple * multiple))


def _roomiest(
    rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], free: npt.NDArray[np.bool_], least: int, multiple: int
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the free block of cells with the most places for a square, as cells (first, end) along Y and X."""

    def places(edges: npt.NDArray[np.intp], first: int, end: int) -> int:
        part = _snapped(edges[first], edges[end], multiple)
        return int(part.stop - part.start) - least + 1

    best, most = None, 0
    for top in range(len(free)):
        for bottom in range(top + 1, len(free) + 1):
            down = places(rows, top, bottom)
            if down <= 0:
                continue
            for left, right in _runs(np.asarray(free[top:bottom].all(axis=0))):
                count = down * places(columns, left, right)
                if count > most:
                    best, most = ((top, bottom), (left, right)), count
    return best


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, end) of each run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
