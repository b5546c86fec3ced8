"""Whether generated images are copies: the nearest window of the training images, over all places and 8 symmetries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, fisher_exact
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from ..base.errors import InputError
from ..base.events import never
from ..images.patches import averaged
from .nearest import HIGHEST, Match, nearest_matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels, Values
    from ..base.events import Stop

_MIDDLE = 0.75  # of the smallest plane: the most of a patch that is looked up
# Chance that any patch at all is called a copy where none is. It is small, because the exponential law holds for the
# ordinary patches better than for the odd one.
_FALSE_ALARM = 0.01
_SAME = 0.98  # correlation from which on a held-out patch was trained on
_LEAST = 5  # held-out patches
_ONE_WAY = 1 / 3  # more than the share of patches that fit best in one symmetry, if there is nothing to fit
_BY_CHANCE = 1e-3


@dataclass(frozen=True)
class CopySearch:
    """Generated patches that were looked up in training images.

    Parameters
    ----------
    patches
        (N, y, x) as they were looked up: where training images are small, the middle of what was given.
    matches
        Where each fits best, in pixels of the 2 × 2 averages of the planes.
    copied
        Whether each is called a copy.
    report
        What `copy_report` returns.
    """

    patches: Pixels
    matches: tuple[Match, ...]
    copied: tuple[bool, ...]
    report: dict[str, Any]


def copy_report(generated: Pixels, training: Sequence[Pixels], held_out: Pixels) -> dict[str, Any]:
    """Judge whether generated patches are copies of training images.

    Each patch is looked up in the training planes, everywhere and in all 8 symmetries, and so are experimental patches
    that were held out. It is done on 2 × 2 averages, which hold the structure and half the noise. How well a patch fits
    depends on what it shows: one straight filament fits many others. A copy is told by its margin instead: it fits in
    one symmetry far better than in the seven others. Where nothing is copied, the 8 best fits are maxima of like
    samples, and the distance of the highest to the second is exponentially distributed (Weissman 1978); its mean is
    taken from the held-out patches. A patch whose margin would come up in 1 of 100 such judgements, among all its
    patches, is called a copy. What looks the same in two symmetries has no margin: so a patch is called one, too, whose
    correlation is far above those of the held-out patches (on Fisher's scale, by Student's t, in 1 of 1000 judgements),
    unless it shows less than nine in ten of them.
    A noisy copy of what is symmetric and alike everywhere, such as one straight line, is told by neither.

    Parameters
    ----------
    generated, held_out
        (N, Y, X) patches. Of those held out at least 5 must show something and not lie in the training planes; copies
        are found more surely with 20 or more.
    training
        (Y, X) planes, none smaller than the patches. Where the smallest is less than a third larger than the patches,
        the middle of the patches is looked up: three quarters of that plane.

    Returns
    -------
    `generated_median` and `held_out_median` of the highest correlations; `fraction_above_held_out_99`, the share of
    generated patches above the 99th percentile of the held-out ones: about 1 in as many as are held out, at least 0.01,
    where they are like these and nothing is copied, and more too where they show less or are less noisy; `threshold` of
    the margin and `threshold_correlation`; `copied`, a flag for each generated patch; `copies` and `held_out_copies`,
    how many of each kind are called copies; `held_out_trained_on`, how many of those held out are in the training
    images as they are, which count for nothing; and the `verdict` in words.
    Held-out patches are judged by each other; those that are called copies do not raise the bar for generated ones.

    Raises
    ------
    InputError
        If there are no generated patches or too few held-out ones, if those are another picture of the training
        images, or a plane is smaller than they are.
    """
    return look_for_copies(generated, training, held_out).report


def look_for_copies(generated: Pixels, training: Sequence[Pixels], held_out: Pixels, stop: Stop = never) -> CopySearch:
    """Do what `copy_report` does, and return what was found of each patch as well.

    `stop` is asked at every patch; Stopped if it says so.
    """
    if not len(generated) or not len(held_out):
        raise InputError(
            "Looking for copies needs generated patches, and experimental ones that the model was not trained on."
        )
    planes = [averaged(plane, 2) for plane in training]
    # Planes hardly larger than the patches hold few windows to compare with, and no copy that lies a little off.
    side = int(_MIDDLE * min(min(plane.shape) for plane in training)) // 2 * 2
    looked_up = [_middle(patches, side) for patches in (generated, held_out)]
    made, real = (nearest_matches(averaged(patches, 2), planes, stop) for patches in looked_up)
    fits, held = _FitStatistics.of(made), _FitStatistics.of(real)
    # Empty patches fit nothing, and those that were trained on after all must not raise the bar.
    unseen = held.correlation < _SAME
    null = held.some((held.correlation > 0) & unseen)
    _check_held_out(null, len(real))
    # Nor must other pictures of what was trained on, which lie in the training images a little changed.
    suspected = _is_copy_by_the_others(null)
    bars = _copy_thresholds(null.some(~suspected), len(made))
    copied = _is_copy(fits, bars)
    trained_on = int((~unseen).sum())
    flags = tuple(bool(flag) for flag in copied)
    report = {
        "generated_median": float(np.median(fits.correlation)),
        "held_out_median": float(np.median(held.correlation[unseen])),
        "fraction_above_held_out_99": float(np.mean(fits.correlation > np.quantile(held.correlation[unseen], 0.99))),
        "threshold": bars.margin,
        "threshold_correlation": bars.correlation,
        "copies": int(copied.sum()),
        "held_out_copies": int(suspected.sum()),
        "held_out_trained_on": trained_on,
        "copied": list(flags),
        "verdict": _verdict(int(copied.sum()), len(made), int(suspected.sum()), len(null.margin), trained_on),
    }
    return CopySearch(looked_up[0], tuple(made), flags, report)


@dataclass(frozen=True)
class _FitStatistics:
    """How well patches fit: of each its margin, its highest correlation, its pixels that matter and symmetry, (N,)."""

    margin: Values
    correlation: Values
    pixels: Values
    symmetry: Values

    @classmethod
    def of(cls, matches: Sequence[Match]) -> _FitStatistics:
        rows = [(one.margin, one.correlation, one.pixels, one.symmetry) for one in matches]
        return cls(*np.array(rows, np.float64).T)

    def some(self, which: npt.NDArray[Any]) -> _FitStatistics:
        return _FitStatistics(self.margin[which], self.correlation[which], self.pixels[which], self.symmetry[which])


@dataclass(frozen=True)
class _CopyThresholds:
    """What makes a patch a copy: a margin above one, or a correlation above the other if so many pixels matter."""

    margin: float
    correlation: float
    pixels: float


def _copy_thresholds(null: _FitStatistics, count: int) -> _CopyThresholds:
    """Return what none of `count` patches exceeds, if they are like those of `null`."""
    # A patch that shows little fits many places well: its correlation says nothing.
    rich = float(np.quantile(null.pixels, 0.1))
    return _CopyThresholds(_threshold(null.margin, count), _correlation_limit(null.correlation, count), rich)


def _is_copy(fits: _FitStatistics, bars: _CopyThresholds) -> npt.NDArray[np.bool_]:
    alike = (fits.correlation > bars.correlation) & (fits.pixels >= bars.pixels)
    return np.asarray((fits.margin > bars.margin) | alike)


def _is_copy_by_the_others(null: _FitStatistics) -> npt.NDArray[np.bool_]:
    """Return which patches would be called copies by all others: none, but for chance, if they are of one kind."""
    places = np.arange(len(null.margin))
    return np.array(
        [_is_copy(null.some(places == i), _copy_thresholds(null.some(places != i), len(places)))[0] for i in places]
    )


def _check_held_out(null: _FitStatistics, given: int) -> None:
    """Raise a ValueError unless these patches, of so many that were given, are a measure for copies.

    A patch that was not trained on fits best in any of the symmetries, or in four of them where the structure has a
    direction. Another picture of the training images fits in one.
    """
    count = len(null.margin)
    if count < _LEAST:
        raise InputError(
            f"Only {count} of {given} held-out experimental patches show something that is not in the training "
            f"images, and {_LEAST} are needed to judge copies by: give other experimental images."
        )
    # Where several symmetries fit alike, the first of them says nothing.
    told = null.symmetry[null.margin > 1].astype(int)
    most = int(np.bincount(told, minlength=1).max())
    if float(binom.sf(most - 1, len(told), _ONE_WAY)) < _BY_CHANCE:
        raise InputError(
            f"{most} of {count} held-out experimental patches lie in the training images the same way up: they seem "
            "to be another picture of the same field. Give experimental images of other fields."
        )


def _correlation_limit(correlations: Values, count: int) -> float:
    """Return the correlation that none of `count` patches exceeds in 999 of 1000 judgements, if they are like these."""
    z = np.arctanh(np.minimum(correlations, HIGHEST))
    # One more from the same normal distribution, of unknown mean and width.
    far = float(t_distribution.ppf(1 - _FALSE_ALARM / 10 / count, len(z) - 1)) * float(z.std(ddof=1))
    return float(np.tanh(z.mean() + far * (1 + 1 / len(z)) ** 0.5))


def _middle(patches: Pixels, side: int) -> Pixels:
    """Return the middle of (N, Y, X) patches, `side` pixels at most."""
    y, x = (max(0, length - side) // 2 for length in patches.shape[1:])
    return patches[:, y : y + side, x : x + side]


def _threshold(null: Values, count: int) -> float:
    """Return the margin that none of `count` patches exceeds with 99 % confidence, if they are like `null`."""

    def above(mean: float, used: int) -> float:
        # An exponential variable over the mean of others has Fisher's F distribution.
        return mean * float(f_distribution.ppf(1 - _FALSE_ALARM / count, 2, 2 * used))

    # A held-out patch that is in the training images after all must not raise the bar.
    ordinary = null[null <= above(float(np.median(null)) / np.log(2), len(null))]
    return above(float(ordinary.mean()), len(ordinary))


def _verdict(copies: int, count: int, known: int, held_out: int, trained_on: int) -> str:
    said = _sentence(copies, count, known, held_out)
    if not trained_on:
        return said
    them = "patch is" if trained_on == 1 else "patches are"
    return f"{said} {trained_on} more experimental {them} in the training images: give others for a surer judgement."


def _sentence(copies: int, count: int, known: int, held_out: int) -> str:
    beside = f"{known} of {held_out} experimental patches that were held out"
    if not copies:
        also = f"; {beside} seem to lie there" if known else ""
        return f"No sign of copying: none of {count} generated patches lies in the training images{also}."
    told = f"{copies} of {count} generated patches lie in the training images"
    if known and _no_more_often(copies, count, known, held_out):
        return (
            f"Not clear: {told}, but {beside} seem to as well. Look at the pairs, and give experimental images of "
            "other fields than those of the training."
        )
    start = "Most are copies" if copies > count / 2 else "Some images are copied"
    return f"{start}: {told}; {beside} seem to."


def _no_more_often(copies: int, count: int, known: int, held_out: int) -> bool:
    """Tell whether chance makes such a difference of two shares in more than one of 100 cases (Fisher's exact test)."""
    table = [[copies, count - copies], [known, held_out - known]]
    return float(fisher_exact(table, alternative="greater").pvalue) > _FALSE_ALARM
