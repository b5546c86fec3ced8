"""Patches of planes, the 8 symmetries of the square, and averaging of pixels, in NumPy."""

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
    """Cut planes into patches without overlap, row by row: (N, size, size)."""
    patches = [
        plane[y : y + size, x : x + size]
        for plane in planes
        for y in range(0, plane.shape[0] - size + 1, size)
        for x in range(0, plane.shape[1] - size + 1, size)
    ]
    return np.stack(patches) if patches else np.empty((0, size, size), np.float32)


def grid_places(planes: Sequence[Pixels], size: int) -> npt.NDArray[np.int64]:
    """Return the plane, the row and the column in its grid of each patch of `grid_patches`: (N, 3)."""
    places = [
        (number, y, x)
        for number, plane in enumerate(planes)
        for y in range(plane.shape[0] // size)
        for x in range(plane.shape[1] // size)
    ]
    return np.asarray(places, np.int64).reshape(-1, 3)


SYMMETRIES = range(8)


def symmetry(image: Pixels, k: int) -> Pixels:
    """Turn the last two axes by k % 4 quarter turns, and mirror the last axis if k is 4 or more; k is 0 to 7."""
    turned = np.rot90(image, k % 4, (-2, -1))
    return turned[..., ::-1] if k >= 4 else turned


def inverse_symmetry(image: Pixels, k: int) -> Pixels:
    """Undo `symmetry(image, k)`."""
    mirrored = image[..., ::-1] if k >= 4 else image
    return np.rot90(mirrored, -(k % 4), (-2, -1))


def averaged(images: npt.NDArray[Number], factor: int) -> npt.NDArray[Number]:
    """Average blocks of `factor` × `factor` pixels of (…, Y, X); rows and columns of incomplete blocks are cut off."""
    y, x = (length // factor for length in images.shape[-2:])
    blocks = images[..., : y * factor, : x * factor].reshape(*images.shape[:-2], y, factor, x, factor)
    return np.asarray(blocks.mean((-3, -1)), images.dtype)


def check_patch(images: Sequence[Image], patch: int) -> None:
    """Raise an InputError if a plane of `images` is smaller than a patch of `patch` × `patch` pixels."""
    for image in images:
        if min(image.size) < patch:
            largest = min(image.size) // 16 * 16
            raise InputError(
                f"{image.name} is {image.size[0]} × {image.size[1]} pixels, smaller than a patch of {patch}: "
                f"choose a patch of at most {largest} or give larger images."
            )


def draw_patches(
    planes: Sequence[Pixels],
    size: int,
    count: int,
    rng: np.random.Generator,
    weights: Sequence[float] | None = None,
) -> Pixels:
    """Cut `count` random patches, each in one of the 8 symmetries at random.

    Parameters
    ----------
    planes
        (Y, X) arrays, each at least `size` pixels along both axes.
    size
        Side of a patch in pixels.
    count
        Number of patches.
    rng
        Random generator for all draws.
    weights
        Relative frequency of each plane. The default is the number of patch positions in the plane.

    Returns
    -------
    (count, size, size) float32.
    """
    positions = [float((plane.shape[0] - size + 1) * (plane.shape[1] - size + 1)) for plane in planes]
    frequency = np.asarray(positions if weights is None else weights, np.float64)
    patches = np.empty((count, size, size), np.float32)
    for i, index in enumerate(rng.choice(len(planes), count, p=frequency / frequency.sum())):
        plane = planes[index]
        y = int(rng.integers(plane.shape[0] - size + 1))
        x = int(rng.integers(plane.shape[1] - size + 1))
        patches[i] = symmetry(plane[y : y + size, x : x + size], int(rng.integers(8)))
    return patches
