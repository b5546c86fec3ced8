"""Sample data that ships with the package and works offline: a simulated super-resolution and widefield pair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .images import read_image

if TYPE_CHECKING:
    from .images import Image


def simulated_pair() -> tuple[Image, Image]:
    """Return (super-resolution, widefield) of simulated microtubules: 1280² pixels of 20 nm, and 256² of 100 nm.

    They are of two different fields of the same kind, as a microscopist has them: no pixel of the widefield image was
    seen by whoever is trained on the super-resolution image. `simulated_reference` is the widefield image's own field.
    """
    folder = Path(__file__).parent / "bundled"
    return read_image(folder / "sample_super_resolution.tif"), read_image(folder / "sample_widefield.tif")


def simulated_reference() -> Image:
    """Return the super-resolution image of the widefield sample's field, to compare an enhanced image with."""
    return read_image(Path(__file__).parent / "bundled" / "sample_reference.tif")
