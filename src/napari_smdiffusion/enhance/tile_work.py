"""Single tiles of a widefield plane, scaled by its local levels and enhanced by the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..images.tiles import Tile, widened
from .local_levels import BLOCK, LocalLevels
from .network import ALIGN
from .plane_levels import finer, plane_levels
from .predicting import predict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from .model import Enhancer
    from .planes_seen import PlaneSeen
    from .resampling import Grid

BORDER = 16  # widefield pixels mirrored at the border of a plane; a multiple of ALIGN
_SIGNIFICANT = 6.0  # standard deviations of the noise of a block


@dataclass(frozen=True)
class Prepared:
    """A tile that is ready for the network.

    Parameters
    ----------
    values
        (Y, X) input of the network.
    corner
        (row, column) of the tile's window in the output of the network.
    unit
        Intensity of 1 in the output, at each pixel of the result in the core; 0 without a measurement.
    blocks, significant
        Number of blocks in the core, and of those that are brighter than the noise explains.
    """

    values: Pixels
    corner: tuple[int, int]
    unit: Pixels
    blocks: int
    significant: int


@dataclass(frozen=True)
class TileWork:
    """The inputs of the enhancement of a tile: the network on its device, the enhancer, the grids and the levels."""

    network: torch.nn.Module
    device: torch.device
    enhancer: Enhancer
    grid: Grid
    levels: LocalLevels


def prepared_tile(work: TileWork, plane: Pixels, seen: PlaneSeen, tile: Tile) -> Prepared:
    """Scale the window of a tile by its local levels, and mirror it at the border of the plane.

    Parameters
    ----------
    work
        The enhancer.
    plane, seen
        The whole plane (Y, X) on the grid of the network, and its facts.
    tile
        The tile; its window begins at a multiple of `BLOCK`.
    """
    factor, scale = work.enhancer.config.upscale, work.enhancer.widefield
    rows, columns = (
        widened(part, work.levels.reach, length) for part, length in zip(tile.window, plane.shape, strict=True)
    )
    local = plane_levels(plane[rows, columns], seen.facts, work.levels, seen.measured(plane, rows, columns))
    inner = Tile(tile.window, (rows, columns)).core_in_window()
    above, unit, measured = local.above[inner], local.unit[inner], local.measured[inner]
    values = work.levels.compressed(torch.from_numpy(above / np.float32(scale.contrast))).numpy()
    fine = finer(torch.from_numpy(unit)[None, None] * (scale.contrast / scale.light), factor)[0, 0].numpy()
    signal = local.signal[inner][tile.core_in_window()][::BLOCK, ::BLOCK]
    margins = _margins(tile, plane.shape)
    (top, _), (left, _) = margins
    return Prepared(
        np.pad(values, margins, mode="symmetric"),
        (top * factor, left * factor),
        work.grid.result(fine * measured.repeat(factor, 0).repeat(factor, 1), tile),
        signal.size,
        int((signal > _SIGNIFICANT).sum()),
    )


def enhanced_core(work: TileWork, prepared: Prepared, tile: Tile, k: int = 0) -> Pixels:
    """Return the enhanced core of a tile in symmetry `k`, in network units, on the pixels of the result."""
    output = predict(work.network, work.device, prepared.values[None, None], k)[0, 0]
    top, left = prepared.corner
    return work.grid.result(output[top:, left:], tile)


def tile_uncertainty(work: TileWork, views: Sequence[Pixels], confidence: float) -> Pixels:
    """Return the uncertainty of `views[0]` in network units; the views are a tile's core in the 8 symmetries."""
    spread = np.asarray(np.std(views, axis=0), np.float32)
    calibration = work.enhancer.calibration
    return spread if calibration is None else calibration.half_width(views[0], spread, confidence)


def _margins(tile: Tile, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the number of pixels to mirror (before, after) a window on each axis.

    Mirroring avoids a dark frame at the border of a plane. It also pads windows to a multiple of `ALIGN`, so that the
    coarsest grid has the same position in all symmetries of the window.
    """
    margins = []
    for window, length in zip(tile.window, shape, strict=True):
        before = BORDER if window.start == 0 else 0
        after = BORDER if window.stop == length else 0
        margins.append((before, after + -(window.stop - window.start + before + after) % ALIGN))
    return margins
