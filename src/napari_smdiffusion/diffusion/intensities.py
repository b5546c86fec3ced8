"""The scaling between intensities and network units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import InputError
from ..base.linear_scale import LinearScale
from .specks import smallest_structure, without_specks

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import torch

    from ..images.image import Image

_LARGEST = float(np.finfo(np.float32).max)
_ROUNDING = 1e-3  # relative to the range of the intensities


def to_intensities(values: npt.NDArray[np.float32], scaling: Scaling) -> npt.NDArray[np.float32]:
    """Convert network units to intensities like those of the training images.

    Intensities are limited to the range of the training images. They are whole numbers, and without specks, if those
    of the training images are.
    """
    pixels = np.clip(scaling.unscale(values), scaling.low, scaling.high)
    if not scaling.integer:
        return pixels
    whole = np.round(pixels)
    if scaling.dimmest is not None:
        # The training images have no intensity between the background and the dimmest structure.
        empty = pixels < (scaling.low + scaling.dimmest) / 2
        whole = np.where(empty, np.float32(scaling.low), np.maximum(whole, np.float32(scaling.dimmest)))
    return whole if scaling.smallest is None else without_specks(whole, scaling.low, scaling.smallest)


@dataclass(frozen=True)
class Scaling(LinearScale):
    """An invertible map from intensities I to network units: (I - mean) / std * sigma_data.

    It is fitted once on the whole data set, never on a patch, so that brightness can be compared between patches.

    Parameters
    ----------
    mean, std
        Mean and standard deviation of the intensities.
    low, high
        Smallest and largest intensity.
    sigma_data
        Standard deviation in network units.
    integer
        Whether all intensities are whole numbers.
    dimmest
        If they are whole numbers: the smallest intensity above `low`. Images that were stretched for display may have a
        gap between an empty background and the dimmest structure.
    smallest
        Area of the smallest structure on that background in pixels, if the images have no specks (see `specks`).
    """

    mean: float
    std: float
    low: float
    high: float
    sigma_data: float = 0.5
    integer: bool = False
    dimmest: float | None = None
    smallest: int | None = None

    def __post_init__(self) -> None:
        """Raise an InputError if the map is not invertible, or a number is too large for float32 pixels."""
        numbers = (self.mean, self.std, self.low, self.high, self.sigma_data, self.dimmest or 0.0)
        if not all(abs(number) <= _LARGEST for number in numbers):
            raise InputError("The scaling has a number that is too large for pixels.")
        if not (self.std > 0 and self.sigma_data > 0 and self.low < self.high and self.unit <= _LARGEST):
            raise InputError("The scaling must have a positive deviation, and go from the smaller to the larger value.")
        # No set of numbers has its mean outside its range, or a deviation above it. Rounding is allowed for.
        span = self.high - self.low
        if not (self.low - _ROUNDING * span <= self.mean <= self.high + _ROUNDING * span and self.std <= span * 1.001):
            raise InputError("The scaling must have its mean within its range, and a deviation of at most its range.")
        if not (self.dimmest is None or self.low < self.dimmest <= self.high) or (self.smallest or 1) < 1:
            raise InputError("The scaling must have its dimmest structure within its range, and a positive area.")

    @classmethod
    def fit(cls, images: Iterable[Image]) -> Scaling:
        """Fit mean, standard deviation and range to all pixels of `images`.

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
            raise InputError(f"All pixels have the value {low:g}: choose images that show a structure.")
        integer = all(bool((plane == np.round(plane)).all()) for plane in planes)
        dimmest = min(float(p[p > low].min(initial=high)) for p in planes) if integer else None
        smallest = smallest_structure(planes, low) if integer else None
        return cls(mean, float(np.sqrt(variance)), low, high, integer=integer, dimmest=dimmest, smallest=smallest)

    @property
    def zero(self) -> float:
        """The mean intensity."""
        return self.mean

    @property
    def unit(self) -> float:
        """The difference of intensity that corresponds to one network unit."""
        return self.std / self.sigma_data


def to_numpy(images: torch.Tensor) -> npt.NDArray[np.float32]:
    """Return (B, 1, Y, X) as (B, Y, X) NumPy pixels."""
    return np.asarray(images[:, 0].float().cpu().numpy(), np.float32)
