"""The camera: photons, shot noise, gain, read noise and offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..images.image import Image
from .optics import Optics, draw_optics, mean_widefield

if TYPE_CHECKING:
    from .settings import MicroscopeConfig


def camera_counts(
    mean: torch.Tensor, optics: Optics, config: MicroscopeConfig, generator: torch.Generator
) -> torch.Tensor:
    """Simulate the camera: background, shot noise, read noise, gain and offset.

    Parameters
    ----------
    mean
        (B, 1, Y, X) noise-free widefield images, in units of a bright pixel.
    optics
        The photons of a bright pixel and the background of each image.
    config
        Read noise, gain and offset.
    generator
        Random generator of the noise.

    Returns
    -------
    (B, 1, Y, X) camera counts.
    """
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
    haze_gain: torch.Tensor | None = None,
) -> tuple[torch.Tensor, Optics]:
    """Draw optics and simulate noise-free widefield images.

    Parameters
    ----------
    images
        (B, 1, Y, X) super-resolution images.
    config
        The ranges from which the optics of each image are drawn.
    pixel_size
        Side of a super-resolution pixel in nm.
    factor
        Super-resolution pixels per widefield pixel, along each side.
    generator
        Random generator of the optics.
    haze_gain
        (B, 1, Y/factor, X/factor) gain of the out-of-focus light; None for 1.

    Returns
    -------
    Images (B, 1, Y/factor, X/factor) in the units of `images`, and their optics.
    """
    optics = draw_optics(config, len(images), pixel_size, factor, generator)
    return mean_widefield(images, optics, factor, haze_gain), optics


def widefield(
    images: torch.Tensor,
    config: MicroscopeConfig,
    pixel_size: float,
    factor: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Simulate widefield images of super-resolution images, with optics drawn from the ranges of `config`.

    The 99.5th percentile of the noise-free widefield pixels of the batch receives the drawn number of photons.

    Parameters
    ----------
    images
        (B, 1, Y, X) super-resolution images.
    config
        The microscope.
    pixel_size
        Side of a super-resolution pixel in nm.
    factor
        Super-resolution pixels per widefield pixel; Y and X must be multiples of it.
    generator
        Random generator of the optics and the noise.

    Returns
    -------
    (B, 1, Y/factor, X/factor) camera counts.

    Raises
    ------
    ValueError
        If Y or X is not a multiple of `factor`.
    """
    if images.shape[-2] % factor or images.shape[-1] % factor:
        raise ValueError(f"The image size {tuple(images.shape[-2:])} must be a multiple of {factor} pixels.")
    mean, optics = light_through_optics(images, config, pixel_size, factor, generator)
    bright = mean.flatten().kthvalue(max(1, round(0.995 * mean.numel()))).values
    return camera_counts(mean / bright.clamp(min=1e-9), optics, config, generator)


def widefield_image(
    image: Image, pixel_size: float, config: MicroscopeConfig, factor: int, generator: torch.Generator
) -> Image:
    """Simulate the widefield image of a super-resolution image (N, Y, X); see `widefield`.

    Parameters
    ----------
    image
        Super-resolution image whose height and width are multiples of `factor`.
    pixel_size
        Side of its pixels in nm.
    config, factor, generator
        See `widefield`.

    Returns
    -------
    Image with pixels (N, Y/factor, X/factor), in camera counts, of the same field.
    """
    planes = torch.from_numpy(image.pixels.copy())[:, None]
    counts = widefield(planes, config, pixel_size, factor, generator)
    return Image(counts[:, 0].numpy(), pixel_size * factor, image.origin, "simulated widefield")
