"""The card of an enhancer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.json_values import to_json
from ..store.card import CardText, program_and_date, training_list, write_card
from .facts import SIMULATED_WIDEFIELD

if TYPE_CHECKING:
    from pathlib import Path

    from .facts import CalibrationFacts, EnhancerRecord


def write_enhancer_card(folder: Path, record: EnhancerRecord) -> None:
    """Write the card of an enhancer into `folder`."""
    text = CardText(
        f"{record.name}: an enhancer of widefield images, ×{record.config.upscale}",
        f"smdiffusion enhance {record.name} widefield.tif --out enhanced.tif",
        f"Trained by {program_and_date(record)}, {record.steps} steps",
        training_list(record),
        to_json(record.config),
        ("" if record.calibration is None else _calibration(record.calibration.facts)) + _microscope(record),
    )
    write_card(folder, record, record.pixel_size_nm, text)


def _microscope(record: EnhancerRecord) -> str:
    """Return which widefield images the enhancer is for."""
    coarse = (record.pixel_size_nm or 0) * record.config.upscale
    pixels = f"For widefield images with pixels of about {coarse:.0f} nm" if coarse else "For widefield images"
    if record.trained_on != SIMULATED_WIDEFIELD:
        return f"\n## Microscope\n\n{pixels}, of the microscope that its training pairs are from.\n"
    settings = to_json(record.microscope)
    rows = "".join(f"| {key.replace('_', ' ')} | {value} |\n" for key, value in settings.items())
    return (
        f"\n## Microscope\n\n{pixels}, like those of the microscope that was simulated (ranges are drawn from):\n\n"
        f"| setting | value |\n|---|---|\n{rows}"
    )


def _calibration(facts: CalibrationFacts) -> str:
    """Return a paragraph on how often the intervals of the uncertainty map hold."""
    nine = facts.at(0.9)
    on = "images held out from training" if facts.held_out else "the training images themselves"
    rank = facts.rank_correlation
    told = "" if rank is None else f"; the width of the intervals and the error have a rank correlation of {rank:.2f}"
    share = f"{100 * facts.coverage[nine]:.1f} %"
    if facts.coverage_least and facts.coverage_most:
        share += f" ({100 * facts.coverage_least[nine]:.0f} to {100 * facts.coverage_most[nine]:.0f} % by field)"
    if facts.coverage_bright:
        share += f", and {100 * facts.coverage_bright[nine]:.1f} % of the bright ones,"
    if facts.coverage_faint:
        at_half, at_nine = (100 * facts.coverage_faint[facts.at(level)] for level in (0.5, 0.9))
        share += f" and {at_nine:.1f} % of the faint ones, which are neither bright nor 0 (and {at_half:.1f} % for 50),"
    return (
        f"\n## Uncertainty\n\nOf the pixels of widefield images of {on}, {share} lay in the interval that is "
        f"to hold 90 %{told}. Nothing is promised for images of another kind.\n"
    )
