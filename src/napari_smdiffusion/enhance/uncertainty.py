"""Intervals around enhanced pixels with a known coverage, by conformal prediction. Needs only NumPy and SciPy.

Method
1. Held-out pixels are sorted into cells by their enhanced intensity (rows) and by their spread: the standard deviation
   over the 8 symmetries of the input (columns).
2. In each cell, the half width of the interval is a quantile of the absolute errors. Half widths are interpolated
   between cells.
3. A factor for each row corrects the coverage on further held-out pixels. All background rows have one common factor;
   background rows are those whose nearest pixels are all darker than the mean.

This is split conformal prediction (Papadopoulos et al., ECML 2002), separately for each group of pixels (Mondrian
Confidence Machine: Vovk, Lindsay, Nouretdinov and Gammerman, 2003).

Limits
* Pixels whose true and enhanced values are exactly 0 are in every interval. The faint background compensates for them:
  its coverage is below the nominal one, but at least half of it. With more empty pixels, the total coverage exceeds the
  nominal one.
* Errors of the pixels of one image are correlated. The coverage therefore holds on average over many images; that of a
  single image may differ.
* The coverage is measured field by field, with intervals that were calibrated on the other fields (cross-conformal
  prediction: Vovk, Annals of Mathematics and Artificial Intelligence 74, 9 (2015)).
* For images of another kind the coverage is unknown.

Intensities, spreads and errors are in network units: 0 is dark, 1 is bright.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.arrays import Indices, Pixels
from ..base.errors import InputError
from ..measure.restoration import rank_correlation
from .facts import CalibrationFacts, CalibrationRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Patches = tuple[Pixels, Pixels, Pixels]  # enhanced, spread over the symmetries, and true: (N, Y, X) each
# Row and column of a cell, the weight of the next column, and the weight of the row; arrays of one shape.
_Place = tuple[Indices, Indices, Pixels, Pixels]

LEVELS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))  # nominal coverages
LEAST = 3  # patches
# Quantiles between the rows and between the columns of cells. They are dense at the top, as most pixels are background.
_INTENSITIES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.87, 0.92, 0.95, 0.975, 0.99)
_SPREADS = (0.2, 0.4, 0.6, 0.8, 0.93)
_FEW = 100  # pixels; if a cell has fewer, the cells of its row are merged
_ROUNDS = 2  # of the correction of the coverage
_PIXELS = 400_000  # largest number of pixels for a calibration
_ARRAYS = ("intensities", "spreads", "half_widths")


@dataclass(frozen=True)
class Calibration:
    """The size of the error by enhanced intensity and spread.

    Parameters
    ----------
    intensities
        (I,) median intensity of the pixels in each row of cells, increasing.
    spreads
        (I, S) median spread in each cell.
    half_widths
        (levels, I, S) half widths of the intervals for each of `LEVELS`.
    facts
        The measured coverage.
    """

    intensities: Pixels
    spreads: Pixels
    half_widths: Pixels
    facts: CalibrationFacts = field(default_factory=CalibrationFacts)

    def half_width(self, predicted: Pixels, spread: Pixels, confidence: float) -> Pixels:
        """Return the half width of the intervals that cover the true value with probability `confidence`.

        Parameters
        ----------
        predicted, spread
            Enhanced intensities and their standard deviation over the symmetries; arrays of one shape.
        confidence
            0.5 to 0.95. Half widths are interpolated between the calibrated levels, which are 0.05 apart.

        Raises
        ------
        InputError
            If `confidence` is out of range.
        """
        if not LEVELS[0] <= confidence <= LEVELS[-1]:
            raise InputError(f"confidence must be between {LEVELS[0]} and {LEVELS[-1]}, not {confidence}.")
        return self._interpolated(self._places(predicted, spread), confidence)

    def _places(self, predicted: Pixels, spread: Pixels) -> Iterator[_Place]:
        """Yield the place of each pixel in the row of cells below its intensity, and in the row above."""
        rows = np.arange(len(self.intensities))
        row, share = _split(np.interp(predicted, self.intensities, rows), len(rows))
        for k in (0, 1):
            in_row = np.minimum(row + k, len(rows) - 1)
            yield in_row, *self._columns(in_row, spread), share if k else 1 - share

    def _columns(self, row: Indices, spread: Pixels) -> tuple[Indices, Pixels]:
        """Return the cell left of the spread of each pixel, in the pixel's own row, and the weight of the next cell."""
        cells = self.spreads.shape[1]
        place = np.zeros(np.shape(spread), np.float32)
        for k in range(cells - 1):
            left, right = self.spreads[row, k], self.spreads[row, k + 1]
            place += np.clip((spread - left) / np.maximum(right - left, 1e-9), 0, 1)
        column, share = _split(place, cells)
        return column, share

    def _interpolated(self, places: Iterable[_Place], confidence: float) -> Pixels:
        """Return the half widths at both places of each pixel, interpolated between levels, columns and rows."""
        below, share = _split((confidence - LEVELS[0]) / (LEVELS[1] - LEVELS[0]), len(LEVELS))
        widths = (1 - share) * self.half_widths[below] + share * self.half_widths[below + 1]
        total: Any = 0
        for row, column, in_column, in_row in places:
            width = np.asarray((1 - in_column) * widths[row, column] + in_column * widths[row, column + 1], np.float32)
            total = total + in_row * width
        return np.asarray(total, np.float32)

    @property
    def record(self) -> CalibrationRecord:
        """The calibration as stored in model.json."""
        rounded = {name: np.round(np.asarray(getattr(self, name), np.float64), 6) for name in _ARRAYS}
        return CalibrationRecord(
            facts=self.facts, **{name: _tuples(values.tolist()) for name, values in rounded.items()}
        )

    @classmethod
    def of(cls, record: CalibrationRecord) -> Calibration:
        """Return the calibration from model.json; raises InputError if it has other levels."""
        intensities, spreads, half_widths = (np.asarray(getattr(record, name), np.float32) for name in _ARRAYS)
        if len(half_widths) != len(LEVELS):
            raise InputError(f"The calibration has {len(half_widths)} levels, not {len(LEVELS)}.")
        return cls(intensities, spreads, half_widths, record.facts)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


