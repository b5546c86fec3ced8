"""Tiles of a plane, with the overlap that a network needs to give the same result as for the whole plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Tile:
    """A part of a plane, as (rows, columns): the tile's result covers `core`; the network's input is `window`."""

    core: tuple[slice, slice]
    window: tuple[slice, slice]

    def core_in_window(self, factor: int = 1) -> tuple[slice, slice]:
        """Return the (rows, columns) of the core in the window's result, which is `factor` times finer."""
        rows, columns = (
            slice((core.start - window.start) * factor, (core.stop - window.start) * factor)
            for core, window in zip(self.core, self.window, strict=True)
        )
        return rows, columns

    def core_in_plane(self, factor: int = 1) -> tuple[slice, slice]:
        """Return the (rows, columns) of the core in the plane's result, which is `factor` times finer."""
        rows, columns = (slice(core.start * factor, core.stop * factor) for core in self.core)
        return rows, columns


def tiles(
    shape: tuple[int, int], tile: int, overlap: int, align: int = 1, part: tuple[slice, slice] | None = None
) -> Iterator[Tile]:
    """Cover a plane with tiles whose cores do not overlap.

    The overlap must be at least the network's reach. The joined cores then equal the network's result for the whole
    plane, so that no blending is needed and no seam appears.

    Parameters
    ----------
    shape
        (Y, X) of the plane, in pixels.
    tile
        Side of a core in pixels; cores at the border may be smaller.
    overlap
        Pixels that a window adds on each side of its core, as far as the plane reaches.
    align
        Windows begin at multiples of this number of pixels, as the network's downsampling requires.
    part
        (rows, columns) of the plane to cover, which begin at multiples of `align`; None: the whole plane.

    Raises
    ------
    InputError
        If `tile` or `overlap` is not a multiple of `align`, or `tile` is not positive.
    """
    if tile <= 0 or tile % align or overlap % align:
        raise InputError(f"tile {tile} and overlap {overlap} must be multiples of {align}, and tile positive.")
    rows, columns = part or (slice(0, shape[0]), slice(0, shape[1]))
    for y in range(rows.start, rows.stop, tile):
        for x in range(columns.start, columns.stop, tile):
            core = slice(y, min(y + tile, rows.stop)), slice(x, min(x + tile, columns.stop))
            yield Tile(core, (widened(core[0], overlap, shape[0]), widened(core[1], overlap, shape[1])))


def central(shape: Sequence[int], side: int) -> tuple[slice, slice]:
    """Return the central window (rows, columns) of a plane (Y, X), at most `side` pixels along each axis."""
    starts = [max(0, length - side) // 2 for length in shape]
    rows, columns = (slice(start, start + min(length, side)) for start, length in zip(starts, shape, strict=True))
    return rows, columns


def widened(part: slice, overlap: int, length: int) -> slice:
    """Return `part` with `overlap` more pixels on each side, within 0 to `length`."""
    return slice(max(part.start - overlap, 0), min(part.stop + overlap, length))
