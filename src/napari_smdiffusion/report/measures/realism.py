"""The realism and the diversity of generated patches."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...measure.realism import Realism, realism
from ..measure import Measure
from . import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..context import MeasureContext

# Limits of `repeated` (of very many patches), `diversity` and `coverage`; beyond them the summary has a warning.
REPEATED, ALIKE, COVERED = 0.05, 0.55, 0.4


def repeated_limit(patches: int, of_many: float = REPEATED) -> float:
    """Return the limit of `repeated` for a number of patches of the rarer kind.

    Empty patches count as repeated, and their share differs by chance: by no more than this in 95 % of the comparisons,
    whatever the share. Without this addition, a third of the comparisons of 30 patches of one STORM image of
    mitochondria had an alarm.

    Parameters
    ----------
    patches
        Number of patches of the rarer kind. If it is unknown (0), the limit is that of very many patches.
    of_many
        The limit of very many patches.
    """
    return of_many + 1.645 * math.sqrt(0.5 / patches) if patches > 0 else of_many


def _compute(context: MeasureContext) -> Realism | None:
    patches = context.patches
    if patches is None:
        return None
    return realism(patches.generated, patches.experimental, context.pixel_size, layout=context.layout)


def _sentences(result: Realism) -> Iterator[str]:
    yield (
        "Realism has no score: experimental patches differ from each other nearly as much as from the mathematical "
        "model, or there are too few. The report has the distances themselves."
        if result.score is None
        else f"Realism {result.score:.3f} ({result.score_low:.3f} to {result.score_high:.3f} with 90 % "
        "confidence): 0 is the distance between experimental patches, and 1 is that of a mathematical model."
    )
    yield from _warnings(result)


def _warnings(result: Realism) -> Iterator[str]:
    """Yield a sentence for each exceeded limit."""
    if result.repeated > repeated_limit(result.patches):
        yield f"{100 * result.repeated:.0f} % of the generated patches occur more than once: images repeat themselves."
    if result.diversity is not None and result.diversity < ALIKE:
        yield (
            f"Generated patches are too similar: their differences are {result.diversity:.2f} times those of "
            "experimental patches."
        )
    if result.coverage < COVERED:
        yield (
            f"Much of the experiment is missing: the coverage by generated patches is {100 * result.coverage:.0f} % of "
            "that by other experimental patches."
        )


def _verdict(result: Realism) -> bool:
    return not any(True for _ in _warnings(result))


_MEANINGS = {
    "score": (
        "Distance of the textures of generated patches from experimental ones. 0 is the distance between experimental "
        "patches and ideal; 1 is the distance of a mathematical model. None if that model is nearly as near. Wavy "
        "filaments hardly change it: check their curvature."
    ),
    "score_low": "The score is above this with 95 % confidence, considering only the choice of patches.",
    "score_high": "The score is below this with 95 % confidence, considering only the choice of patches.",
    "frechet_generated": (
        "Fréchet distance of generated patches to half of the experimental ones: it should be near "
        "frechet_experimental."
    ),
    "frechet_experimental": (
        "Fréchet distance between the two halves of the experimental patches: the best value for generated patches."
    ),
    "frechet_mathematical_model": (
        "Fréchet distance of the nearest mathematical model to the experimental patches: frechet_generated should be "
        "well below."
    ),
    "diversity": (
        "Differences between generated patches, relative to those between experimental ones: 1 is ideal, well below 1 "
        "means that they repeat themselves."
    ),
    "repeated": (
        "Share of the generated patches that occur more than once, beyond that of experimental ones, where empty "
        "patches do: 0 is good."
    ),
    "coverage": (
        "Share of the experimental patches with a similar generated patch, relative to other experimental patches: 1 "
        "is ideal. Near 0, generated patches repeat a few images, or differ from the experiment."
    ),
    "by_chance": (
        "Score that 95 of 100 draws of equally many real fields of this size stay below: a score below it is no "
        "difference. None if the patches are no parts of larger fields, or the experiment is too small."
    ),
    "patches": (
        "Number of patches of the rarer kind: with few patches, the other numbers vary by chance. 0 if an earlier "
        "version did not state it."
    ),
}


def _encode(result: Realism) -> dict[str, Any]:
    values = asdict(result)
    if result.by_chance is None:  # reports of earlier versions have no such key
        del values["by_chance"]
    return values


REALISM = Measure(
    "realism", Realism, _compute, _MEANINGS, sentences=_sentences, verdict=_verdict, encode=_encode, order=10
)
MEASURES.register("realism")(REALISM)
