"""How real generated patches look, and how diverse they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...measure.realism import Realism, realism
from ..measure import Measure
from . import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..context import MeasureContext

# Beyond these the summary says that images repeat themselves or leave much out.
_REPEATED, _ALIKE, _COVERED = 0.05, 0.55, 0.4


def _compute(context: MeasureContext) -> Realism | None:
    patches = context.patches
    if patches is None:
        return None
    return realism(patches.generated, patches.experimental, context.pixel_size)


def _sentences(result: Realism) -> Iterator[str]:
    yield (
        "Realism has no scale here: the experimental patches are hardly nearer to each other than to the mathematical "
        "model, or too few to tell. The report holds the distances themselves."
        if result.score is None
        else f"Realism {result.score:.3f} ({result.score_low:.3f} to {result.score_high:.3f} with 90 % "
        "confidence): 0 is as near to experimental patches as they are to each other, 1 as far as a mathematical model."
    )
    yield from _complaints(result)


def _complaints(result: Realism) -> Iterator[str]:
    """Yield a sentence for each limit that is exceeded."""
    if result.repeated > _REPEATED:
        yield f"{100 * result.repeated:.0f} % of the generated patches come more than once: they repeat themselves."
    if result.diversity is not None and result.diversity < _ALIKE:
        yield (
            f"Generated patches are too much alike: they differ {result.diversity:.2f} times as much from each "
            "other as experimental ones."
        )
    if result.coverage < _COVERED:
        yield (
            f"Of what the experiment shows much is missing: generated patches cover {100 * result.coverage:.0f} % "
            "of what other experimental patches do."
        )


def _verdict(result: Realism) -> bool:
    return not any(True for _ in _complaints(result))


_MEANINGS = {
    "score": (
        "How far the textures of generated patches are from experimental ones: 0 is as near as those are "
        "to each other and ideal, 1 is as far as a mathematical model; there is none where that model is nearly as "
        "near. Wavy filaments hardly show here: look at their curvature."
    ),
    "score_low": "The score is above this with 95 % confidence, as far as the choice of patches goes.",
    "score_high": "The score is below this with 95 % confidence, as far as the choice of patches goes.",
    "frechet_generated": (
        "Fréchet distance of generated patches to half of the experimental ones: the nearer to the distance of the two "
        "experimental halves, the better."
    ),
    "frechet_experimental": (
        "Fréchet distance of the two halves of the experimental patches: the least that can be asked of generated ones."
    ),
    "frechet_mathematical_model": (
        "Fréchet distance of the nearest mathematical model to the experimental patches: generated ones should be well "
        "below."
    ),
    "diversity": (
        "How different generated patches are from each other, relative to experimental ones: 1 is ideal, well below 1 "
        "means that they repeat themselves."
    ),
    "repeated": (
        "Share of the generated patches that come more than once, beyond that of experimental ones (empty ones do): 0 "
        "is good."
    ),
    "coverage": (
        "How many of the experimental patches have a generated one that is like them, relative to other experimental "
        "patches: 1 is ideal, and near 0 the generated patches repeat a few images or look like none of the experiment."
    ),
}

REALISM = Measure("realism", Realism, _compute, _MEANINGS, sentences=_sentences, verdict=_verdict, order=10)
MEASURES.register("realism")(REALISM)
