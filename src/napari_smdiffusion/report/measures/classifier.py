"""How well a small network tells generated from experimental patches."""

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

_LARGE = 256  # pixels: patches that show more of the course of a structure
_LEAST, _MOST = 48, 192  # patches of each kind that the classifier learns from


@dataclass(frozen=True)
class TwoSampleResult:
    """What the classifier says of both kinds, and of two halves of the experimental patches (`measure.classifier`)."""

    auc: float
    by_chance: float
    auc_two_halves: float
    folds: tuple[float, ...]
    patch: int
    meaning: str


def _compute(context: MeasureContext) -> TwoSampleResult | LeftOut | None:
    """Use the largest patches of which there are enough for the network to learn from."""
    if context.generated is None:
        return None
    patches = context.cut(SIZES, _LEAST)
    if patches.fewest < _LEAST:
        return LeftOut(
            f"There are {patches.fewest} patches of {patches.size} pixels of a kind, and a network needs {_LEAST} to "
            "learn to tell them apart: give more or larger images."
        )
    return _classified(patches, context.stop)


def _compute_large(context: MeasureContext) -> TwoSampleResult | None:
    """Use larger patches too, where there are enough of these."""
    if context.generated is None:
        return None
    patches = context.cut((_LARGE,), _LEAST)
    return None if patches.fewest < _LEAST else _classified(patches, context.stop)


def _classified(patches: Patches, stop: Stop) -> TwoSampleResult:
    """Ask the classifier about patches of both kinds, and about experimental ones alone."""
    # It needs torch, which reports without a classifier do without.
    from ...measure.classifier import meaning, two_sample_test

    some = patches.spread(_MOST)
    result = two_sample_test(some.experimental, some.generated, stop=stop)
    # In their order: two regions, or two images, rather than a mixture.
    halves = two_sample_test(*np.array_split(some.experimental, 2), stop=stop)
    return TwoSampleResult(
        result.auc, result.by_chance, halves.auc, result.folds, patches.size, meaning(result, halves)
    )


def _verdict(result: TwoSampleResult) -> bool:
    return result.auc < 0.5 + result.by_chance or result.auc <= result.auc_two_halves


_MEANINGS = {
    "auc": (
        "How well a small network tells generated from experimental patches that it has not seen: 0.5 is guessing and "
        "ideal, 1 is every time. It learns for a short time: one that learns for longer may tell more."
    ),
    "by_chance": "As far from 0.5 a network that guesses comes with 95 % confidence, for so many patches.",
    "auc_two_halves": (
        "The same for the first and the second half of the experimental patches, of which there are fewer: what two "
        "regions or images of the experiment differ by; generated ones should not differ more."
    ),
    "patch": "Side of the patches that the network saw, in pixels.",
    "meaning": "The same in words.",
    "folds": (
        "The same for each third of the patches, near each other at best: their spread is the least error of the mean."
    ),
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
    {"": "The same as two_sample, of larger patches, which show more of the course of a structure.", **_MEANINGS},
    units={"patch": "pixels"},
    sentences=lambda result: [f"Of larger patches: {result.meaning}"],
    verdict=_verdict,
    order=41,
)
MEASURES.register("two_sample_large")(TWO_SAMPLE_LARGE)