def _split(place: Any, length: int) -> tuple[Any, Any]:
    """Return the index of the cell before a fractional position, and the weight of the next cell."""
    before = np.clip(np.floor(np.asarray(place) + 1e-6).astype(np.intp), 0, max(length - 2, 0))
    return before, np.clip(place - before, 0, 1)


def calibrate(parts: Sequence[Patches], *, held_out: bool = True) -> Calibration:
    """Calibrate on all parts, and measure the coverage of each with intervals calibrated on the others.

    Parameters
    ----------
    parts
        Independent parts, such as different fields, with at least 3 patches in total. A part has enhanced patches,
        their standard deviation over the symmetries, and true patches, (N, Y, X) each. A single part is divided into
        thirds.
    held_out
        Whether the parts were held out from training.

    Raises
    ------
    InputError
        If there are fewer than 3 patches, or the shapes of a part differ.
    """
    for predicted, spread, truth in parts:
        if not predicted.shape == spread.shape == truth.shape:
            raise InputError(f"Patches must have one shape, not {predicted.shape}, {spread.shape} and {truth.shape}.")
    if (count := sum(len(truth) for _, _, truth in parts)) < LEAST:
        raise InputError(f"{LEAST} or more patches are needed, not {count}.")
    sampled = _sampled(parts, count)
    if len(sampled) == 1:
        sampled = [sampled[0][k::LEAST] for k in range(LEAST)]
    calibration = _calibrated([patch for part in sampled for patch in part])
    return replace(calibration, facts=_measured_coverage(sampled, held_out))


def _measured_coverage(parts: Sequence[Sequence[Patches]], held_out: bool) -> CalibrationFacts:
    """Measure the coverage in each part of intervals that are calibrated on the other parts."""
    errors, widths = [], []
    for k, part in enumerate(parts):
        others = _calibrated([patch for other in (*parts[:k], *parts[k + 1 :]) for patch in other])
        predicted, spread, truth = _concatenated(part)
        errors.append(np.abs(truth - predicted))
        places = tuple(others._places(predicted, spread))
        widths.append({level: others._interpolated(places, level) for level in LEVELS})
    all_widths = {level: np.concatenate([width[level] for width in widths]) for level in LEVELS}
    by_part = np.array([[np.mean(e <= w[level]) for level in LEVELS] for e, w in zip(errors, widths, strict=True)])
    bright = np.concatenate([predicted > predicted.mean() for predicted, _, _ in map(_concatenated, parts)])
    faint = ~bright & np.concatenate([predicted > 0 for predicted, _, _ in map(_concatenated, parts)])
    error = np.concatenate(errors)
    rank = rank_correlation(all_widths[0.9], error)
    return CalibrationFacts(
        LEVELS,
        _coverage(error, all_widths) or (),
        None if rank is None else round(rank, 3),
        _coverage(error[bright], {level: width[bright] for level, width in all_widths.items()}),
        _coverage(error[faint], {level: width[faint] for level, width in all_widths.items()}),
        tuple(by_part.min(0).round(4).tolist()),
        tuple(by_part.max(0).round(4).tolist()),
        held_out,
    )


