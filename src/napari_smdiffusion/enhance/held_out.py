"""Which parts of the images are held out from training, to calibrate with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..images.provenance import SIMULATED, SYNTHETIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..images.image import Image
    from .settings import EnhancerConfig
_MANY, _BAND = 10, 8  # of so many planes one is held out; of fewer an eighth of each
LEAST_HELD_OUT = 16  # widefield pixels of a side of a patch


@dataclass(frozen=True)
class Region:
    """A window of a plane of the images, and how often it is drawn from; `field` is the same where the field may be."""

    plane: int
    window: tuple[slice, slice]
    chance: float
    field: int = 0


def draw_weights(images: Sequence[Image], weights: Sequence[float] | None) -> list[float]:
    """Return how often each plane is drawn from."""
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
    images: Sequence[Image], chances: Sequence[float], config: EnhancerConfig
) -> tuple[list[Region], list[Region]]:
    """Return what to train on, and what to hold out for the calibration: nothing where there is too little.

    Of many generated or simulated planes some are held out. The planes of other stacks may be of one field, at other
    times or depths, so that a part of the field is held out in all of them. What is never drawn from is left out.
    """
    training: list[Region] = []
    held: list[Region] = []
    first = 0
    for image in images:
        count = len(image)
        unrelated = image.provenance.kind in (SYNTHETIC, SIMULATED)
        whole = slice(0, image.size[0]), slice(0, image.size[1])
        many = unrelated and count >= _MANY
        rest, band = (whole, None) if many else edge_strip(image.size, config)
        out = set(range(_MANY // 2, count, _MANY)) if many else set()
        for i in range(first, first + count):
            which = i if unrelated else first
            if i - first in out:
                held.append(Region(i, whole, chances[i], which))
                continue
            # The image as a whole is drawn from as often as if nothing were held out.
            training.append(Region(i, rest, chances[i] * count / (count - len(out)), which))
            if band is not None:
                held.append(Region(i, band, chances[i], which))
        first += count
    return [part for part in training if part.chance > 0], [part for part in held if part.chance > 0]


def edge_strip(size: tuple[int, int], config: EnhancerConfig) -> tuple[tuple[slice, slice], tuple[slice, slice] | None]:
    """Cut a band off the end of the longer axis, if whole patches are left without it."""
    height, width = size
    factor, length = config.upscale, max(size)
    cut = (length - max(length // _BAND, LEAST_HELD_OUT * factor)) // factor * factor
    if cut < config.patch:
        return (slice(0, height), slice(0, width)), None
    if height >= width:
        return (slice(0, cut), slice(0, width)), (slice(cut, height), slice(0, width))
    return (slice(0, height), slice(0, cut)), (slice(0, height), slice(cut, width))
