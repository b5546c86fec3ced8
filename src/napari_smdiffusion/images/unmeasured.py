"""Pixels of a widefield plane that are no measurement: borders, empty corners of mosaics, burned-in bars.

Such pixels have one exact value in a row, and a cliff beside it: the nearest pixels are far from that value. Structure
that is clipped at a value, or a background of 0, has no cliff.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_dilation

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Pixels

    Mask = npt.NDArray[np.bool_]

_RUN = 8  # equal pixels in a row or column
_LEAST = 12  # pixels in such runs
_CANDIDATES = 4  # values that are looked at
_ROWS = 512  # of a plane that are looked at together
_NEAR, _FAR = 2, 3  # pixels: between these distances, the neighbours are looked at
_CLIFF, _STEPS = 1.0, 4  # a cliff is higher than the range of the neighbours, and than _STEPS steps of their values


@dataclass(frozen=True)
class PlaneFacts:
    """The facts of a whole plane that the levels need.

    Parameters
    ----------
    low, high
        Smallest and largest measured value.
    unmeasured
        Values of pixels that are no measurement.
    """

    low: float
    high: float
    unmeasured: tuple[float, ...] = ()

    @property
    def shows_nothing(self) -> bool:
        """Whether all measured pixels are equal."""
        return not self.low < self.high

    def measured(self, window: Pixels) -> Mask | None:
        """Return which pixels (Y, X) are measurements; None if all are. Neighbours of others are none either."""
        if not self.unmeasured or not (equal := np.isin(window, self.unmeasured)).any():
            return None
        return ~_widened(equal, 1)


def scan(plane: Pixels) -> PlaneFacts:
    """Look for unmeasured pixels in a plane (Y, X), a part of the rows at a time."""
    candidates = _values_in_runs(plane)
    unmeasured = tuple(value for value in candidates if _has_cliff(plane, value))
    low, high = np.inf, -np.inf
    for first in range(0, len(plane), _ROWS):
        rows = plane[first : first + _ROWS]
        if unmeasured:
            rows = rows[~np.isin(rows, unmeasured)]
        if rows.size:
            low, high = min(low, float(rows.min())), max(high, float(rows.max()))
    # All pixels are in runs of unmeasured values.
    return PlaneFacts(low, high, unmeasured) if low <= high else PlaneFacts(float(plane[0, 0]), float(plane[0, 0]))


def _values_in_runs(plane: Pixels) -> list[float]:
    """Return the most frequent values of pixels in runs of equal pixels."""
    counts: dict[float, int] = {}
    for first in range(0, len(plane), _ROWS):
        rows = np.asarray(plane[max(first - _RUN, 0) : first + _ROWS])
        values, number = np.unique(rows[_in_runs(rows)], return_counts=True)
        for value, count in zip(values.tolist(), number.tolist(), strict=True):
            counts[value] = counts.get(value, 0) + count
    frequent = sorted((value for value, count in counts.items() if count >= _LEAST), key=lambda value: -counts[value])
    return frequent[:_CANDIDATES]


def _in_runs(rows: Pixels) -> Mask:
    """Return the pixels that begin or end `_RUN` equal pixels along a row or a column."""
    inside = np.zeros(rows.shape, bool)
    for axis in (0, 1):
        equal = np.diff(rows, axis=axis) == 0
        length = equal.shape[axis] - _RUN + 2
        if length <= 0:
            continue
        run = np.ones_like(np.take(equal, range(length), axis))
        for step in range(_RUN - 1):
            run &= np.take(equal, range(step, step + length), axis)
        first, last = (slice(None),) * axis + (slice(0, length),), (slice(None),) * axis + (slice(_RUN - 1, None),)
        inside[first] |= run
        inside[last] |= run
    return inside


def _has_cliff(plane: Pixels, value: float) -> bool:
    """Return whether the neighbours of pixels with a value are far from it."""
    neighbours = []
    for first in range(0, len(plane), _ROWS):
        rows = np.asarray(plane[max(first - _FAR, 0) : first + _ROWS + _FAR])
        equal = rows == value
        if not equal.any():
            continue
        near = _widened(equal, _FAR) & ~_widened(equal, _NEAR - 1)
        # Single pixels of this value, as dead ones, would be neighbours of everything.
        neighbours.append(rows[near])
    surroundings = np.concatenate(neighbours) if neighbours else np.empty(0, np.float32)
    if surroundings.size < _LEAST:
        return False
    darkest, middle, brightest = np.percentile(surroundings, (5, 50, 95))
    # Smooth backgrounds of a few whole numbers have runs and small steps, but no cliffs.
    least = _STEPS * float(np.diff(np.unique(np.append(surroundings, np.float32(value)))).min(initial=np.inf))
    below = darkest - value > max(_CLIFF * (middle - darkest), least)
    above = value - brightest > max(_CLIFF * (brightest - middle), least)
    return bool(below or above)


def _widened(mask: Mask, pixels: int) -> Mask:
    """Return the pixels up to `pixels` from those of a mask, along rows and columns and diagonally."""
    widened: Mask = binary_dilation(mask, np.ones((3, 3), bool), iterations=pixels)
    return widened
