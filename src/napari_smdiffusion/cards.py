"""The model card: a README and a picture that lie in every model folder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


# How often each part of the training images is seen. Of the models of four patches that saw them 2 200 times one of
# five copied, and all that saw them 11 000 times; of sixteen, that saw them 2 800 times, one of five, and of 64, that
# saw them 690 times, none (docs/results.md, claim B).
_SEEN_TOO_OFTEN = 2000


def times_seen(facts: Mapping[str, Any], step: int) -> float:
    """Return how often a diffusion model has seen each part of its training images after `step` steps."""
    pixels = sum(math.prod(image["shape"]) for image in facts["training_data"])
    return float(step * facts["config"]["batch"] * facts["config"]["patch"] ** 2 / pixels)


def copying(facts: Mapping[str, Any], step: int) -> str:
    """Return a warning where it has seen them so often that such models began to copy; else nothing."""
    seen = times_seen(facts, step)
    if seen < _SEEN_TOO_OFTEN:
        return ""
    return (
        f"Each part of the training images was seen {seen:.0f} times, and from about {_SEEN_TOO_OFTEN} times on models "
        "of few patches begin to copy them: look for copies (Compare images, or smdiffusion compare --training), and "
        "train for a shorter time or on more images if there are any."
    )


def write_diffusion_card(folder: Path, facts: dict[str, Any]) -> None:
    """Write the card of a diffusion model into `folder`; `judged` among the facts is Markdown of how good it was."""
    title = f"{facts['name']}: a diffusion model of super-resolution images"
    size = facts["imported"]["image_size"] if "imported" in facts else 512
    use = f"smdiffusion generate {facts['name']} --out generated.tif --count 16 --size {size}"
    warning = "" if "imported" in facts else copying(facts, facts.get("steps", 0))
    more = f"\n## Copies\n\n{warning}\n" if warning else ""
    _write(folder, facts, title, use, more + facts.get("judged", ""))


def write_enhancer_card(folder: Path, facts: dict[str, Any]) -> None:
    """Write the card of an enhancer into `folder`."""
    title = f"{facts['name']}: an enhancer of widefield images, ×{facts['config']['upscale']}"
    use = f"smdiffusion enhance {facts['name']} widefield.tif --out enhanced.tif"
    _write(folder, facts, title, use, _calibration(facts.get("calibration")) + _microscope(facts))


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


def _write(folder: Path, facts: dict[str, Any], title: str, use: str, more: str = "") -> None:
    data = "".join(f"- {d['name']}, {' × '.join(map(str, d['shape']))} pixels\n" for d in facts["training_data"])
    pixel = f"{facts['pixel_size_nm']:.4g} nm" if facts["pixel_size_nm"] else "not known"
    imported = facts.get("imported")
    settings = "".join(f"| {key} | {value} |\n" for key, value in (imported or facts["config"]).items())
    steps = f"{facts.get('steps', 0)} steps"
    if facts.get("curve"):
        _draw_curve(folder / "picture.png", facts["curve"])
        picture = "\n![Loss while training](picture.png)\n"
    else:
        picture = ""
    here = f"napari-smdiffusion {facts['versions']['napari-smdiffusion']} on {facts['date']}"
    if imported:
        made = f"Trained by improved_diffusion_for_SMLM, {steps}; imported from {imported['file']} by {here}"
        data = "Not known: the checkpoint does not say.\n"
    else:
        made = f"Trained by {here}, {steps}"
    text = (
        f"# {title}\n\n{made}. Pixel size of its images: {pixel}.\n\n"
        f"Everything it makes is synthetic or enhanced, not measured: say so wherever it is shown.\n\n"
        f"    {use}\n\n## Training data\n\n{data}{facts.get('attribution', '')}{picture}{more}\n"
        f"## Settings\n\n| setting | value |\n|---|---|\n{settings}"
    )
    # Names of files may be in an encoding of their own.
    (folder / "README.md").write_text(text, encoding="utf-8", errors="replace")


def _draw_curve(path: Path, curve: list[list[float]]) -> None:
    """Draw the loss against the step, with a line for each noise quartile where there are any."""
    # The figure's own canvas: pyplot would pick a backend, and may ask for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    steps = [row[0] for row in curve]
    names = ("mean", "lowest noise quartile", "second", "third", "highest")
    for column in range(1, min(len(row) for row in curve)):
        axes.plot(steps, [row[column] for row in curve], label=names[column - 1], lw=2 if column == 1 else 1)
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    figure.legend(fontsize=8, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, dpi=80)
