"""The choice of an enhancer for widefield images, by their pixel size and by the structure that they show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .pixel_fit import PixelFit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ..store.catalogue import ModelEntry
    from .pixel_fit import PixelSides

OTHER_STRUCTURE = "another structure"  # an answer: none of the structures of the enhancers at hand


def fitting_enhancer(
    entries: Iterable[ModelEntry], pixel_sizes: Collection[PixelSides], structure: str, preferred: str = ""
) -> ModelEntry | None:
    """Return the enhancer of a structure whose pixels are nearest to those of all images, or None.

    Parameters
    ----------
    entries
        The enhancers to choose from.
    pixel_sizes
        The known pixel sizes of the images in nm, (y, x) where they are not square; empty if all are unknown.
    structure
        What the images show; "" if it is unknown, and then no enhancer is chosen: any enhancer draws the structure
        that it was trained on.
    preferred
        Name of the enhancer to choose if several fit.
    """
    fitting = [entry for entry in entries if structure and _fits(entry, pixel_sizes, structure)]
    # Python's sort is stable: among equals the first of the catalogue is chosen.
    return min(fitting, key=lambda entry: (entry.name != preferred, _distance(entry, pixel_sizes)), default=None)


def known_structures(entries: Iterable[ModelEntry]) -> list[str]:
    """Return the structures that the enhancers were trained on, each once."""
    return list(dict.fromkeys(entry.summary.structure for entry in entries if entry.summary.structure))


def mismatch(enhancer: str, own: str, structures: Collection[str]) -> str:
    """Return a sentence if images of these structures are enhanced with an enhancer of another one; otherwise "".

    Parameters
    ----------
    enhancer, own
        Its name, and the structure that it was trained on; "" if that is unknown.
    structures
        What the images show; "" where it is unknown.
    """
    others = sorted({structure for structure in structures if structure and structure != own})
    if not own or not others:
        return ""
    return (
        f"{enhancer} was trained on {own}, and draws {own} into images of {', '.join(others)}: choose an enhancer of "
        "that structure, or train one."
    )


def _fits(entry: ModelEntry, pixel_sizes: Collection[PixelSides], structure: str) -> bool:
    expected = entry.summary.widefield_pixel_size
    same = entry.summary.structure == structure
    return same and all(PixelFit(size, expected).kind != "refused" for size in pixel_sizes)


def _distance(entry: ModelEntry, pixel_sizes: Collection[PixelSides]) -> float:
    """Return how far the pixels are from those of the training, as the sum of the logarithms of their ratios."""
    expected = entry.summary.widefield_pixel_size
    return sum(math.log(PixelFit(size, expected).distance) for size in pixel_sizes) if expected else math.inf
