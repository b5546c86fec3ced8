"""The card of a model as rows of text: what it is for, what it was tested on, and what it is not for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..images.provenance import join_names
from .catalogue import find_model
from .facts import ModelSummary
from .folder import Kind, read_facts

if TYPE_CHECKING:
    import os

NOT_STATED = "not stated"


@dataclass(frozen=True)
class ModelCard:
    """The facts that a user reads before using a model.

    Parameters
    ----------
    name, kind
        Name and kind of the model.
    rows
        (label, text) pairs.
    """

    name: str
    kind: Kind
    rows: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The card as lines of plain text."""
        width = max(len(label) for label, _ in self.rows)
        heading = "diffusion model" if self.kind == "diffusion" else "enhancer"
        return "\n".join([f"{self.name} ({heading})", *(f"  {label:{width}}  {text}" for label, text in self.rows)])


def read_model_card(model: str | os.PathLike[str], kind: Kind) -> ModelCard:
    """Return the card of a model from its name or folder; raises ModelFolderError if it is missing or damaged."""
    folder = find_model(model, kind)
    summary = read_facts(folder, kind, ModelSummary)
    return ModelCard(folder.name, kind, (*card_rows(summary, kind), ("folder", str(folder))))


def card_rows(summary: ModelSummary, kind: Kind) -> tuple[tuple[str, str], ...]:
    """Return the (label, text) rows of a card from the facts of a model."""
    rows = [("structure", summary.shows or NOT_STATED)]
    if kind == "enhancer":
        rows += [
            ("widefield pixels", _widefield_pixels(summary)),
            ("result", _result(summary)),
            ("optics", _optics(summary)),
            ("samples", _samples(summary)),
        ]
    else:
        rows.append(("pixel size", _nanometres(summary.pixel_size_nm)))
    rows += [
        ("trained on", _training(summary)),
        *([("calibrated on", join_names(summary.calibrated_on))] if summary.calibrated_on else []),
        ("tested on", summary.tested_on or "nothing that is stated: compare a result with an image that you trust"),
        ("not for", summary.not_for or "other structures, pixel sizes and microscopes than those of its training"),
        *([("authors", join_names(summary.authors))] if summary.authors else []),
        ("license", summary.license or f"{NOT_STATED}: ask the author before you share it"),
        ("citation", summary.citation or NOT_STATED),
    ]
    return tuple(rows)


def _widefield_pixels(summary: ModelSummary) -> str:
    coarse = summary.widefield_pixel_size
    if coarse is None:
        return "unknown: images are enhanced as they are"
    return f"{coarse:.3g} nm; {coarse / 2:.0f} to {2 * coarse:.0f} nm are resampled"


def _result(summary: ModelSummary) -> str:
    factor = summary.config.upscale
    return f"×{factor}, trained for {_nanometres(summary.pixel_size_nm)}"


def _optics(summary: ModelSummary) -> str:
    if summary.trained_on == "registered pairs":
        return "the microscope of the training pairs"
    optics = summary.microscope
    if optics is None or optics.na is None or optics.wavelength is None:
        return NOT_STATED
    return f"NA {optics.na:g}, {optics.wavelength:g} nm, simulated"


def _samples(summary: ModelSummary) -> str:
    if summary.samples is None:
        return "none: it makes best estimates only"
    return f"drawn by a network of {summary.samples.steps} training steps"


def _training(summary: ModelSummary) -> str:
    names = list(dict.fromkeys(image.name for image in summary.training_data))  # of several parts, once
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
    return f"{shown or 'images that are not stated'}; {summary.steps} steps{summary.date and f', {summary.date}'}"


def _nanometres(value: float | None) -> str:
    return f"{value:.3g} nm" if value else "unknown pixel size"
