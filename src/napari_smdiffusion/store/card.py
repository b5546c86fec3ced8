"""The model card: a README and a picture that lie in every model folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def write_card(folder: Path, facts: dict[str, Any], title: str, use: str, more: str = "") -> None:
    """Write README.md and picture.png of a model into its folder."""
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
