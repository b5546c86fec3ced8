"""Local levels of planes of any size, and of parts of planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from .local_levels import BLOCK, LocalLevels

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Pixels
    from ..images.unmeasured import PlaneFacts

    Mask = npt.NDArray[np.bool_]


def local_levels(
    levels: LocalLevels, pixels: torch.Tensor, measured: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what `levels` returns for planes (B, 1, Y, X) of any size; `measured` None means all pixels."""
    height, width = pixels.shape[-2:]
    measured = torch.ones_like(pixels) if measured is None else measured
    margin = [0, -width % BLOCK, 0, -height % BLOCK]
    above, unit, noise = levels(F.pad(pixels, margin, mode="replicate"), F.pad(measured, margin))
    return above[..., :height, :width], unit[..., :height, :width], noise


def finer(unit: torch.Tensor, upscale: int) -> torch.Tensor:
    """Interpolate a map (B, 1, Y, X) at the pixels of the result, (B, 1, Y·upscale, X·upscale)."""
    if upscale == 1:
        return unit
    return F.interpolate(unit, scale_factor=float(upscale), mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class PlaneLevels:
    """The local levels of a part of a plane; all arrays are (Y, X).

    Parameters
    ----------
    above
        The pixels above the background, in units.
    unit
        The unit, in intensities.
    measured
        1 for measured pixels, 0 for others.
    signal
        The mean of each block above the background, in standard deviations of its noise.
    """

    above: Pixels
    unit: Pixels
    measured: Pixels
    signal: Pixels


def plane_levels(plane: Pixels, facts: PlaneFacts, levels: LocalLevels, mask: Mask | None) -> PlaneLevels:
    """Return the levels of a part of a plane (Y, X) that begins at multiples of `BLOCK`.

    Parameters
    ----------
    plane
        The part.
    facts
        The facts of the whole plane.
    levels
        The estimator.
    mask
        (Y, X) measured pixels; None: all of them.
    """
    # A power of two changes no digit.
    scale = np.float32(2.0 ** np.floor(np.log2(max(facts.high - facts.low, 1e-30))))
    # The values of unmeasured pixels do not matter, but must not overflow.
    inside = np.clip(plane, facts.low, facts.high).astype(np.float32) - np.float32(facts.low)
    pixels = torch.from_numpy(inside / scale)[None, None]
    measured = torch.ones_like(pixels) if mask is None else torch.from_numpy(mask.astype(np.float32))[None, None]
    above, unit, noise = local_levels(levels, pixels, measured)
    height, width = plane.shape
    margin = [0, -width % BLOCK, 0, -height % BLOCK]
    # Of the mean of a block, the noise is BLOCK times smaller than that of a pixel.
    signal = BLOCK * F.avg_pool2d(F.pad(above * unit, margin, mode="replicate"), BLOCK) / noise.clamp(min=1e-12)
    signal = signal.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)[..., :height, :width]
    return PlaneLevels(above[0, 0].numpy(), unit[0, 0].numpy() * scale, measured[0, 0].numpy(), signal[0, 0].numpy())
