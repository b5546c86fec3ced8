"""Sample data that ships with the package and works offline: a simulated super-resolution and widefield pair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def simulated_pair_layers() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the sample as napari layers, with scale and units, so that lengths in the viewer are nanometres."""
    layers = []
    for image, name in zip(simulated_pair(), ("super-resolution (simulated)", "widefield (simulated)"), strict=True):
        step = image.pixel_size or 1.0
        # napari places the middle of the first pixel, an image its corner.
        place = [corner + step / 2 for corner in image.origin]
        options = {
            "name": name,
            "scale": (step, step),
            "translate": place,
            "units": ("nm", "nm"),
            "colormap": "inferno",
        }
        layers.append((image.pixels[0], {**options, "metadata": dict(image.provenance)}, "image"))
    return layers
