"""The card of an enhancer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..store.card import write_card

if TYPE_CHECKING:
    from pathlib import Path


def write_enhancer_card(folder: Path, facts: dict[str, Any]) -> None:
    """Write the card of an enhancer into `folder`."""
    title = f"{facts['name']}: an enhancer of widefield images, ×{facts['config']['upscale']}"
    use = f"smdiffusion enhance {facts['name']} widefield.tif --out enhanced.tif"
    write_card(folder, facts, title, use, _calibration(facts.get("calibration")) + _microscope(facts))


def _microscope(facts: dict[str, Any]) -> str:
    """Return which widefield images the enhancer is for."""
    coarse = (facts["pixel_size_nm"] or 0) * facts["config"]["upscale"]
    pixels = f"For widefield images with pixels of about {coarse:.0f} nm" if coarse else "For widefield images"
    if facts.get("trained_on") != "simulated widefield":
        return f"\n## Microscope\n\n{pixels}, of the microscope that its training pairs are from.\n"
    rows = "".join(f"| {key.replace('_', ' ')} | {value} |\n" for key, value in facts["microscope"].items())
    return (
        f"\n## Microscope\n\n{pixels}, like those of the microscope that was simulated (ranges are drawn from):\n\n"
        f"| setting | value |\n|---|---|\n{rows}"
    )


def _calibration(known: dict[str, Any] | None) -> str:
    """Return a paragraph on how often the intervals of the uncertainty map hold."""
    if not known:
        return ""
    facts = known["facts"]
    place = facts["levels"].index(0.9)
    measured = facts["coverage"][place]
    on = "images held out from training" if facts["held_out"] else "the training images themselves"
    rank = facts["rank_correlation"]
    told = "" if rank is None else f"; the width of the intervals and the error have a rank correlation of {rank:.2f}"
    share = f"{100 * measured:.1f} %"
    if "coverage_least" in facts:  # models of former versions have none
        least, most = (100 * facts[f"coverage_{end}"][place] for end in ("least", "most"))
        share += f" ({least:.0f} to {most:.0f} % by field)"
    if facts.get("coverage_bright"):
        share += f", and {100 * facts['coverage_bright'][place]:.1f} % of the bright ones,"
    if facts.get("coverage_faint"):
        at_half, at_nine = (100 * facts["coverage_faint"][facts["levels"].index(level)] for level in (0.5, 0.9))
        share += f" and {at_nine:.1f} % of the faint ones, which are neither bright nor 0 (and {at_half:.1f} % for 50),"
    return (
        f"\n## Uncertainty\n\nOf the pixels of widefield images of {on}, {share} lay in the interval that is "
        f"to hold 90 %{told}. Nothing is promised for images of another kind.\n"
    )
