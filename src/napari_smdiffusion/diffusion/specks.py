"""Specks: structures smaller than any in the training images, which a diffusion model leaves in the background.

Published images are often cleaned: all objects below a certain size are removed. In the background of a generated
image, isolated pixels may remain at a hundredth of the brightest intensity. A cleaned image has none.

Planes are (Y, X). A structure is a connected set of pixels that are brighter than the background; pixels that share a
side or a corner are connected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

    Pixels = npt.NDArray[np.float32]

LARGEST = 64  # pixels; larger structures are never specks
_STRAY = 1e-6  # number of smaller structures per pixel that are ignored as accidents
# A structure at the border may be part of a larger one. There only those below smallest area / _AT_BORDER are specks.
# At the border, structures of 6 or more pixels are equally frequent in generated mitochondria and in crops of cleaned
# images; smaller ones are three times as frequent in generated images.
_AT_BORDER = 10


def smallest_structure(planes: Iterable[Pixels], background: float) -> int | None:
    """Return the area of the smallest structure of the training images, `LARGEST` at most.

    Structures at the border are left out. One smaller structure in a million pixels is ignored as an accident.

    Returns
    -------
    The area in pixels, or None if there are structures of a single pixel.
    """
    areas: list[int] = []
    pixels = 0
    for plane in planes:
        _, sizes, at_border = _structures(plane, background)
        areas += sorted(sizes[~at_border & (sizes > 0) & (sizes < LARGEST)].tolist())
        pixels += plane.size
    strays = int(pixels * _STRAY)
    smallest = sorted(areas)[strays] if len(areas) > strays else LARGEST
    return smallest if smallest > 1 else None


def without_specks(planes: Pixels, background: float, smallest: int) -> Pixels:
    """Return planes, (N, Y, X), in which structures of fewer than `smallest` pixels are set to the background."""
    cleaned = planes.copy()
    for plane in cleaned:
        labels, sizes, at_border = _structures(plane, background)
        specks = (sizes < np.where(at_border, smallest / _AT_BORDER, smallest)) & (sizes > 0)
        plane[specks[labels]] = background
    return cleaned


def _structures(
    plane: Pixels, background: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the label of each pixel, and for each label its area in pixels and whether it touches the border.

    Label 0 is the background, whose area is stated as 0.
    """
    from scipy import ndimage  # it loads for a fifth of a second, and most programs do not need it

    labels, count = ndimage.label(plane > background, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    at_border = np.zeros(count + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        at_border[edge] = True
    return labels, sizes, at_border