def _sampled(parts: Sequence[Patches], count: int) -> list[list[Patches]]:
    """Draw the same number of pixels from each patch; more pixels would add little, as neighbours are correlated."""
    rng = np.random.default_rng(0)
    sampled: list[list[Patches]] = []
    for part in parts:
        sampled.append([])
        for predicted, spread, truth in zip(*(kind.reshape(len(kind), -1) for kind in part), strict=True):
            pixels = rng.choice(truth.size, min(truth.size, _PIXELS // count), replace=False)
            sampled[-1].append((predicted[pixels], spread[pixels], truth[pixels]))
    return sampled


def _concatenated(patches: Sequence[Patches]) -> Patches:
    predicted, spread, truth = (np.concatenate(kind) for kind in zip(*patches, strict=True))
    return predicted, spread, truth


def _calibrated(patches: Sequence[Patches]) -> Calibration:
    """Compute the cells from every second patch, and the factors from the others."""
    # Sorted by brightness, so that the rare bright patches are in both halves.
    patches = sorted(patches, key=lambda patch: float(np.percentile(patch[0], 99)))
    calibration = _cells(*_concatenated(patches[::2]))
    predicted, spread, truth = _concatenated(patches[1::2] or patches)
    error = np.abs(truth - predicted)
    rows = np.arange(len(calibration.intensities))
    # All background rows share one group, numbered by the last of them.
    between = (calibration.intensities[1:] + calibration.intensities[:-1]) / 2
    last_dark = max(int(np.sum(between <= predicted.mean())) - 1, 0)
    group_of_row = np.maximum(rows, last_dark)
    nearest = group_of_row[np.rint(np.interp(predicted, calibration.intensities, rows)).astype(np.intp)]
    groups = {int(row): nearest == row for row in rows[last_dark:]}
    # A group with too few pixels uses all pixels of structure.
    structure = nearest > last_dark
    fallback = structure if structure.sum() >= _FEW else np.full_like(structure, True)
    # Empty pixels are in every interval; the faint ones keep at least half of the nominal coverage.
    faint = (nearest == last_dark) & (predicted > 0)
    chosen = {row: np.flatnonzero(inside if inside.sum() >= _FEW else fallback) for row, inside in groups.items()}
    # The correction changes half widths only, so that each pixel keeps its place.
    places = tuple(calibration._places(predicted, spread))
    # No interval needs to be wider than the largest error. Where nearly all pixels are 0, a factor may be huge.
    largest = max(float(error.max()), float(calibration.half_widths.max()))
    # Half widths are interpolated between rows: the factor of one row changes the coverage of the next.
    for _ in range(_ROUNDS):
        factors = np.ones((len(LEVELS), len(rows)), np.float32)
        for i, level in enumerate(LEVELS):
            ratio = error / np.maximum(calibration._interpolated(places, level), 1e-9)
            for row, inside in chosen.items():
                factors[i, row] = _bound(ratio[inside], level)
            if faint.sum() >= _FEW:
                factors[i, last_dark] = max(factors[i, last_dark], _bound(ratio[faint], level / 2))
        widths = np.minimum(calibration.half_widths * factors[:, group_of_row, None], np.float32(largest))
        calibration = replace(calibration, half_widths=widths)
    # A higher confidence never has a narrower interval.
    return replace(calibration, half_widths=np.maximum.accumulate(calibration.half_widths))


def _coverage(error: Pixels, widths: Mapping[float, Pixels]) -> tuple[float, ...] | None:
    """Return the share of pixels in their interval for each level, or None without pixels."""
    return tuple(round(float(np.mean(error <= widths[level])), 4) for level in LEVELS) if error.size else None


def _cells(predicted: Pixels, spread: Pixels, truth: Pixels) -> Calibration:
    """Return the cells and the quantiles of their errors."""
    error = np.abs(truth - predicted)
    # Equal quantiles, as in an empty background, make one cell.
    edges = np.unique(np.quantile(predicted, _INTENSITIES))
    row = np.searchsorted(edges, predicted, side="right")
    intensities, spreads, widths = [], [], []
    for i in np.unique(row):
        inside = row == i
        own_spread, own_error = spread[inside], error[inside]
        column = np.searchsorted(np.quantile(own_spread, _SPREADS), own_spread, side="right")
        intensities.append(float(np.median(predicted[inside])))
        cells = [column == j for j in range(len(_SPREADS) + 1)]
        if min(cell.sum() for cell in cells) < _FEW:
            cells = [np.ones_like(cell) for cell in cells]
        spreads.append([float(np.median(own_spread[cell])) for cell in cells])
        widths.append([[_bound(own_error[cell], level) for cell in cells] for level in LEVELS])
    return Calibration(
        np.asarray(intensities, np.float32),
        np.asarray(spreads, np.float32),
        np.asarray(widths, np.float32).transpose(1, 0, 2),
    )


def _bound(errors: Pixels, level: float) -> float:
    """Return the conformal quantile of n errors: the ⌈(n + 1)·level⌉-th smallest, or the largest."""
    rank = min(int(np.ceil((len(errors) + 1) * level)), len(errors)) - 1
    return float(np.partition(errors, rank)[rank])
