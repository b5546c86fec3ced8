"""The split of the images into training regions and held-out regions for the calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..images.provenance import SIMULATED, SYNTHETIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..images.image import Image
    from .settings import EnhancerConfig

_PLANES = 10  # one plane in this number is held out
_STRIP = 8  # of fewer planes, the held-out strip is the plane's length divided by this number
LEAST_HELD_OUT = 16  # widefield pixels along the side of a patch


@dataclass(frozen=True)
class Region:
    """A window of a plane of the images.

    Parameters
    ----------
    plane
        Index among the planes of all images.
    window
        Rows and columns.
    weight
        Relative frequency at which patches are drawn from the region.
    field
        Regions that may show the same field of view have the same number.
    """

    plane: int
    window: tuple[slice, slice]
    weight: float
    field: int = 0


def draw_weights(images: Sequence[Image], weights: Sequence[float] | None) -> list[float]:
    """Return the relative frequency at which each plane is drawn, from the weights of the images."""
    if weights is None:
        return [float(plane.size) for image in images for plane in image.pixels]
    if len(weights) != len(images) or min(weights) < 0:
        raise InputError(
            f"weights must be one number of at least 0 for each of {len(images)} images, not {list(weights)}.",
            "weights",
        )
    if not sum(weights) > 0:
        raise InputError("All images have the weight 0: give at least one of them more.")
    return [w / len(image) for image, w in zip(images, weights, strict=True) for _ in range(len(image))]


def split_held_out(
    images: Sequence[Image], weights: Sequence[float], config: EnhancerConfig
) -> tuple[list[Region], list[Region]]:
    """Split the images into training regions and held-out regions.

    Every tenth plane of a stack of generated or simulated images is held out. The planes of another stack may show
    one field at several times or depths: a strip at the same edge of each plane is held out. No region is held out of
    images that are too small. Planes of weight 0 are left out.

    Parameters
    ----------
    images
        Super-resolution images.
    weights
        One for each plane, see `draw_weights`.
    config
        Settings of the training.

    Returns
    -------
    Training regions and held-out regions.
    """
    training: list[Region] = []
    held_out: list[Region] = []
    first = 0
    for image in images:
        count = len(image)
        unrelated = image.provenance.kind in (SYNTHETIC, SIMULATED)
        whole = slice(0, image.size[0]), slice(0, image.size[1])
        whole_planes = unrelated and count >= _PLANES
        rest, strip = (whole, None) if whole_planes else edge_strip(image.size, config)
        held_out_planes = set(range(_PLANES // 2, count, _PLANES)) if whole_planes else set()
        for i in range(first, first + count):
            field = i if unrelated else first
            if i - first in held_out_planes:
                held_out.append(Region(i, whole, weights[i], field))
                continue
            # The weight of the whole image stays the same without its held-out planes.
            training.append(Region(i, rest, weights[i] * count / (count - len(held_out_planes)), field))
            if strip is not None:
                held_out.append(Region(i, strip, weights[i], field))
        first += count
    return [region for region in training if region.weight > 0], [region for region in held_out if region.weight > 0]


def edge_strip(size: tuple[int, int], config: EnhancerConfig) -> tuple[tuple[slice, slice], tuple[slice, slice] | None]:
    """Cut a strip off the end of the longer axis; there is no strip if the rest would be smaller than a patch."""
    height, width = size
    factor, length = config.upscale, max(size)
    cut = (length - max(length // _STRIP, LEAST_HELD_OUT * factor)) // factor * factor
    if cut < config.patch:
        return (slice(0, height), slice(0, width)), None
    if height >= width:
        return (slice(0, cut), slice(0, width)), (slice(cut, height), slice(0, width))
    return (slice(0, height), slice(0, cut)), (slice(0, height), slice(cut, width))
