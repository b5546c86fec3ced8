"""The camera: photons, shot noise, gain, read noise and offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..images.image import Image
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


def light_through_optics(
    images: torch.Tensor,
    config: MicroscopeConfig,
    pixel_size: float,
    factor: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, Optics]:
    """Draw optics, and return the noise-free widefield images (B, 1, Y/factor, X/factor) that they make, and them.

    Parameters
    ----------
    images
        (B, 1, Y, X) super-resolution images, whose pixels are `pixel_size` nm.
    config
        The ranges that optics are drawn from, anew for each image.
    pixel_size, factor
        Of the super-resolution images in nm, and how many of their pixels are along a side of a camera pixel.
    generator
        Of the draws.
    """
    optics = draw_optics(config, len(images), pixel_size, factor, generator)
    return mean_widefield(images, optics, factor), optics


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
    mean, optics = light_through_optics(images, config, pixel_size, factor, generator)
    bright = mean.flatten().kthvalue(max(1, round(0.995 * mean.numel()))).values
    return photographed(mean / bright.clamp(min=1e-9), optics, config, generator)


def widefield_image(
    image: Image, pixel_size: float, config: MicroscopeConfig, factor: int, generator: torch.Generator
) -> Image:
    """Image a super-resolution image (N, Y, X) through drawn optics (see `widefield`).

    Parameters
    ----------
    image
        Super-resolution; its height and width are multiples of `factor`.
    pixel_size
        Of its pixels, in nm.
    config, factor, generator
        See `widefield`.

    Returns
    -------
    Image of (N, Y/factor, X/factor) camera counts on the same field.
    """
    planes = torch.from_numpy(image.pixels.copy())[:, None]
    counts = widefield(planes, config, pixel_size, factor, generator)
    return Image(counts[:, 0].numpy(), pixel_size * factor, image.origin, "simulated widefield")
