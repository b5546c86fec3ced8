"""Where patches come from, the 8 symmetries of the square, and tiles that overlap. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .images import Image

Pixels = npt.NDArray[np.float32]
_Number = TypeVar("_Number", np.float32, np.float64)

SYMMETRIES = range(8)


def symmetry(image: Pixels, k: int) -> Pixels:
    """Turn the last two axes by k % 4 quarter turns and, for k of 4 and more, mirror them; k is one of 0 to 7."""
    turned = np.rot90(image, k % 4, (-2, -1))
    return turned[..., ::-1] if k >= 4 else turned


def inverse_symmetry(image: Pixels, k: int) -> Pixels:
    """Undo `symmetry(image, k)`."""
    mirrored = image[..., ::-1] if k >= 4 else image
    return np.rot90(mirrored, -(k % 4), (-2, -1))


def averaged(images: npt.NDArray[_Number], factor: int) -> npt.NDArray[_Number]:
    """Average `factor` × `factor` pixels of (…, Y, X), cutting the rows and columns that are over."""
    y, x = (length // factor for length in images.shape[-2:])
    blocks = images[..., : y * factor, : x * factor].reshape(*images.shape[:-2], y, factor, x, factor)
    return np.asarray(blocks.mean((-3, -1)), images.dtype)


def check_patch(images: Sequence[Image], patch: int) -> None:
    """Raise a ValueError if a plane of `images` is smaller than a patch."""
    for image in images:
        if min(image.size) < patch:
            fits = min(image.size) // 16 * 16
            raise ValueError(
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


@dataclass(frozen=True)
class Tile:
    """A part of a plane: `core` is what the tile is responsible for, `window` is what a network sees of it."""

    core: tuple[slice, slice]
    window: tuple[slice, slice]

    def core_in_window(self, factor: int = 1) -> tuple[slice, slice]:
        """Where the core lies in the window's result, `factor` times finer than the plane."""
        rows, columns = (
            slice((core.start - window.start) * factor, (core.stop - window.start) * factor)
            for core, window in zip(self.core, self.window, strict=True)
        )
        return rows, columns

    def core_in_plane(self, factor: int = 1) -> tuple[slice, slice]:
        """Where the core lies in the whole result, `factor` times finer than the plane."""
        rows, columns = (slice(core.start * factor, core.stop * factor) for core in self.core)
        return rows, columns


def tiles(
    shape: tuple[int, int], tile: int, overlap: int, align: int = 1, part: tuple[slice, slice] | None = None
) -> Iterator[Tile]:
    """Cover a plane, or a `part` of it, with cores of at most `tile` pixels, seen with `overlap` more on each side.

    With an overlap of at least a network's reach, and windows that begin at multiples of the network's `align`, the
    cores put together are what the network makes of the whole plane: no blending is needed and no seam can appear.

    Raises
    ------
    ValueError
        If `tile` or `overlap` is not a multiple of `align`, or `tile` is not positive.
    """
    if tile <= 0 or tile % align or overlap % align:
        raise ValueError(f"tile {tile} and overlap {overlap} must be multiples of {align}, and tile positive.")
    rows, columns = part or (slice(0, shape[0]), slice(0, shape[1]))
    for y in range(rows.start, rows.stop, tile):
        for x in range(columns.start, columns.stop, tile):
            core = slice(y, min(y + tile, rows.stop)), slice(x, min(x + tile, columns.stop))
            yield Tile(core, (_widened(core[0], overlap, shape[0]), _widened(core[1], overlap, shape[1])))


def _widened(part: slice, overlap: int, length: int) -> slice:
    return slice(max(part.start - overlap, 0), min(part.stop + overlap, length))
