"""Disturbances of real widefield images beside the structure: smooth light of other planes, beads and dirt."""

from __future__ import annotations

import numpy as np
import torch

from ..microscope.optics import gaussian_blur

_SHARE = 0.35  # of the examples
_MOST = 3  # spots in an example
_AMPLITUDE, _WIDTH = (1.5, 40.0), (0.7, 3.0)  # units, and standard deviation in widefield pixels
_FAINT = 0.03  # units: where a spot is brighter, there is no truth
_SMOOTH_WIDTH, _SMOOTH_MOST = (5.0, 20.0), 4.0  # widefield pixels, and standard deviations of the light


def with_smooth_light(light: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Add smooth light that has no counterpart in the super-resolution image to (B, 1, Y, X).

    Structure far out of focus and in other planes makes it. In real images it is stronger than the light in focus.
    """
    count = len(light)
    low, high = _SMOOTH_WIDTH
    width = low + (high - low) * torch.rand(count, generator=random)
    field = gaussian_blur(torch.randn(light.shape, generator=random), width)
    field = field - field.amin((2, 3), keepdim=True)
    field = field / field.std((2, 3), keepdim=True).clamp(min=1e-12)
    strength = _SMOOTH_MOST * torch.rand((count, 1, 1, 1), generator=random)
    return light + strength * light.std((2, 3), keepdim=True) * field


def with_bright_spots(
    widefield: torch.Tensor, weight: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add Gaussian spots to some widefield images (B, 1, Y, X), and set the weight of their pixels to 0."""
    spots = torch.zeros_like(widefield)
    height, width = widefield.shape[-2:]
    y, x = torch.arange(height)[:, None], torch.arange(width)[None, :]
    for example in range(len(widefield)):
        if rng.random() >= _SHARE:
            continue
        for _ in range(int(rng.integers(1, _MOST + 1))):
            amplitude, sigma = (float(np.exp(rng.uniform(*np.log(limits)))) for limits in (_AMPLITUDE, _WIDTH))
            row, column = float(rng.uniform(0, height)), float(rng.uniform(0, width))
            distance = ((y - row) ** 2 + (x - column) ** 2) / sigma**2
            spots[example, 0] += amplitude * torch.exp(-0.5 * distance)
    return widefield + spots, weight * (spots < _FAINT)
