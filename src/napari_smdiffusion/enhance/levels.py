"""Intensity levels of super-resolution images: the map between intensities and network units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import InputError
from ..base.linear_scale import LinearScale
from ..images.brightness import brightness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels

_DARK, _BRIGHT = 1.0, 99.8  # percentiles of super-resolution images
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


def sharp_levels(planes: Sequence[Pixels]) -> Levels:
    """Return the common levels of super-resolution planes, or raise an InputError if they are constant.

    The bright level is a percentile of all pixels. Where structure is sparse, it is at least half of its height. Where
    beads cover more, it is at most `Brightness.outlier`.
    """
    pixels = np.concatenate([plane.ravel() for plane in planes])
    dark, bright = (float(v) for v in np.percentile(pixels, (_DARK, _BRIGHT)))
    structure = brightness(planes)
    bright = max(min(bright, structure.outlier), structure.background + structure.height / 2)
    if not dark < bright:
        dark, bright = float(pixels.min()), float(pixels.max())
    if not dark < bright:
        raise InputError(f"All pixels have the value {dark:g}: choose images that show a structure.")
    return Levels(dark, bright)


def scaled_sharp(levels: Levels, planes: Sequence[Pixels]) -> list[Pixels]:
    """Return super-resolution planes in network units; pixels that are too bright for structure are limited."""
    limit = max(brightness(planes).outlier, levels.bright)
    return [levels.scale(np.minimum(plane, np.float32(limit))) for plane in planes]
