"""The progress of an enhancement: counts tiles, and estimates the time left from their areas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.events import Countdown, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..images.tiles import Tile


class TileProgress:
    """Counts tiles and their views. Tiles at the border are smaller, so the time is estimated from areas.

    Parameters
    ----------
    tiles
        The tiles of all planes, in order.
    views
        Predictions for each tile: 8 for an uncertainty map, or 1.
    """

    def __init__(self, tiles: Sequence[Tile], views: int) -> None:
        self._views = views
        self._done = 0  # tiles
        self._area = 0.0  # computed, in pixels of the windows
        self.plan(tiles)

    def plan(self, tiles: Sequence[Tile]) -> None:
        """Take the tiles that are left, in order, for example smaller ones after memory ran out."""
        self._count = self._done + len(tiles)
        self._whole = self._area + sum(map(_area, tiles))
        self._countdown = Countdown(self._area, self._whole)

    def after_view(self, tile: Tile, view: int) -> Progress:
        """Return the event after a view of a tile; the first view is 1."""
        return self._event(self._area + _area(tile) * view / self._views, self._done * self._views + view)

    def after_tile(self, tile: Tile) -> Progress:
        """Return the event after all views of a tile."""
        self._area += _area(tile)
        self._done += 1
        return self._event(self._area, self._done * self._views)

    def _event(self, area: float, step: int) -> Progress:
        detail = f"tile {min(self._done + 1, self._count)} of {self._count}"
        left = self._countdown.left(area)
        return Progress("enhancing", step, self._count * self._views, left, detail=detail, share=area / self._whole)


def _area(tile: Tile) -> float:
    rows, columns = tile.window
    return float((rows.stop - rows.start) * (columns.stop - columns.start))
