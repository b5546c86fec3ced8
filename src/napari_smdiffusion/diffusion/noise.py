"""Random noise and noise levels, from seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..base.devices import generator

if TYPE_CHECKING:
    from collections.abc import Sequence


def sample_sigmas(
    count: int, random: torch.Generator, mean: float = 0.0, std: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw `count` noise levels, ln σ ~ N(mean, std²), one from each of `count` equal slices, in random order.

    Returns
    -------
    The levels, and the quartile (0 to 3, lowest noise first) that each belongs to; both (count,).
    """
    place = (torch.randperm(count, generator=random) + torch.rand(count, generator=random)) / count
    sigma = torch.exp(mean + std * torch.special.ndtri(place.clamp(1e-5, 1 - 1e-5)))
    return sigma, (place * 4).long().clamp(max=3)


def start_noise(seed: int, indices: Sequence[int], size: tuple[int, int], channels: int = 1) -> torch.Tensor:
    """Return the noise that images `indices` of a run start from, (B, C, Y, X): each depends on (seed, index) alone."""
    return torch.stack([torch.randn((channels, *size), generator=generator(seed, k)) for k in indices])
