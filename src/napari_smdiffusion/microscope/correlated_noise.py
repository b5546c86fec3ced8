"""Noise that neighbouring camera pixels share.

Averages of many frames, registered images and denoised images have little noise from pixel to pixel, but noise as fine
as the point spread function. A network that has seen independent noise alone takes it for structure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .lighting import uniform
from .optics import gaussian_blur

if TYPE_CHECKING:
    from .settings import MicroscopeConfig


def with_correlated_noise(
    mean: torch.Tensor, background: torch.Tensor, config: MicroscopeConfig, random: torch.Generator
) -> torch.Tensor:
    """Add noise that neighbouring pixels share to widefield images, before the noise of the camera.

    Like shot noise, it grows with the square root of the light. It is drawn for trainings alone.

    Parameters
    ----------
    mean
        (B, 1, Y, X) noise-free widefield images, in units of a bright pixel.
    background
        (B,) background of each image, in the same units.
    config
        Ranges of the strength and of the width of the noise.
    random
        Random generator; nothing is drawn from it without such noise.

    Returns
    -------
    (B, 1, Y, X); a few pixels may be negative.
    """
    if config.correlated_noise_range[1] == 0:
        return mean
    count = len(mean)
    strength = uniform(config.correlated_noise_range, count, random)[:, None, None, None]
    width = uniform(config.correlated_noise_width_range, count, random)
    noise = gaussian_blur(torch.randn(mean.shape, generator=random), width)
    noise = noise / noise.std((1, 2, 3), keepdim=True).clamp(min=1e-12)
    level = (mean + background[:, None, None, None]).clamp(min=0)
    return mean + strength * level.sqrt() * noise
