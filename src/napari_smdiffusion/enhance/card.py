"""The model card of an enhancer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.json_values import to_json
from ..images.provenance import join_names
from ..posterior.trust import BLUR
from ..store.card import CardText, program_and_date, quoted, training_list, write_card
from .facts import SIMULATED_WIDEFIELD

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .facts import CalibrationFacts, EnhancerRecord


def write_enhancer_card(folder: Path, record: EnhancerRecord) -> None:
    """Write the model card of an enhancer into `folder`."""
    text = CardText(
        f"{record.name}: an enhancer of widefield images, ×{record.config.upscale}",
        f"smdiffusion enhance {quoted(record.name)} widefield.tif --out enhanced.tif",
        f"Trained by {program_and_date(record)}, {record.steps} steps",
        training_list(record),
        to_json(record.config),
        _uncertainty(record) + _samples(record) + _microscope(record),
    )
    write_card(folder, record, record.pixel_size_nm, text)


def _microscope(record: EnhancerRecord) -> str:
    """Return the section on the widefield images that the enhancer is made for."""
    coarse = (record.pixel_size_nm or 0) * record.config.upscale
    pixels = f"For widefield images with pixels of about {coarse:.0f} nm" if coarse else "For widefield images"
    if record.trained_on != SIMULATED_WIDEFIELD:
        return f"\n## Microscope\n\n{pixels}, from the microscope of the training pairs.\n"
    settings = to_json(record.microscope)
    rows = "".join(f"| {key.replace('_', ' ')} | {value} |\n" for key, value in settings.items())
    return (
        f"\n## Microscope\n\n{pixels}, from a microscope like the simulated one. From a range, values are drawn.\n\n"
        f"| setting | value |\n|---|---|\n{rows}"
    )


def _uncertainty(record: EnhancerRecord) -> str:
    """Return the section on the coverage of the intervals of the uncertainty map."""
    if record.calibration is None:
        return ""
    return f"\n## Uncertainty\n\n{_coverage(record.calibration.facts, record.calibrated_on)}\n"


def _samples(record: EnhancerRecord) -> str:
    """Return the section on the posterior samples: what they are, their training and their intervals."""
    facts = record.samples
    if facts is None:
        return ""
    start = "" if facts.started_from is None else f", from the weights of {facts.started_from}"
    sentences = [
        "The enhancer draws posterior samples: sharp images that could all have made the widefield image, and are "
        "equally probable. What all of them show is likely there; what comes and goes is not to be trusted. They do "
        "not protect from a structure that the enhancer was not trained on.",
        f"Their network was trained in {facts.steps} steps{start}.",
        f"A sample takes {facts.evaluations} evaluations of it.",
    ]
    if facts.microscope is not None and facts.microscope != record.microscope:
        own, other = to_json(facts.microscope), to_json(record.microscope)
        named = (f"{key.replace('_', ' ')} {value}" for key, value in own.items() if value != other[key])
        sentences.append(f"Their microscope differs from that of the best estimate: {', '.join(named)}.")
    if not facts.complete:
        sentences.append("The training was stopped before its planned end.")
    if record.samples_calibration is None:
        sentences.append("Their intervals are not calibrated.")
    else:
        sentences.append(
            "The intervals of the uncertainty are around the best estimate, and about the image blurred by "
            f"{BLUR:g} pixels. {_coverage(record.samples_calibration.facts, facts.calibrated_on)}"
        )
    command = f"smdiffusion enhance {quoted(record.name)} widefield.tif --out enhanced.tif --samples 8"
    return f"\n## Samples\n\n{' '.join(sentences)}\n\n    {command}\n"


def _coverage(facts: CalibrationFacts, pairs: Sequence[str]) -> str:
    """Return sentences on the coverage of the intervals; `pairs` are those of a calibration after the training."""
    nine = facts.at(0.9)
    images = "images held out from training" if facts.held_out else "the training images"
    if pairs:
        own = f"your {'pair' if len(pairs) == 1 else 'pairs'} {join_names(pairs)}"
        images = own if facts.held_out else f"{own}, which was trained on"
    measured = f"They were calibrated on {images}." if pairs else f"They were measured on {images}."
    rank = facts.rank_correlation
    share = f"{100 * facts.coverage[nine]:.1f} %"
    if facts.coverage_least and facts.coverage_most:
        share += f" ({100 * facts.coverage_least[nine]:.0f} to {100 * facts.coverage_most[nine]:.0f} % by field)"
    sentences = [f"The 90 % intervals cover {share} of the pixels. {measured}"]
    if facts.coverage_bright:
        sentences.append(f"They cover {100 * facts.coverage_bright[nine]:.1f} % of the bright pixels.")
    if facts.coverage_faint:
        at_half, at_nine = (100 * facts.coverage_faint[facts.at(level)] for level in (0.5, 0.9))
        sentences.append(
            f"They cover {at_nine:.1f} % of the faint pixels (above 0, below the mean), and the 50 % intervals "
            f"{at_half:.1f} %."
        )
    if rank is not None:
        sentences.append(f"The width of the intervals and the error have a rank correlation of {rank:.2f}.")
    sentences.append("The coverage may differ for images of another kind.")
    return " ".join(sentences)
