"""The scaling between intensities and network units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import InputError
from .specks import smallest_structure, without_specks

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from ..base.arrays import Pixels
    from ..images.image import Image


def to_intensities(values: npt.NDArray[np.float32], scaling: Scaling) -> npt.NDArray[np.float32]:
    """Network units → intensities that training images may have.

    They are within their range, whole numbers where theirs are, and without specks where theirs have none.
    """
    pixels = np.clip(scaling.unscale(values), scaling.low, scaling.high)
    if not scaling.integer:
        return pixels
    whole = np.round(pixels)
    if scaling.dimmest is not None:
        # Between the background and the dimmest structure lies nothing.
        empty = pixels < (scaling.low + scaling.dimmest) / 2
        whole = np.where(empty, np.float32(scaling.low), np.maximum(whole, np.float32(scaling.dimmest)))
    return whole if scaling.smallest is None else without_specks(whole, scaling.low, scaling.smallest)


@dataclass(frozen=True)
class Scaling:
    """An invertible map from intensities to what a network sees: (I - mean) / std * spread.

    It is fitted once on a whole data set, never on a patch, so that bright stays brighter than dim. `low` and `high`
    are the least and the greatest intensity; where all are whole numbers (`integer`), `dimmest` is the least but `low`:
    what was stretched for display may have nothing between an empty background and the dimmest structure. `smallest` is
    the area of the smallest structure on that background, where none of the images has specks (see `specks`).
    """

    mean: float
    std: float
    low: float
    high: float
    spread: float = 0.5
    integer: bool = False
    dimmest: float | None = None
    smallest: int | None = None

    @classmethod
    def fit(cls, images: Iterable[Image]) -> Scaling:
        """Fit mean, deviation and range on all pixels of `images`.

        Raises
        ------
        InputError
            If all pixels have the same value.
        """
        planes = [plane for image in images for plane in image.pixels]
        count = sum(plane.size for plane in planes)
        mean = sum(float(plane.sum(dtype=np.float64)) for plane in planes) / count
        variance = sum(float(np.square(plane - mean, dtype=np.float64).sum()) for plane in planes) / count
        low, high = min(float(p.min()) for p in planes), max(float(p.max()) for p in planes)
        if not low < high:
            raise InputError(f"All pixels have the value {low:g}: give images with something in them.")
        integer = all(bool((plane == np.round(plane)).all()) for plane in planes)
        dimmest = min(float(p[p > low].min(initial=high)) for p in planes) if integer else None
        smallest = smallest_structure(planes, low) if integer else None
        return cls(mean, float(np.sqrt(variance)), low, high, integer=integer, dimmest=dimmest, smallest=smallest)

    def scale(self, pixels: Pixels) -> Pixels:
        """Intensities → network units."""
        return ((pixels - self.mean) * (self.spread / self.std)).astype(np.float32)

    def unscale(self, values: Pixels) -> Pixels:
        """Network units → intensities."""
        return (values * (self.std / self.spread) + self.mean).astype(np.float32)
