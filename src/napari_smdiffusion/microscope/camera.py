"""The camera: photons, shot noise, gain, read noise and offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .optics import Optics, draw_optics, mean_widefield

if TYPE_CHECKING:
    from .settings import MicroscopeConfig


def photographed(
    mean: torch.Tensor, optics: Optics, config: MicroscopeConfig, generator: torch.Generator
) -> torch.Tensor:
    """Count photons: background, shot noise, gain, read noise and offset; returned in camera counts."""
    expected = (mean.clamp(min=0) + optics.background[:, None, None, None]) * optics.photons[:, None, None, None]
    counts = torch.poisson(expected, generator=generator)
    noise = torch.randn(counts.shape, generator=generator) * config.read_noise
    return (counts + noise) * config.gain + config.offset


def widefield(
    images: torch.Tensor,
    config: MicroscopeConfig,
    pixel_size: float,
    factor: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Image (B, 1, Y, X) super-resolution images through drawn optics.

    The brightest half per cent of the widefield pixels of the batch is what gets the drawn number of photons.

    Returns
    -------
    (B, 1, Y/factor, X/factor) camera counts.
    """
    if images.shape[-2] % factor or images.shape[-1] % factor:
        raise ValueError(f"{tuple(images.shape[-2:])} pixels cannot be gathered {factor} by {factor}.")
    optics = draw_optics(config, images.shape[0], pixel_size, factor, generator)
    mean = mean_widefield(images, optics, factor)
    bright = mean.flatten().kthvalue(max(1, round(0.995 * mean.numel()))).values
    return photographed(mean / bright.clamp(min=1e-9), optics, config, generator)
