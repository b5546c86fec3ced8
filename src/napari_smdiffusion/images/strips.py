"""Parts of planes that are larger than memory, for statistics that read one part after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..base.arrays import Pixels

_MOST = 2**24  # pixels of a part


def in_strips(planes: Iterable[Pixels]) -> list[Pixels]:
    """Return planes (Y, X) as views of whole rows, of at most 2²⁴ pixels each; a smaller plane is one part."""
    parts: list[Pixels] = []
    for plane in planes:
        height, width = plane.shape
        rows = max(1, _MOST // max(1, width))
        parts += [plane[top : top + rows] for top in range(0, height, rows)] if plane.size > _MOST else [plane]
    return parts
