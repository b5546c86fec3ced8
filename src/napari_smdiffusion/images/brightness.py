"""The brightness of the structure in images, which neither empty field nor a few beads or hot pixels change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels

_ABOVE_NOISE = 5.0  # standard deviations of the background, above which a pixel is structure
_BRIGHT = 99.0  # percentile of the structure
_OUTLIER = 4.0  # times the bright structure: brighter pixels are beads, dirt or hot pixels
_MOST = 4_000_000  # pixels that are looked at


@dataclass(frozen=True)
class Brightness:
    """The brightness of planes, in their intensities.

    Parameters
    ----------
    background
        The median of the darker half of the pixels.
    middle, bright
        Median and 99th percentile of the pixels of structure. They equal `background` if there is none.
    """

    background: float
    middle: float
    bright: float

    @property
    def height(self) -> float:
        """Brightness of the structure above the background."""
        return self.bright - self.background

    @property
    def outlier(self) -> float:
        """The value above which a pixel is no structure; infinite if there is no structure to compare with."""
        return self.background + _OUTLIER * self.height if self.height > 0 else np.inf


def brightness(planes: Sequence[Pixels]) -> Brightness:
    """Return the brightness of planes (Y, X) that have common units."""
    every = -(-sum(plane.size for plane in planes) // _MOST)
    pixels = np.concatenate([plane.ravel()[::every] for plane in planes])
    background = float(np.percentile(pixels, 25))
    # A quarter of normal noise is below its mean by more than 0.674 standard deviations.
    deviation = (float(np.percentile(pixels, 50)) - background) / 0.674
    structure = pixels[pixels > background + _ABOVE_NOISE * deviation]
    if not structure.size:
        return Brightness(background, background, background)
    middle, bright = (float(value) for value in np.percentile(structure, (50, _BRIGHT)))
    return Brightness(background, middle, bright)
