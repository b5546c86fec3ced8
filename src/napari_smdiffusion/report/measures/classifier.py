"""A classifier two-sample test: how well a small network distinguishes generated from experimental patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..context import SIZES
from ..measure import LeftOut, Measure
from . import MEASURES

if TYPE_CHECKING:
    from ...base.events import Stop
    from ..context import MeasureContext, Patches

_LARGE = 256  # pixels: patches that show more of the layout of a structure
_LEAST, _MOST = 48, 192  # training patches of each kind


@dataclass(frozen=True)
class TwoSampleResult:
    """The result for both kinds, and for two halves of the experimental patches; see `measure.classifier`."""

    auc: float
    by_chance: float
    auc_two_halves: float
    folds: tuple[float, ...]
    patch: int
    meaning: str


def _compute(context: MeasureContext) -> TwoSampleResult | LeftOut | None:
    """Compare the largest patches of which there are enough to train the network."""
    if context.generated is None:
        return None
    patches = context.cut(SIZES, _LEAST)
    if patches.fewest < _LEAST:
        return LeftOut(
            f"One kind has {patches.fewest} patches of {patches.size} pixels, and the classifier needs {_LEAST}: give "
            "more or larger images."
        )
    return _two_sample(patches, context.stop)


def _compute_large(context: MeasureContext) -> TwoSampleResult | None:
    """Compare larger patches if there are enough."""
    if context.generated is None:
        return None
    patches = context.cut((_LARGE,), _LEAST)
    return None if patches.fewest < _LEAST else _two_sample(patches, context.stop)


def _two_sample(patches: Patches, stop: Stop) -> TwoSampleResult:
    """Compare both kinds of patches, and two halves of the experimental ones."""
    # Imported here, because torch is slow to load and other measures do not need it.
    from ...measure.classifier import meaning, two_sample_test

    sample = patches.spread(_MOST)
    result = two_sample_test(sample.experimental, sample.generated, stop=stop)
    # Not shuffled, so that the halves are two regions or two images.
    halves = two_sample_test(*np.array_split(sample.experimental, 2), stop=stop)
    return TwoSampleResult(
        result.auc, result.by_chance, halves.auc, result.folds, patches.size, meaning(result, halves)
    )


def _verdict(result: TwoSampleResult) -> bool:
    return result.auc < 0.5 + result.by_chance or result.auc <= result.auc_two_halves


_MEANINGS = {
    "auc": (
        "Probability that a small network finds the generated one of two new patches: 0.5 is guessing and ideal, 1 "
        "is always. Its training is short; a longer one may find more differences."
    ),
    "by_chance": "With 95 % confidence, a network that guesses is within this distance of 0.5.",
    "auc_two_halves": (
        "The same for the first and the second half of the experimental patches, which are fewer. It shows how much "
        "two regions or images of the experiment differ; generated patches should not differ more."
    ),
    "patch": "Side of the network's patches in pixels.",
    "meaning": "The result in words.",
    "folds": "The same for each third of the patches. Their spread is a lower limit of the error of the mean.",
}

TWO_SAMPLE = Measure(
    "two_sample",
    TwoSampleResult,
    _compute,
    _MEANINGS,
    units={"patch": "pixels"},
    sentences=lambda result: [result.meaning],
    verdict=_verdict,
    order=40,
)
MEASURES.register("two_sample")(TWO_SAMPLE)

TWO_SAMPLE_LARGE = Measure(
    "two_sample_large",
    TwoSampleResult,
    _compute_large,
    {"": "The same as two_sample for larger patches, which show more of the layout of a structure.", **_MEANINGS},
    units={"patch": "pixels"},
    sentences=lambda result: [f"Larger patches: {result.meaning}"],
    verdict=_verdict,
    order=41,
)
MEASURES.register("two_sample_large")(TWO_SAMPLE_LARGE)
