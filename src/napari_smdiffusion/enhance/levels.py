"""Intensity levels of widefield and super-resolution images: the map between intensities and network units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import InputError
from ..base.linear_scale import LinearScale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from ..images.image import Image

# Percentiles of a whole widefield image: background and bright structure. They are robust to outliers, and they do not
# depend on the tiles.
DARK, BRIGHT = 1.0, 99.5
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Levels(LinearScale):
    """A linear map of intensities onto 0 (dark) to 1 (bright)."""

    dark: float
    bright: float

    def __post_init__(self) -> None:
        """Raise an InputError unless the bright level is above the dark one, and float32 can hold both."""
        if not (-_LARGEST <= self.dark < self.bright <= _LARGEST and self.unit <= _LARGEST):
            limits = f"{self.dark:g} to {self.bright:g}"
            raise InputError(f"The levels must go from a smaller to a larger value, not {limits}.")

    @property
    def zero(self) -> float:
        """The dark level."""
        return self.dark

    @property
    def unit(self) -> float:
        """The difference of the bright and the dark level."""
        return self.bright - self.dark


def widefield_levels(image: Image) -> Levels:
    """Return the levels of a widefield image, or raise an InputError if it is constant."""
    dark, bright = (float(v) for v in np.percentile(image.pixels, (DARK, BRIGHT)))
    if not dark < bright:
        dark, bright = float(image.pixels.min()), float(image.pixels.max())
    if not dark < bright:
        raise InputError(f"All pixels of {image.name} have the value {dark:g}: choose an image that shows a structure.")
    return Levels(dark, bright)


_BRIGHT_SHARP = 99.8  # percentile; higher than for widefield images, because structure is sparse


def sharp_levels(planes: Sequence[Pixels]) -> Levels:
    """Return the common levels of super-resolution planes, or raise an InputError if they are constant."""
    pixels = np.concatenate([plane.ravel() for plane in planes])
    dark, bright = (float(v) for v in np.percentile(pixels, (DARK, _BRIGHT_SHARP)))
    if not dark < bright:
        dark, bright = float(pixels.min()), float(pixels.max())
    if not dark < bright:
        raise InputError(f"All pixels have the value {dark:g}: choose images that show a structure.")
    return Levels(dark, bright)
