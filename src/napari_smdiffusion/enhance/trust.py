"""How far the intervals of an enhancer's uncertainty can be trusted, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..images.provenance import join_names
from .facts import SIMULATED_WIDEFIELD

if TYPE_CHECKING:
    from .facts import EnhancerRecord

# Measured with two bundled enhancers on one cell each (docs/results.md): pixels above 0 in the STORM image.
_STATED, _REAL = 90, "77 to 78"  # %: mitochondria and microtubules


def trust_sentence(record: EnhancerRecord | None, *, samples: bool = False) -> str:
    """Return how far the intervals hold on real images; None is an enhancer that will be trained.

    With `samples`, the intervals are those around the mean of posterior samples.
    """
    if samples:
        return _of_samples(record)
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


def _of_samples(record: EnhancerRecord | None) -> str:
    """Return how far the intervals around the mean of samples hold."""
    meaning = "The intervals are about the image blurred by 2 pixels: single grains of the truth are not predictable."
    other = "On real images fewer may hold: calibrate on a pair of your own."
    if record is None:
        return f"{meaning} They are measured on simulated images, or on your pairs. {other}"
    if record.samples_calibration is None:
        return "The samples of this enhancer have no calibration: the map shows their standard deviation."
    facts = record.samples_calibration.facts
    if 0.9 not in facts.levels:
        return f"{meaning} {other}"
    nine = facts.at(0.9)
    own = record.samples.calibrated_on if record.samples is not None else ()
    simulated = record.trained_on == SIMULATED_WIDEFIELD and not own
    images = "simulated images" if simulated else "held-out parts of the real pairs"
    if own:
        images = f"your {'pairs' if len(own) > 1 else 'pair'} {join_names(own)}"
    share = f"{100 * facts.coverage[nine]:.0f} % of the pixels"
    if facts.coverage_bright:
        share += f" ({100 * facts.coverage_bright[nine]:.0f} % of the bright ones)"
    end = other if simulated else "Another sample or microscope may have fewer."
    return f"{meaning} Intervals of 90 % held for {share} of {images}. {end}"
