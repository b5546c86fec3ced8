"""The model card: a README and a picture that lie in every model folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .facts import TrainingFacts


@dataclass(frozen=True)
class CardText:
    """What differs between the cards of models.

    Parameters
    ----------
    title
        The heading.
    use
        The command that uses the model.
    made
        How it was made, for the first sentence, without a full stop.
    data
        Markdown of what it was trained on.
    settings
        How it was trained.
    more
        Markdown of further sections.
    """

    title: str
    use: str
    made: str
    data: str
    settings: Mapping[str, object]
    more: str = ""


def trained_here(facts: TrainingFacts) -> str:
    """Return by which version a model was made, and when."""
    return f"napari-smdiffusion {facts.versions.get('napari-smdiffusion', '')} on {facts.date}"


def training_list(facts: TrainingFacts) -> str:
    """Return the training images as a list in Markdown."""
    return "".join(f"- {d.name}, {' × '.join(map(str, d.shape))} pixels\n" for d in facts.training_data)


def write_card(folder: Path, facts: TrainingFacts, pixel_size: float | None, text: CardText) -> None:
    """Write README.md and picture.png of a model into its folder; the pixel size is in nm."""
    pixel = f"{pixel_size:.4g} nm" if pixel_size else "not known"
    settings = "".join(f"| {key} | {value} |\n" for key, value in text.settings.items())
    picture = ""
    if facts.curve:
        _draw_curve(folder / "picture.png", facts.curve)
        picture = "\n![Loss while training](picture.png)\n"
    page = (
        f"# {text.title}\n\n{text.made}. Pixel size of its images: {pixel}.\n\n"
        f"Everything it makes is synthetic or enhanced, not measured: say so wherever it is shown.\n\n"
        f"    {text.use}\n\n## Training data\n\n{text.data}{facts.attribution}{picture}{text.more}\n"
        f"## Settings\n\n| setting | value |\n|---|---|\n{settings}"
    )
    # Names of files may be in an encoding of their own.
    (folder / "README.md").write_text(page, encoding="utf-8", errors="replace")


def _draw_curve(path: Path, curve: Sequence[Sequence[float]]) -> None:
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
