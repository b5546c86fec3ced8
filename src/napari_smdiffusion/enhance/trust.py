"""How far the intervals of an enhancer's uncertainty can be trusted, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..images.provenance import join_names
from .facts import SIMULATED_WIDEFIELD

if TYPE_CHECKING:
    from .facts import EnhancerRecord

# Measured with two bundled enhancers on one cell each (docs/results.md): pixels above 0 in the STORM image.
_STATED, _REAL = 90, "73 to 81"  # %: mitochondria and microtubules


def trust_sentence(record: EnhancerRecord | None) -> str:
    """Return how far the intervals hold on real images; None is an enhancer that will be trained."""
    real = (
        f"On two real images, {_REAL} % of the pixels with structure were in intervals of {_STATED} %: on "
        "structure the map is too small."
    )
    if record is None:
        return f"The intervals are measured on simulated images, or on your pairs. {real}"
    if record.calibration is None:
        return "This enhancer has no calibration: it makes no uncertainty map."
    facts = record.calibration.facts
    if 0.9 not in facts.levels:
        return real
    nine = facts.at(0.9)
    if record.calibrated_on:
        pairs = f"pair{'s' * (len(record.calibrated_on) > 1)} {join_names(record.calibrated_on)}"
        trained = "" if facts.held_out else ", which was trained on"
        return (
            f"The intervals are calibrated on your {pairs}{trained}: those of 90 % held for "
            f"{100 * facts.coverage[nine]:.0f} % of its pixels. Another sample or microscope may have fewer."
        )
    images = "simulated images" if record.trained_on == SIMULATED_WIDEFIELD else "held-out parts of the real pairs"
    held_out = "" if facts.held_out else ", which were trained on"
    bright = f" ({100 * facts.coverage_bright[nine]:.0f} % of the bright ones)" if facts.coverage_bright else ""
    share = f"{100 * facts.coverage[nine]:.0f} % of the pixels{bright}"
    stated = f"Intervals of 90 % held for {share} of {images}{held_out}."
    if record.trained_on != SIMULATED_WIDEFIELD:
        return f"{stated} Another sample or microscope may have fewer."
    return f"{stated} {real}"
