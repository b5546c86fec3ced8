"""What the Enhance dock states at the end of its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...posterior.facts import SamplerFacts
from ..frame.background import error_message
from ..viewer.large_results import where_written
from ..viewer.trust_map import samples_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...enhance.model import Enhancer
    from ...recipes.enhance_results import EnhanceResult
    from ...recipes.outcome import Trained


def outcome_sentences(result: EnhanceResult, trusted: Sequence[str]) -> list[str]:
    """Return the number of enhanced layers, where they are stored, what samples show, and the failures.

    `trusted` are the sentences on how far the samples of each layer agree; "" for a layer without samples.
    """
    enhanced = f"{len(result.images)} of {result.count} layers enhanced ×{result.enhancer.config.upscale}."
    enhanced += " The work was stopped: what was complete is kept." * result.stopped
    stored = [where_written(image.path) for image in result.images if image.path is not None]
    drawn = [*filter(None, trusted), *samples_sentences([image.enhancement for image in result.images])]
    failures = [error_message(failure.error, failure.doing).removesuffix(".") + "." for failure in result.failures]
    return [enhanced, *stored, *drawn, *failures]


def last_part(enhancer: Enhancer) -> Trained:
    """Return the facts of the last part of a training, which a stop leaves unfinished: that of the samples, if any."""
    if enhancer.config.method == "estimate":
        return enhancer.facts
    return SamplerFacts() if enhancer.sampler is None else enhancer.sampler.facts
