"""The model card: a README and a picture in every model folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..images.regions import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .facts import TrainingFacts


@dataclass(frozen=True)
class CardText:
    """The texts of a model card that depend on the kind of model.

    Parameters
    ----------
    title
        The heading.
    use
        The command that uses the model.
    origin
        The first sentence, without a full stop: program, date and length of the training.
    data
        Markdown on the training images.
    settings
        Settings of the training, by name.
    more
        Markdown of further sections.
    """

    title: str
    use: str
    origin: str
    data: str
    settings: Mapping[str, object]
    more: str = ""


def program_and_date(facts: TrainingFacts) -> str:
    """Return the version of this package that trained or imported a model, and the date."""
    return f"napari-smdiffusion {facts.versions.get('napari-smdiffusion', '')} on {facts.date}"


def training_list(facts: TrainingFacts) -> str:
    """Return the training images as a list in Markdown."""
    return "".join(
        f"- {image.group and f'{image.group}: '}{image.name}, {' × '.join(map(str, image.shape))} pixels"
        f"{f' ({in_words(image.window)})' if image.window else ''}\n"
        for image in facts.training_data
    )


def quoted(name: str) -> str:
    """Return a name as a word of a command: in quotes if it holds blanks or characters that a shell replaces."""
    plain = all(character.isalnum() or character in "-_.,+=@%" for character in name)
    return name if plain and name else f'"{name}"'


def write_card(folder: Path, facts: TrainingFacts, pixel_size: float | None, text: CardText) -> None:
    """Write README.md, and picture.png if there is a loss curve, into a model folder; the pixel size is in nm."""
    pixel = f"{pixel_size:.4g} nm" if pixel_size else "unknown"
    settings = "".join(f"| {key} | {value} |\n" for key, value in text.settings.items())
    picture = ""
    if facts.curve:
        _draw_curve(folder / "picture.png", facts.curve)
        picture = "\n![Loss during training](picture.png)\n"
    stated = (
        ("structure", facts.shows),
        ("tested on", facts.tested_on),
        ("not for", facts.not_for),
        ("license", facts.license),
        ("citation", facts.citation),
    )
    purpose = "".join(f"- {label}: {value}\n" for label, value in stated if value)
    page = (
        f"# {text.title}\n\n{text.origin}. Pixel size of its images: {pixel}.\n\n"
        "Its images are synthetic or enhanced, not measured. State this wherever they are shown.\n\n"
        f"    {text.use}\n\n{purpose}{bool(purpose) * chr(10)}"
        f"## Training data\n\n{text.data}{facts.attribution}{picture}{text.more}\n"
        f"## Settings\n\n| setting | value |\n|---|---|\n{settings}"
    )
    # Names of training images may hold bytes that are not valid UTF-8.
    (folder / "README.md").write_text(page, encoding="utf-8", errors="replace")


def _draw_curve(path: Path, curve: Sequence[Sequence[float]]) -> None:
    """Draw the loss against the training step; the rows of a diffusion model also have the loss by noise quartile."""
    # A figure without pyplot, which would choose a backend and may need a display.
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
