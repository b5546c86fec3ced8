"""The scaling between intensities and network units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import InputError
from ..base.linear_scale import LinearScale
from ..images.brightness import brightness
from ..images.strips import in_strips
from .specks import smallest_structure, without_specks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    import torch

    from ..base.arrays import Pixels
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


_CHANGED = 1.2  # times by which outliers must raise the standard deviation to be limited
_UNITS = 50.0  # times by which the brightness of images of common units may differ


def _moments(planes: Sequence[Pixels], limit: float) -> tuple[float, float]:
    """Return mean and standard deviation of the pixels up to `limit`."""
    counted = [plane if plane.max() <= limit else plane[plane <= limit] for plane in planes]
    count = sum(pixels.size for pixels in counted)
    mean = sum(float(pixels.sum(dtype=np.float64)) for pixels in counted) / count
    variance = sum(float(np.square(pixels - mean, dtype=np.float64).sum()) for pixels in counted) / count
    return mean, float(np.sqrt(variance))


def _check_units(images: Sequence[Image]) -> None:
    """Raise an InputError if images cannot have common units: of 8 and of 16 bits, for example."""
    heights = [(brightness(in_strips(image.pixels)).height, image.name) for image in images]
    shown = [height for height in heights if height[0] > 0]
    if not shown:
        return
    (dim, dim_name), (bright, bright_name) = min(shown), max(shown)
    if bright > _UNITS * dim:
        raise InputError(
            f"The structure in {bright_name} is {bright / dim:.0f} times brighter than in {dim_name}: give images in "
            "the same units, or train without one of them."
        )


@dataclass(frozen=True)
class Scaling(LinearScale):
    """An invertible map from intensities I to network units: (I - mean) / std * sigma_data.

    It is fitted once on the whole data set, never on a patch, so that brightness can be compared between patches.

    Parameters
    ----------
    mean, std
        Mean and standard deviation of the intensities.
    low, high
        Smallest and largest intensity of the structure. Brighter pixels, as of beads, are limited to `high`.
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

        A few beads or hot pixels that would change the deviation do not count, and are limited to the brightness that
        structure can have: `high`.

        Raises
        ------
        InputError
            If all pixels have the same value, or the brightness of the images differs by more than `_UNITS` times.
        """
        images = list(images)
        _check_units(images)
        # In strips, as a mapped image may be larger than memory.
        planes = in_strips(plane for image in images for plane in image.pixels)
        low, high = min(float(p.min()) for p in planes), max(float(p.max()) for p in planes)
        if not low < high:
            raise InputError(f"All pixels have the value {low:g}: choose images that show a structure.")
        mean, std = _moments(planes, high)
        limit = brightness(planes).outlier
        if low < limit < high:
            limited = _moments(planes, limit)
            if std > _CHANGED * limited[1] > 0:
                (mean, std), high = limited, limit
        integer = all(bool((plane == np.round(plane)).all()) for plane in planes)
        dimmest = min(float(p[p > low].min(initial=high)) for p in planes) if integer else None
        smallest = smallest_structure(planes, low) if integer else None
        return cls(mean, std, low, high, integer=integer, dimmest=dimmest, smallest=smallest)

    def scale(self, pixels: Pixels) -> Pixels:
        """Return intensities up to `high` in network units, in float32 and of the same shape."""
        return super().scale(np.minimum(pixels, np.float32(self.high)))

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
