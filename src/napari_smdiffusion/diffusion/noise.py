"""Random noise and noise levels from seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..base.devices import generator

if TYPE_CHECKING:
    from collections.abc import Sequence


def sample_sigmas(
    count: int, random: torch.Generator, mean: float = 0.0, std: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw `count` noise levels, ln σ ~ N(mean, std²), by stratified sampling and in random order.

    The distribution is divided into `count` parts of equal probability, and one level is drawn from each.

    Returns
    -------
    The levels, and the quartile of each level (0 to 3, lowest noise first); both (count,).
    """
    quantile = (torch.randperm(count, generator=random) + torch.rand(count, generator=random)) / count
    sigma = torch.exp(mean + std * torch.special.ndtri(quantile.clamp(1e-5, 1 - 1e-5)))
    return sigma, (quantile * 4).long().clamp(max=3)


def start_noise(seed: int, indices: Sequence[int], size: tuple[int, int], channels: int = 1) -> torch.Tensor:
    """Return the initial noise of images `indices` of a run, (B, C, Y, X); each depends only on (seed, index)."""
    return torch.stack([torch.randn((channels, *size), generator=generator(seed, k)) for k in indices])
