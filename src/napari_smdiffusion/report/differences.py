"""In which measures generated images differ from experimental ones, and by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..measure.realism import Realism
from ..measure.spectrum import Spectrum
from .limits import Limits, Results, result_of
from .measure import LeftOut
from .measures import ordered_measures
from .measures.classifier import TwoSampleResult
from .measures.resolution import Resolution
from .measures.skeletons import Skeletons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..measure.filaments import FilamentDifference

# Statistics of skeletons in plain words.
SKELETON_WORDS = {
    "length_density": "the density of the structure",
    "branch_length": "the length of branches",
    "curvature": "curvature",
    "curvature_90": "kinks",
    "order": "alignment",
    "intensity_variation": "the intensity along branches",
    "free_ends": "free ends",
}
# Measures with a rule here, and those of other subjects. A measure that others add counts by its own verdict.
_KNOWN = {
    *("realism", "realism_of_training_images", "histogram", "spectrum", "two_sample", "two_sample_large"),
    *("filaments", "memorization", "resolution", "enhanced", "enhancement"),
}


@dataclass(frozen=True)
class Difference:
    """A measure in which images differ: its name in words, and its value relative to its limit (at least 1)."""

    name: str
    excess: float


def differences_of(results: Results, fewest: int, limits: Limits) -> list[Difference]:
    """Return in what generated images differ from experimental ones, the largest difference first.

    `fewest` is the number of patches of the rarer kind.
    """
    found = [
        *_textures(results, limits),
        *_recognized(results, limits),
        *_skeletons(results),
        *(_sharpness(results, limits) or _spectrum(results, limits)),
        *(_variety(results, fewest, limits) if fewest >= limits.enough else ()),
        *_others(results),
    ]
    return sorted(found, key=lambda difference: -difference.excess)


def _textures(results: Results, limits: Limits) -> Iterator[Difference]:
    realism = result_of(results, "realism", Realism)
    if realism is not None and realism.score is not None and limits.is_other_texture(realism):
        yield Difference("texture", realism.score / limits.texture_limit(realism))


def recognized_limit(result: TwoSampleResult, limits: Limits) -> float:
    """Return the AUC from which on the classifier recognizes generated patches."""
    return max(0.5 + result.by_chance, result.auc_two_halves) + limits.recognized


def _recognized(results: Results, limits: Limits) -> Iterator[Difference]:
    for key, name in (
        ("two_sample", "details that a network recognizes"),
        ("two_sample_large", "the layout, as a network recognizes it"),
    ):
        result = result_of(results, key, TwoSampleResult)
        if result is not None and result.auc > (limit := recognized_limit(result, limits)):
            yield Difference(name, (result.auc - 0.5) / (limit - 0.5))


def lies_outside(difference: FilamentDifference) -> bool:
    """Return whether a statistic of skeletons lies outside the spread of the experiment, and not by chance.

    A median of few patches may lie outside by chance; the Kolmogorov-Smirnov statistic knows the number of patches.
    """
    return not difference.inside and difference.difference > difference.by_chance


def _skeletons(results: Results) -> Iterator[Difference]:
    skeletons = result_of(results, "filaments", Skeletons)
    for name, statistic in () if skeletons is None else skeletons.differences.items():
        if lies_outside(statistic):
            above = statistic.generated > statistic.experimental
            reach = abs((statistic.high if above else statistic.low) - statistic.experimental)
            away = abs(statistic.generated - statistic.experimental)
            # All experimental patches are alike if the reach is 0.
            excess = away / reach if reach else statistic.difference / max(statistic.by_chance, 1e-9)
            yield Difference(SKELETON_WORDS.get(name, name.replace("_", " ")), excess)


def _sharpness(results: Results, limits: Limits) -> list[Difference]:
    resolution = result_of(results, "resolution", Resolution)
    if resolution is None or min(resolution.generated, resolution.experimental) <= 0:
        return []
    excess = abs(math.log(resolution.generated / resolution.experimental)) / math.log(limits.sharpness)
    return [Difference("sharpness", excess)] if excess > 1 else []


def _spectrum(results: Results, limits: Limits) -> list[Difference]:
    """Return the difference of the power spectra: that of images of one sharpness is noise or brightness."""
    spectrum = result_of(results, "spectrum", Spectrum)
    if spectrum is None or spectrum.log2_ratio < limits.doublings:
        return []
    rings = zip(
        spectrum.experimental_low,
        spectrum.experimental_high,
        spectrum.generated_low,
        spectrum.generated_high,
        strict=False,  # all have one length, except in a file that was edited
    )
    apart = [low > high_generated or high < low_generated for low, high, low_generated, high_generated in rings]
    enough = 2 * sum(apart) >= len(apart)
    return [Difference("blur, noise or brightness", spectrum.log2_ratio / limits.doublings)] if enough else []


def _variety(results: Results, fewest: int, limits: Limits) -> Iterator[Difference]:
    realism = result_of(results, "realism", Realism)
    if realism is None:
        return
    if realism.repeated > (limit := limits.repeated_limit(fewest)):
        yield Difference("patches that occur repeatedly", realism.repeated / limit)
    if realism.diversity is not None and realism.diversity < limits.variety:
        yield Difference("variety", (1 - realism.diversity) / (1 - limits.variety))
    if realism.coverage < limits.covered:
        yield Difference("parts of the experiment that are missing", (1 - realism.coverage) / (1 - limits.covered))


def _others(results: Results) -> Iterator[Difference]:
    """Yield the measures that others have added, by their own verdicts."""
    for measure in ordered_measures():
        result = results.get(measure.key)
        if measure.key in _KNOWN or result is None or isinstance(result, LeftOut):
            continue
        if measure.verdict(result) is False:
            yield Difference(measure.key.replace("_", " "), 1.0)
