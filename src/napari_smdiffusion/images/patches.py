"""Where patches come from, the 8 symmetries of the square, and tiles that overlap. NumPy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..base.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Number, Pixels
    from .image import Image


def grid_patches(planes: Sequence[Pixels], size: int) -> Pixels:
    """Cut planes into patches that do not overlap, row by row: (N, size, size)."""
    cut = [
        plane[y : y + size, x : x + size]
        for plane in planes
        for y in range(0, plane.shape[0] - size + 1, size)
        for x in range(0, plane.shape[1] - size + 1, size)
    ]
    return np.stack(cut) if cut else np.empty((0, size, size), np.float32)


SYMMETRIES = range(8)


def symmetry(image: Pixels, k: int) -> Pixels:
    """Turn the last two axes by k % 4 quarter turns and, for k of 4 and more, mirror them; k is one of 0 to 7."""
    turned = np.rot90(image, k % 4, (-2, -1))
    return turned[..., ::-1] if k >= 4 else turned


def inverse_symmetry(image: Pixels, k: int) -> Pixels:
    """Undo `symmetry(image, k)`."""
    mirrored = image[..., ::-1] if k >= 4 else image
    return np.rot90(mirrored, -(k % 4), (-2, -1))


def averaged(images: npt.NDArray[Number], factor: int) -> npt.NDArray[Number]:
    """Average `factor` × `factor` pixels of (…, Y, X), cutting the rows and columns that are over."""
    y, x = (length // factor for length in images.shape[-2:])
    blocks = images[..., : y * factor, : x * factor].reshape(*images.shape[:-2], y, factor, x, factor)
    return np.asarray(blocks.mean((-3, -1)), images.dtype)


def check_patch(images: Sequence[Image], patch: int) -> None:
    """Raise a ValueError if a plane of `images` is smaller than a patch."""
    for image in images:
        if min(image.size) < patch:
            fits = min(image.size) // 16 * 16
            raise InputError(
                f"{image.name} is {image.size[0]} × {image.size[1]} pixels, smaller than a patch of {patch}: "
                f"choose a patch of at most {fits} or give larger images."
            )


def draw_patches(
    planes: Sequence[Pixels],
    size: int,
    count: int,
    rng: np.random.Generator,
    weights: Sequence[float] | None = None,
) -> Pixels:
    """Cut `count` random patches, each in a random one of the 8 symmetries.

    Parameters
    ----------
    planes
        (Y, X) arrays, each at least `size` in both axes.
    size
        Side of a patch in pixels.
    count
        Number of patches.
    rng
        Source of all randomness.
    weights
        How often each plane is drawn; by default in proportion to the places a patch can have in it.

    Returns
    -------
    (count, size, size) float32.
    """
    places = [float((p.shape[0] - size + 1) * (p.shape[1] - size + 1)) for p in planes]
    chance = np.asarray(places if weights is None else weights, np.float64)
    out = np.empty((count, size, size), np.float32)
    for i, which in enumerate(rng.choice(len(planes), count, p=chance / chance.sum())):
        plane = planes[which]
        y = int(rng.integers(plane.shape[0] - size + 1))
        x = int(rng.integers(plane.shape[1] - size + 1))
        out[i] = symmetry(plane[y : y + size, x : x + size], int(rng.integers(8)))
    return out
