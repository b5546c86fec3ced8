"""Specks: bits of structure smaller than any in the training images, which a diffusion model leaves in the background.

A published image is often cleaned: all objects below some size are taken out of it. A network that denoises a
background to a hundredth of the brightest intensity still leaves a few pixels above it here and there, where such an
image has none at all. Planes are (Y, X); structure is what is brighter than the background, pixels that share a side or
a corner belong together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

if TYPE_CHECKING:
    Pixels = npt.NDArray[np.float32]

LARGEST = 64  # px; nothing larger is called a speck, whatever the training images have
_STRAY = 1e-6  # of the pixels: so many smaller structures are an accident, one in a million pixels
# What the border cuts may be any part of something larger, so that there only the smallest bits are specks. Windows of
# cleaned mitochondria have as many bits of 6 pixels and more at their borders as generated ones, but a third of the
# smaller ones.
_AT_BORDER = 10


def smallest_structure(planes: Iterable[Pixels], background: float) -> int | None:
    """Return how many pixels the smallest structure of the training images has, `LARGEST` at most.

    One smaller structure in a million pixels is taken for an accident. What the border cuts is not counted.

    Returns
    -------
    Pixels, or None where there are structures of one pixel, so that nothing is too small to be one.
    """
    areas: list[int] = []
    pixels = 0
    for plane in planes:
        _, sizes, cut = _structures(plane, background)
        areas += sorted(sizes[~cut & (sizes > 0) & (sizes < LARGEST)].tolist())
        pixels += plane.size
    strays = int(pixels * _STRAY)
    smallest = sorted(areas)[strays] if len(areas) > strays else LARGEST
    return smallest if smallest > 1 else None


def without_specks(planes: Pixels, background: float, smallest: int) -> Pixels:
    """Return planes, (N, Y, X), with the background in place of structures of fewer than `smallest` pixels."""
    cleaned = planes.copy()
    for plane in cleaned:
        labels, sizes, cut = _structures(plane, background)
        specks = (sizes < np.where(cut, smallest / _AT_BORDER, smallest)) & (sizes > 0)
        plane[specks[labels]] = background
    return cleaned


def _structures(
    plane: Pixels, background: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the label of each pixel, and by label the area, 0 for the background, and whether the border cuts it."""
    from scipy import ndimage  # a fifth of a second, which whoever reads images only need not wait for

    labels, count = ndimage.label(plane > background, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    cut = np.zeros(count + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        cut[edge] = True
    return labels, sizes, cut
