"""Noise of large fields: the noise of a pixel depends on the seed, the sample and the place of the pixel alone."""

from __future__ import annotations

import torch

from ..base.devices import generator

_SIDE = 128  # pixels of a block with a generator of its own


def field_noise(seed: int, sample: int, rows: slice, columns: slice, plane: int = 0) -> torch.Tensor:
    """Return standard normal noise of a window of a field, (rows, columns) float32.

    Windows that overlap have the same noise where they do, so that they agree on what they show there.

    Parameters
    ----------
    seed, sample, plane
        Seed of the run, index of the sample, and index of the plane in a stack.
    rows, columns
        The window, in pixels of the field; no pixel before 0.
    """
    noise = torch.empty((rows.stop - rows.start, columns.stop - columns.start))
    for i in range(rows.start // _SIDE, -(-rows.stop // _SIDE)):
        for j in range(columns.start // _SIDE, -(-columns.stop // _SIDE)):
            block = torch.randn((_SIDE, _SIDE), generator=generator(seed, 20, plane, sample, i, j))
            inside, place = zip(*(_overlap(n, part) for n, part in ((i, rows), (j, columns))), strict=True)
            noise[place] = block[inside]
    return noise


def _overlap(block: int, part: slice) -> tuple[slice, slice]:
    """Return the pixels of a block that lie in `part` of an axis, and their place in it."""
    first, last = max(block * _SIDE, part.start), min((block + 1) * _SIDE, part.stop)
    inside, place = ((first - start, last - start) for start in (block * _SIDE, part.start))
    return slice(*inside), slice(*place)
