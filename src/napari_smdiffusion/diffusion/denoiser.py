"""The denoiser of EDM (Karras et al. 2022): preconditioning, loss and noise levels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.devices import generator
from .network import raw_output
from .windows import WINDOW, windowed_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
SIGMA_DATA = 0.5


def denoising_loss(
    unet: torch.nn.Module, clean: torch.Tensor, sigma: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """Return EDM's loss of each image, (B,).

    With the weight λ(σ) = 1 / c_out² it is the mean squared difference of F and (y - c_skip x) / c_out (equation 8).
    """
    s = sigma[:, None, None, None]
    total = torch.sqrt(s**2 + SIGMA_DATA**2)
    noisy = clean + s * noise
    c_skip, c_out = SIGMA_DATA**2 / total**2, s * SIGMA_DATA / total
    target = (clean - c_skip * noisy) / c_out
    return (raw_output(unet, noisy / total, sigma) - target).square().mean((1, 2, 3))


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


def denoised(unet: torch.nn.Module, x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return the image that is seen in a noisy one at a noise level: D(x; σ) of EDM's equation 7."""
    total = math.sqrt(sigma**2 + SIGMA_DATA**2)
    told = torch.full((len(x),), sigma, device=x.device)
    output = windowed_output(unet, x / total, told, WINDOW)
    return (SIGMA_DATA / total) ** 2 * x + sigma * SIGMA_DATA / total * output


def to_numpy(images: torch.Tensor) -> npt.NDArray[np.float32]:
    """Return (B, 1, Y, X) as (B, Y, X) NumPy pixels."""
    return np.asarray(images[:, 0].float().cpu().numpy(), np.float32)
