"""The search for copies of training images among generated images, over all positions and the 8 symmetries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, fisher_exact
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from ..base.errors import InputError
from ..base.events import never
from ..images.patches import averaged, grid_patches
from ..images.tiles import central
from .nearest import HIGHEST, Match, nearest_matches
from .realism import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels, Values
    from ..base.events import Stop

_MIDDLE = 0.75  # largest side of a searched patch, relative to the smallest training plane
# Probability that a report without copies calls any patch a copy. It is small, because unusual patches deviate from the
# exponential law.
_FALSE_ALARM = 0.01
_SAME = 0.98  # correlation from which on a held-out patch is part of the training images
_MIN_HELD_OUT = 5  # patches
# If more than a third of the held-out patches match best in one and the same symmetry, they are probably another image
# of the training field.
_ONE_SYMMETRY = 1 / 3
_BY_CHANCE = 1e-3  # probability below which such a share is no chance


@dataclass(frozen=True)
class CopyPlace:
    """The first pixel of a copied patch in the generated images; the first image is 0."""

    image: int
    row: int
    column: int


@dataclass(frozen=True)
class CopyReport:
    """How many generated patches are copies of training images.

    Parameters
    ----------
    generated_median, held_out_median
        Medians of the highest correlation of each patch.
    fraction_above_held_out_99
        Share of generated patches above the 99th percentile of the held-out ones. Without copies it is about one over
        the number of held-out patches, at least 0.01; less noise or less content increases it.
    threshold, threshold_correlation
        Margin and correlation above which a patch is a copy.
    copied
        One flag per generated patch, or the places of the copies where the generated images are known.
    copies, held_out_copies
        Number of copies among the generated and among the held-out patches.
    held_out_trained_on
        Number of held-out patches that are part of the training images. They are left out of all other numbers.
    verdict
        The result, as a message to the user.
    """

    generated_median: float
    held_out_median: float
    fraction_above_held_out_99: float
    threshold: float
    threshold_correlation: float
    copies: int
    held_out_copies: int
    held_out_trained_on: int
    copied: tuple[CopyPlace | bool, ...]
    verdict: str


@dataclass(frozen=True)
class CopySearch:
    """The result of a search for copies.

    Parameters
    ----------
    patches
        (N, y, x) the searched part of each generated patch: all of it, or its middle if the training planes are small.
    matches
        The best match of each patch, in pixels of the 2 × 2 averages of the planes.
    copied
        One flag per patch: True for a copy.
    report
        The numbers and the verdict.
    """

    patches: Pixels
    matches: tuple[Match, ...]
    copied: tuple[bool, ...]
    report: CopyReport


def copy_report(generated: Pixels, training: Sequence[Pixels], held_out: Pixels) -> CopyReport:
    """Report which generated patches are copies of training images.

    The training planes are searched for each generated patch and for held-out experimental patches, at all positions
    and in all 8 symmetries. The search uses 2 × 2 averages, which keep the structure and halve the noise.

    The correlation alone does not identify a copy, because it depends on the content: a straight filament matches many
    others. The margin does: a copy matches in one symmetry far better than in the seven others. Without copies, the
    best correlations in the 8 symmetries are maxima of similar samples. The difference between the highest and the
    second is then exponentially distributed (Weissman 1978), with the mean of the held-out patches.

    A patch is a copy in one of two cases:

    * Its margin exceeds the limit of the exponential law. The false alarms are 1 in 100 reports.
    * Its correlation exceeds the limit of Student's t for the held-out patches, on Fisher's scale. The false alarms are
      1 in 1000 reports. Patches with less content than nine tenths of the held-out ones are excluded.

    The second case finds copies of symmetric structures, which have no margin. Neither case finds a noisy copy of a
    structure that is symmetric and uniform, such as one straight line.

    Parameters
    ----------
    generated, held_out
        (N, Y, X) patches. At least 5 held-out patches must show a structure outside the training planes; 20 or more
        make the report more reliable.
    training
        (Y, X) planes, none smaller than the patches. The searched side is at most three quarters of the smallest
        plane: of larger patches only the middle is searched.

    Raises
    ------
    InputError
        If there are no generated patches or too few held-out ones, or if a plane is smaller than the patches. Also if
        the held-out patches are another image of the training field.
    """
    return look_for_copies(generated, training, held_out).report


def look_for_copies(generated: Pixels, training: Sequence[Pixels], held_out: Pixels, stop: Stop = never) -> CopySearch:
    """Return the report of `copy_report` together with the match of each generated patch.

    The parameters and errors are those of `copy_report`. `stop` is called at every patch; Stopped is raised if it
    returns True.
    """
    if not len(generated) or not len(held_out):
        raise InputError(
            "The search for copies needs generated patches, and experimental patches that the model was not trained on."
        )
    planes = [averaged(plane, 2) for plane in training]
    # A plane hardly larger than the patches has few windows, and misses copies that are shifted beyond its border.
    side = int(_MIDDLE * min(min(plane.shape) for plane in training)) // 2 * 2
    searched = [_middle(patches, side) for patches in (generated, held_out)]
    matches, held_out_matches = (nearest_matches(averaged(patches, 2), planes, stop) for patches in searched)
    return _search(searched[0], matches, held_out_matches)


def look_for_copies_within(generated: Pixels, training: Sequence[Pixels], count: int, stop: Stop = never) -> CopySearch:
    """Search for copies without held-out images: halves of the training planes are held out from each other.

    Patches of each half are looked up in all other halves. This gives the similarity of experimental patches that are
    no copies, as `copy_report` takes it from held-out images.

    Parameters
    ----------
    generated
        (N, Y, X) patches.
    training
        (Y, X) planes.
    count
        Largest number of experimental patches that are looked up.
    stop
        Called at every patch; Stopped is raised if it returns True.

    Raises
    ------
    InputError
        As `copy_report`; the training planes may be too small for patches in both halves.
    """
    if not len(generated) or not len(training):
        raise InputError("The search for copies needs generated patches and training images.")
    halves = [half for plane in training for half in _halves(plane)]
    # A half hardly larger than the patches has few windows.
    side = int(_MIDDLE * min(min(half.shape) for half in halves)) // 2 * 2
    patches = _middle(generated, side)
    matches = nearest_matches(averaged(patches, 2), [averaged(plane, 2) for plane in training], stop)
    small = [averaged(half, 2) for half in halves]
    held_out_matches: list[Match] = []
    for index, half in enumerate(halves):
        cut = spread(grid_patches([half], patches.shape[-1]), max(1, count // len(halves)))
        others = small[:index] + small[index + 1 :]
        held_out_matches += nearest_matches(averaged(cut, 2), others, stop)
    search = _search(patches, matches, held_out_matches, same_field=True)
    verdict = f"{search.report.verdict} Halves of the training images were held out from each other."
    return replace(search, report=replace(search.report, verdict=verdict))


def _halves(plane: Pixels) -> list[Pixels]:
    """Return the two halves of a plane along its longer side."""
    height, width = plane.shape
    middle = max(height, width) // 2
    return [plane[:middle], plane[middle:]] if height >= width else [plane[:, :middle], plane[:, middle:]]


def _search(
    patches: Pixels, matches: Sequence[Match], held_out_matches: Sequence[Match], *, same_field: bool = False
) -> CopySearch:
    """Return the search by the matches of generated and of held-out patches; these may be of the field searched in."""
    fits, held = _FitStatistics.of(matches), _FitStatistics.of(held_out_matches)
    # The thresholds are those of held-out patches that show a structure and are not in the training images.
    unseen = held.correlation < _SAME
    null = held.select((held.correlation > 0) & unseen)
    _check_held_out(null, len(held_out_matches), same_field)
    # Other images of the training field, which match a little less well, are left out as well.
    suspected = _leave_one_out_copies(null)
    thresholds = _copy_thresholds(null.select(~suspected), len(matches))
    copied = _is_copy(fits, thresholds)
    trained_on = int((~unseen).sum())
    flags = tuple(bool(flag) for flag in copied)
    report = CopyReport(
        generated_median=float(np.median(fits.correlation)),
        held_out_median=float(np.median(held.correlation[unseen])),
        fraction_above_held_out_99=float(np.mean(fits.correlation > np.quantile(held.correlation[unseen], 0.99))),
        threshold=thresholds.margin,
        threshold_correlation=thresholds.correlation,
        copies=int(copied.sum()),
        held_out_copies=int(suspected.sum()),
        held_out_trained_on=trained_on,
        copied=flags,
        verdict=_verdict(int(copied.sum()), len(matches), int(suspected.sum()), len(null.margin), trained_on),
    )
    return CopySearch(patches, tuple(matches), flags, report)


@dataclass(frozen=True)
class _FitStatistics:
    """Margin, highest correlation, effective pixels and symmetry of the matches of N patches, each (N,)."""

    margin: Values
    correlation: Values
    pixels: Values
    symmetry: Values

    @classmethod
    def of(cls, matches: Sequence[Match]) -> _FitStatistics:
        rows = [(match.margin, match.correlation, match.pixels, match.symmetry) for match in matches]
        return cls(*np.array(rows, np.float64).T)

    def select(self, mask: npt.NDArray[np.bool_]) -> _FitStatistics:
        return _FitStatistics(self.margin[mask], self.correlation[mask], self.pixels[mask], self.symmetry[mask])


@dataclass(frozen=True)
class _CopyThresholds:
    """A patch is a copy above `margin`, or above `correlation` if it has at least `pixels` effective pixels."""

    margin: float
    correlation: float
    pixels: float


def _copy_thresholds(null: _FitStatistics, count: int) -> _CopyThresholds:
    """Return the thresholds that `count` patches without copies do not exceed; `null` are held-out patches."""
    # A patch with little content matches many windows well: its correlation proves nothing.
    rich = float(np.quantile(null.pixels, 0.1))
    return _CopyThresholds(_threshold(null.margin, count), _correlation_limit(null.correlation, count), rich)


def _is_copy(fits: _FitStatistics, thresholds: _CopyThresholds) -> npt.NDArray[np.bool_]:
    alike = (fits.correlation > thresholds.correlation) & (fits.pixels >= thresholds.pixels)
    return np.asarray((fits.margin > thresholds.margin) | alike)


def _leave_one_out_copies(null: _FitStatistics) -> npt.NDArray[np.bool_]:
    """Return which patches (N,) are copies by the thresholds of the other patches."""
    indices = np.arange(len(null.margin))
    return np.array(
        [
            _is_copy(null.select(indices == i), _copy_thresholds(null.select(indices != i), len(indices)))[0]
            for i in indices
        ]
    )


def _check_held_out(null: _FitStatistics, total: int, same_field: bool) -> None:
    """Raise InputError if these patches, selected from `total` held-out patches, cannot serve as the reference.

    The best symmetry of a new patch is any of the 8, or any of 4 if the structure has a direction. The best symmetry of
    another image of the training field is always the same. Halves of one field (`same_field`) may have structures
    of one direction.
    """
    count = len(null.margin)
    if count < _MIN_HELD_OUT:
        raise InputError(
            f"Only {count} of {total} held-out experimental patches show a structure outside the training images, and "
            f"the search for copies needs {_MIN_HELD_OUT}: give other experimental images."
        )
    if same_field:
        return
    # With a small margin the best symmetry is random.
    symmetries = null.symmetry[null.margin > 1].astype(int)
    most = int(np.bincount(symmetries, minlength=1).max())
    if float(binom.sf(most - 1, len(symmetries), _ONE_SYMMETRY)) < _BY_CHANCE:
        raise InputError(
            f"{most} of {count} held-out experimental patches match the training images in the same orientation: they "
            "seem to be another image of the same field. Give experimental images of other fields."
        )


def _correlation_limit(correlations: Values, count: int) -> float:
    """Return the correlation that none of `count` patches without copies exceeds in 999 of 1000 reports."""
    z = np.arctanh(np.minimum(correlations, HIGHEST))
    # The distribution of one more sample of a normal distribution with unknown mean and width.
    far = float(t_distribution.ppf(1 - _FALSE_ALARM / 10 / count, len(z) - 1)) * float(z.std(ddof=1))
    return float(np.tanh(z.mean() + far * (1 + 1 / len(z)) ** 0.5))


def _middle(patches: Pixels, side: int) -> Pixels:
    """Return the middle of (N, Y, X) patches, at most `side` pixels along each axis."""
    return patches[(slice(None), *central(patches.shape[1:], side))]


def _threshold(null: Values, count: int) -> float:
    """Return the margin that none of `count` patches without copies exceeds with 99 % confidence.

    `null` (N,) holds the margins of held-out patches.
    """

    def quantile(mean: float, samples: int) -> float:
        # The ratio of an exponential variable to the mean of others has Fisher's F distribution.
        return mean * float(f_distribution.ppf(1 - _FALSE_ALARM / count, 2, 2 * samples))

    # A held-out patch with a margin above the limit of the median may be a copy: it does not raise the threshold.
    ordinary = null[null <= quantile(float(np.median(null)) / np.log(2), len(null))]
    return quantile(float(ordinary.mean()), len(ordinary))


def _verdict(copies: int, count: int, held_out_copies: int, held_out: int, trained_on: int) -> str:
    message = _message(copies, count, held_out_copies, held_out)
    if not trained_on:
        return message
    patches_are = "patch is" if trained_on == 1 else "patches are"
    return (
        f"{message} {trained_on} more experimental {patches_are} in the training images: give others for a more "
        "reliable result."
    )


def _message(copies: int, count: int, held_out_copies: int, held_out: int) -> str:
    of_held_out = f"{held_out_copies} of {held_out} experimental patches that were held out"
    if not copies:
        also = f"; {of_held_out} seem to be in them" if held_out_copies else ""
        return f"No sign of copying: none of {count} generated patches is in the training images{also}."
    copies_of_count = f"{copies} of {count} generated patches {'is' if copies == 1 else 'are'} in the training images"
    if held_out_copies and _difference_may_be_chance(copies, count, held_out_copies, held_out):
        return (
            f"Not clear: {copies_of_count}, but {of_held_out} seem to be in them as well. Look at the pairs, and "
            "give experimental images of fields outside the training images."
        )
    start = "Most are copies" if copies > count / 2 else "Some images are copied"
    return f"{start}: {copies_of_count}; {of_held_out} seem to be in them."


def _difference_may_be_chance(copies: int, count: int, held_out_copies: int, held_out: int) -> bool:
    """Return whether the two shares may differ by chance: p above 0.01 in Fisher's exact test."""
    table = [[copies, count - copies], [held_out_copies, held_out - held_out_copies]]
    return float(fisher_exact(table, alternative="greater").pvalue) > _FALSE_ALARM
