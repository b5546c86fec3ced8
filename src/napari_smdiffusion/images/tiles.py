"""Tiles of a plane, with the overlap that a network needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    InputError
        If `tile` or `overlap` is not a multiple of `align`, or `tile` is not positive.
    """
    if tile <= 0 or tile % align or overlap % align:
        raise InputError(f"tile {tile} and overlap {overlap} must be multiples of {align}, and tile positive.")
    rows, columns = part or (slice(0, shape[0]), slice(0, shape[1]))
    for y in range(rows.start, rows.stop, tile):
        for x in range(columns.start, columns.stop, tile):
            core = slice(y, min(y + tile, rows.stop)), slice(x, min(x + tile, columns.stop))
            yield Tile(core, (_widened(core[0], overlap, shape[0]), _widened(core[1], overlap, shape[1])))


def _widened(part: slice, overlap: int, length: int) -> slice:
    return slice(max(part.start - overlap, 0), min(part.stop + overlap, length))
