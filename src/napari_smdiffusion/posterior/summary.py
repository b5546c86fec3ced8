"""The best estimate, its uncertainty and the map of trust of a plane, which grow with every sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..base.arrays import Pixels
from ..base.scratch import scratch
from ..images.tiles import widened
from .combining import best_estimate
from .trust import BLUR_REACH, blurred

if TYPE_CHECKING:
    from collections.abc import Mapping

HalfWidth: TypeAlias = Callable[[Pixels, Pixels], Pixels]
_ROWS = 256  # rows of a plane that are summarized at once: no copy of a whole plane is in memory


class Summary:
    """What the samples of a plane have in common, a part of the rows at a time.

    Parameters
    ----------
    estimate
        (Y, X) estimate of the enhancer, in local units.
    unit
        (Y, X) intensity of 1; 0 without a measurement.
    results
        The planes (Y, X) that are filled: "enhanced", "trust" and, if it is wanted, "uncertainty".
    structure
        Intensity from which on a blurred sample shows structure, in local units.
    half_width
        Returns the half width of the intervals for the blurred best estimate and the standard deviation of the blurred
        samples. None: the standard deviation itself.
    """

    def __init__(
        self,
        estimate: Pixels,
        unit: Pixels,
        results: Mapping[str, Pixels],
        *,
        structure: float,
        half_width: HalfWidth | None,
    ) -> None:
        self._estimate, self._unit, self._results = estimate, unit, results
        self._structure, self._half_width = structure, half_width
        self.count = 0
        self._mean, self._shown = scratch(unit.shape), scratch(unit.shape)
        # Of the blurred samples: their mean, and the sum of their squared deviations from it (Welford 1962).
        size = unit.shape if "uncertainty" in results else (0, 0)
        self._blurred, self._squares = scratch(size), scratch(size)

    def add(self, sample: Pixels) -> None:
        """Add a sample (Y, X) in intensities of the result, and update the results of the plane."""
        self.count += 1
        for first in range(0, len(sample), _ROWS):
            self._add_rows(sample, slice(first, min(first + _ROWS, len(sample))))

    def _add_rows(self, sample: Pixels, rows: slice) -> None:
        """Add some rows of a sample."""
        wide = widened(rows, BLUR_REACH, len(sample))
        inner = slice(rows.start - wide.start, rows.stop - wide.start)
        unit = self._unit[wide]
        local = np.divide(sample[wide], unit, out=np.zeros(unit.shape, np.float32), where=unit > 0)
        smooth, local, unit = blurred(local)[inner], local[inner], unit[inner]
        mean, shown, results = self._mean[rows], self._shown[rows], self._results
        mean += (local - mean) / self.count
        shown += smooth > self._structure  # number of samples that show structure
        results["enhanced"][rows] = best_estimate(self._estimate[rows], mean, self.count) * unit
        results["trust"][rows] = shown / self.count * (unit > 0)
        if "uncertainty" in results:
            middle, squares = self._blurred[rows], self._squares[rows]
            before = smooth - middle
            middle += before / self.count
            squares += before * (smooth - middle)
            spread = np.sqrt(squares / self.count)
            centre = best_estimate(blurred(self._estimate[wide])[inner], middle, self.count)
            width = spread if self._half_width is None else self._half_width(centre, spread)
            results["uncertainty"][rows] = width * unit
