"""Intervals around enhanced pixels that hold as often as they say: conformal prediction. NumPy and SciPy alone.

Held-out pixels are sorted into cells by how bright they were enhanced, and by how much the 8 symmetries of the input
disagree on them. The error that a given share of the pixels of a cell stays below is the half width of an interval,
and between the cells it is interpolated. What this leaves to be desired is made up for by a factor for each brightness
of structure and one for the background (the rows of cells that only pixels darker than the average are nearest to),
chosen on further held-out pixels so that as many of them as stated lie in their interval (split conformal prediction:
Papadopoulos et al., ECML 2002; for each kind of case by itself: Vovk, Lindsay, Nouretdinov and Gammerman, Mondrian
Confidence Machine, 2003).

Background that is exactly 0 and enhanced to exactly 0 lies in any interval, for there is none smaller than none. The
faint rest of the background makes up for it, and lies in its interval less often than stated, but at least half as
often: where more than that is empty, more pixels than stated lie in their interval.

Were pixels independent, new ones of the same kind would do so as often, whatever the network and its errors are like.
They are not: pixels of an image err together, so that the share holds on the average of many images, and a single
image may have more or less. How often they hold is measured field by field, with intervals that were calibrated on the
other fields (cross-conformal prediction: Vovk, Annals of Mathematics and Artificial Intelligence 74, 9 (2015)). For
images of another kind nothing is promised.

Intensities, disagreements and errors are in network units: 0 is dark, 1 is bright.
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
    from collections.abc import Mapping, Sequence
Patches = tuple[Pixels, Pixels, Pixels]  # enhanced, how far the symmetries disagree, and true: (N, Y, X) each

LEVELS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))  # shares that intervals are calibrated for
LEAST = 3  # patches
# Most pixels are background: the shares of pixels that are darker than each of the cells but the first begins at.
_INTENSITIES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.87, 0.92, 0.95, 0.975, 0.99)
_SPREADS = (0.2, 0.4, 0.6, 0.8, 0.93)
_FEW = 100  # pixels; where a cell has fewer, all pixels as bright are taken together
_ROUNDS = 2
_PIXELS = 400_000  # that a calibration is made of, at most
_ARRAYS = ("intensities", "spreads", "half_widths")


@dataclass(frozen=True)
class Calibration:
    """How large the error is, by brightness and disagreement.

    Parameters
    ----------
    intensities
        (I,) the median intensity of the pixels in each row of cells, increasing.
    spreads
        (I, S) the median disagreement in each cell.
    half_widths
        (levels, I, S) half widths of the intervals, for each of `LEVELS`.
    facts
        What was measured.
    """

    intensities: Pixels
    spreads: Pixels
    half_widths: Pixels
    facts: CalibrationFacts = field(default_factory=CalibrationFacts)

    def half_width(self, predicted: Pixels, spread: Pixels, confidence: float) -> Pixels:
        """Return half the width of the intervals that hold the true value with a chance of `confidence`.

        Parameters
        ----------
        predicted, spread
            Enhanced intensities, and the standard deviation of them over the symmetries; arrays of one shape.
        confidence
            From 0.5 to 0.95; between the calibrated levels, which are 0.05 apart, widths are interpolated.

        Raises
        ------
        InputError
            If `confidence` lies outside of what was calibrated.
        """
        if not LEVELS[0] <= confidence <= LEVELS[-1]:
            raise InputError(f"confidence must lie between {LEVELS[0]} and {LEVELS[-1]}, not {confidence}.")
        below, share = _split((confidence - LEVELS[0]) / (LEVELS[1] - LEVELS[0]), len(LEVELS))
        widths = (1 - share) * self.half_widths[below] + share * self.half_widths[below + 1]
        rows = np.arange(len(self.intensities))
        row, between = _split(np.interp(predicted, self.intensities, rows), len(rows))
        along = [self._in_row(widths, np.minimum(row + k, len(rows) - 1), spread) for k in (0, 1)]
        return np.asarray((1 - between) * along[0] + between * along[1], np.float32)

    def _in_row(self, widths: Pixels, row: Indices, spread: Pixels) -> Pixels:
        """Interpolate between the cells of a row of cells, which may differ from pixel to pixel."""
        cells = self.spreads.shape[1]
        place = np.zeros(np.shape(spread), np.float32)
        for k in range(cells - 1):
            first, following = self.spreads[row, k], self.spreads[row, k + 1]
            place += np.clip((spread - first) / np.maximum(following - first, 1e-9), 0, 1)
        column, share = _split(place, cells)
        return np.asarray((1 - share) * widths[row, column] + share * widths[row, column + 1], np.float32)

    @property
    def record(self) -> CalibrationRecord:
        """What model.json holds of it."""
        rounded = {name: np.round(np.asarray(getattr(self, name), np.float64), 6) for name in _ARRAYS}
        return CalibrationRecord(facts=self.facts, **{name: _tuples(one.tolist()) for name, one in rounded.items()})

    @classmethod
    def of(cls, record: CalibrationRecord) -> Calibration:
        """Return the calibration that model.json holds; raises InputError if it is for other levels."""
        intensities, spreads, half_widths = (np.asarray(getattr(record, name), np.float32) for name in _ARRAYS)
        if len(half_widths) != len(LEVELS):
            raise InputError(f"The calibration has {len(half_widths)} levels, and {len(LEVELS)} are needed.")
        return cls(intensities, spreads, half_widths, record.facts)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def _split(place: Any, length: int) -> tuple[Any, Any]:
    """Return the cell before a place between cells, and the share of the one behind it."""
    before = np.clip(np.floor(np.asarray(place) + 1e-6).astype(np.intp), 0, max(length - 2, 0))
    return before, np.clip(place - before, 0, 1)


def calibrate(parts: Sequence[Patches], *, held_out: bool = True) -> Calibration:
    """Calibrate on all parts, and check each with intervals that were calibrated on the others.

    Parameters
    ----------
    parts
        Parts that have nothing in common, such as different fields: of each (N, Y, X) patches as they were enhanced,
        the standard deviation over the symmetries, and the true patches; at least 3 patches in all. A single part is
        divided into thirds.
    held_out
        Whether they were never trained on.

    Raises
    ------
    InputError
        If there are fewer than 3 patches, or the shapes of a part differ.
    """
    for predicted, spread, truth in parts:
        if not predicted.shape == spread.shape == truth.shape:
            raise ValueError(f"Patches must have one shape, not {predicted.shape}, {spread.shape} and {truth.shape}.")
    if (count := sum(len(truth) for _, _, truth in parts)) < LEAST:
        raise InputError(f"{LEAST} or more patches are needed, not {count}.")
    drawn = _drawn(parts, count)
    if len(drawn) == 1:
        drawn = [drawn[0][k::LEAST] for k in range(LEAST)]
    known = _calibrated([patch for part in drawn for patch in part])
    errors, widths = [], []
    for k, part in enumerate(drawn):
        others = _calibrated([patch for other in (*drawn[:k], *drawn[k + 1 :]) for patch in other])
        predicted, spread, truth = _together(part)
        errors.append(np.abs(truth - predicted))
        widths.append({level: others.half_width(predicted, spread, level) for level in LEVELS})
    together = {level: np.concatenate([one[level] for one in widths]) for level in LEVELS}
    each = np.array([[np.mean(e <= w[level]) for level in LEVELS] for e, w in zip(errors, widths, strict=True)])
    bright = np.concatenate([predicted > predicted.mean() for predicted, _, _ in map(_together, drawn)])
    faint = ~bright & np.concatenate([predicted > 0 for predicted, _, _ in map(_together, drawn)])
    error = np.concatenate(errors)
    rank = rank_correlation(together[0.9], error)
    facts = CalibrationFacts(
        LEVELS,
        _covered(error, together) or (),
        None if rank is None else round(rank, 3),
        _covered(error[bright], {level: width[bright] for level, width in together.items()}),
        _covered(error[faint], {level: width[faint] for level, width in together.items()}),
        tuple(each.min(0).round(4).tolist()),
        tuple(each.max(0).round(4).tolist()),
        held_out,
    )
    return replace(known, facts=facts)


def _drawn(parts: Sequence[Patches], count: int) -> list[list[Patches]]:
    """Return pixels from all over each patch, as many of each: of neighbours a part tells as much as all."""
    rng = np.random.default_rng(0)
    drawn: list[list[Patches]] = []
    for part in parts:
        drawn.append([])
        for predicted, spread, truth in zip(*(kind.reshape(len(kind), -1) for kind in part), strict=True):
            some = rng.choice(truth.size, min(truth.size, _PIXELS // count), replace=False)
            drawn[-1].append((predicted[some], spread[some], truth[some]))
    return drawn


def _together(patches: Sequence[Patches]) -> Patches:
    predicted, spread, truth = (np.concatenate(kind) for kind in zip(*patches, strict=True))
    return predicted, spread, truth


def _calibrated(patches: Sequence[Patches]) -> Calibration:
    """Learn how large errors are from every second patch, and choose the factors on the others."""
    # In their order, so that both halves have of the rare bright ones.
    patches = sorted(patches, key=lambda patch: float(np.percentile(patch[0], 99)))
    known = _learned(*_together(patches[::2]))
    predicted, spread, truth = _together(patches[1::2] or patches)
    error = np.abs(truth - predicted)
    rows = np.arange(len(known.intensities))
    # Rows that only background is nearest to count as the last of them, by which they all are widened or narrowed.
    between = (known.intensities[1:] + known.intensities[:-1]) / 2
    last_dark = max(int(np.sum(between <= predicted.mean())) - 1, 0)
    counted_as = np.maximum(rows, last_dark)
    nearest = counted_as[np.rint(np.interp(predicted, known.intensities, rows)).astype(np.intp)]
    groups = {int(row): nearest == row for row in rows[last_dark:]}
    # Where a brightness is too rare, others that are no background stand for it.
    structure = nearest > last_dark
    shown = structure if structure.sum() >= _FEW else np.full_like(structure, True)
    # What is not known to be empty shall not pay too much for what is: half as often as stated is the least.
    faint = (nearest == last_dark) & (predicted > 0)
    # Widths are interpolated between rows, so that the factor of one changes what is right for the next.
    for _ in range(_ROUNDS):
        factors = np.ones((len(LEVELS), len(rows)), np.float32)
        for place, level in enumerate(LEVELS):
            ratio = error / np.maximum(known.half_width(predicted, spread, level), 1e-9)
            for row, inside in groups.items():
                factors[place, row] = _bound(ratio[inside if inside.sum() >= _FEW else shown], level)
            if faint.sum() >= _FEW:
                factors[place, last_dark] = max(factors[place, last_dark], _bound(ratio[faint], level / 2))
        known = replace(known, half_widths=known.half_widths * factors[:, counted_as, None])
    # Whoever asks for more confidence gets wider intervals everywhere.
    return replace(known, half_widths=np.maximum.accumulate(known.half_widths))


def _covered(error: Pixels, widths: Mapping[float, Pixels]) -> tuple[float, ...] | None:
    """Return the share of pixels in their interval for each level, or None where there are none."""
    return tuple(round(float(np.mean(error <= widths[level])), 4) for level in LEVELS) if error.size else None


def _learned(predicted: Pixels, spread: Pixels, truth: Pixels) -> Calibration:
    """Return the cells, and the errors that shares of their pixels stay below."""
    error = np.abs(truth - predicted)
    # Where many pixels are equal, as in an empty background, cells that begin at the same value are one.
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
    """Return what `level` of new errors stay below: the ⌈(n + 1)·level⌉-th of n, or the largest."""
    rank = min(int(np.ceil((len(errors) + 1) * level)), len(errors)) - 1
    return float(np.partition(errors, rank)[rank])
