"""Smooth light, uneven light and uneven haze: what super-resolution images do not show of the light of real fields.

All vary slowly. They are drawn for trainings alone; `widefield` leaves them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from .optics import gaussian_blur

if TYPE_CHECKING:
    from .settings import MicroscopeConfig


def with_smooth_light(
    light: torch.Tensor, config: MicroscopeConfig, pixel_size: float, random: torch.Generator
) -> torch.Tensor:
    """Add smooth light that has no counterpart in the super-resolution image.

    Structure far out of focus and in other planes makes it. In real images it is stronger than the light in focus.

    Parameters
    ----------
    light
        (B, 1, Y, X) noise-free widefield images.
    config
        Ranges of the strength and of the width of the smooth light.
    pixel_size
        Side of a widefield pixel in nm.
    random
        Random generator; nothing is drawn from it without smooth light.
    """
    if config.smooth_light_range[1] == 0:
        return light
    field = _smooth_fields(light.shape, config.smooth_light_width_range, pixel_size, random)
    field = field - field.amin((2, 3), keepdim=True)
    field = field / field.std((2, 3), keepdim=True).clamp(min=1e-12)
    strength = uniform(config.smooth_light_range, len(light), random)[:, None, None, None]
    return light + strength * light.std((2, 3), keepdim=True) * field


def uneven_gain(
    shape: torch.Size, config: MicroscopeConfig, pixel_size: float, factor: int, random: torch.Generator
) -> torch.Tensor | None:
    """Draw a slowly varying gain of the light.

    The brightness of a super-resolution image is not that of the light: labelling, illumination and the display of the
    image differ from place to place.

    Parameters
    ----------
    shape
        (B, 1, Y, X) of super-resolution images, whose sides are multiples of `factor`.
    config
        Ranges of the unevenness and of its width.
    pixel_size
        Side of a super-resolution pixel in nm.
    factor
        Super-resolution pixels per widefield pixel, along each side.
    random
        Random generator.

    Returns
    -------
    (B, 1, Y, X) positive factors, whose logarithm has mean 0 and the drawn standard deviation in each image; None if
    the range is 0.
    """
    if config.unevenness_range[1] == 0:
        return None
    field = F.interpolate(
        _coarse_field(shape, config, pixel_size, factor, random),
        size=tuple(shape[2:]),
        mode="bilinear",
        align_corners=False,
    )
    unevenness = uniform(config.unevenness_range, shape[0], random)[:, None, None, None]
    return torch.exp(unevenness * field)


def uneven_haze(
    shape: torch.Size, config: MicroscopeConfig, pixel_size: float, factor: int, random: torch.Generator
) -> torch.Tensor | None:
    """Draw a slowly varying gain of the out-of-focus light: a cell is thicker in some places than in others.

    Parameters and errors are those of `uneven_gain`.

    Returns
    -------
    (B, 1, Y/f, X/f) positive factors with mean 1 in each image; None if the range is 0.
    """
    if config.haze_unevenness_range[1] == 0:
        return None
    field = _coarse_field(shape, config, pixel_size, factor, random)
    gain = torch.exp(uniform(config.haze_unevenness_range, shape[0], random)[:, None, None, None] * field)
    return gain / gain.mean((2, 3), keepdim=True)


def _coarse_field(
    shape: torch.Size, config: MicroscopeConfig, pixel_size: float, factor: int, random: torch.Generator
) -> torch.Tensor:
    """Return a smooth field (B, 1, Y/f, X/f) with mean 0 and standard deviation 1 in each image.

    A field so smooth is drawn on the widefield pixels, which are fewer.
    """
    coarse = torch.Size((*shape[:2], shape[2] // factor, shape[3] // factor))
    field = _smooth_fields(coarse, config.unevenness_width_range, pixel_size * factor, random)
    field = field - field.mean((2, 3), keepdim=True)
    return field / field.std((2, 3), keepdim=True).clamp(min=1e-12)


def _smooth_fields(
    shape: torch.Size, widths: tuple[float, float], pixel_size: float, random: torch.Generator
) -> torch.Tensor:
    """Return noise (B, 1, Y, X), each image blurred by a width in nm that is drawn from `widths`."""
    low, high = (width / pixel_size for width in widths)
    width = uniform((low, high), shape[0], random)
    return gaussian_blur(torch.randn(shape, generator=random), width)


def uniform(limits: tuple[float, float], count: int, random: torch.Generator) -> torch.Tensor:
    """Draw (count,) numbers."""
    low, high = limits
    return low + (high - low) * torch.rand(count, generator=random)
