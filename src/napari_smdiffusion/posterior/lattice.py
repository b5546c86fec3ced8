"""Overlapping windows of a field whose results are cross-faded.

Each pixel's weights in all windows have the sum 1. A window's weight depends on the size of the field alone. So
the results can be added one after the other, and in any order, to an array or a file that begins with 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch


@dataclass(frozen=True)
class Window:
    """A window of a field: its (rows, columns), and its weights along both axes, (Y,) and (X,)."""

    rows: slice
    columns: slice
    row_weights: torch.Tensor
    column_weights: torch.Tensor

    @property
    def weights(self) -> torch.Tensor:
        """The weight of each pixel, (Y, X)."""
        return self.row_weights[:, None] * self.column_weights[None, :]


def lattice(size: tuple[int, int], side: int, overlap: int, align: int) -> list[Window]:
    """Return the windows of a field.

    Parameters
    ----------
    size
        (Y, X) of the field in pixels.
    side, overlap
        Largest side of a window, and least overlap of neighbours; multiples of `align`. The windows are as many as
        this side needs, and no larger than this overlap needs.
    align
        Windows begin at multiples of this number of pixels.
    """
    rows, columns = (_parts(length, side, overlap, align) for length in size)
    return [Window(row, column, across, down) for row, across in rows for column, down in columns]


def _parts(length: int, side: int, overlap: int, align: int) -> list[tuple[slice, torch.Tensor]]:
    """Return the parts of an axis, with the weight of each pixel."""
    if length <= side:
        return [(slice(0, length), torch.ones(length))]
    count = -(-(length - overlap) // (side - overlap))
    # No larger than the overlap asks for: a pixel in two windows is computed twice.
    last = length // align * align
    side = -(-(last + (count - 1) * overlap) // (count * align)) * align
    starts = [round(k * (last - side) / (count - 1) / align) * align for k in range(count)]
    stops = [start + side for start in starts[:-1]] + [length]
    # The sum of the weights is 1: between the start of a window and the end of the former one they go from 0 to 1.
    rises = [
        torch.from_numpy(np.clip((np.arange(length) + 0.5 - after) / (before - after), 0, 1)).float()
        for before, after in zip(stops[:-1], starts[1:], strict=True)
    ]
    rises = [torch.ones(length), *rises, torch.zeros(length)]
    return [
        (slice(start, stop), (here - following)[start:stop])
        for start, stop, (here, following) in zip(starts, stops, pairwise(rises), strict=True)
    ]
