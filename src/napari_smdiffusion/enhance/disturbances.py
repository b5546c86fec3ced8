"""Beads and dirt: bright spots in widefield images, which are no structure."""

from __future__ import annotations

import numpy as np
import torch

_SHARE = 0.35  # of the examples
_MOST = 3  # spots in an example
_AMPLITUDE, _WIDTH = (1.5, 40.0), (0.7, 3.0)  # units, and standard deviation in widefield pixels
_FAINT = 0.03  # units: where a spot is brighter, there is no truth


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
