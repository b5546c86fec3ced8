"""The denoiser: it estimates the clean image from a noisy one.

A denoiser is anything with the call `Denoiser`. `EdmDenoiser` is the denoiser of EDM (Karras et al. 2022) around a
network. Wrappers with the same call extend a denoiser: `Windowed` (large fields), `Clamped` (a range of intensities)
and `Guided` (a structure of a conditional network). The solvers take any of them. Denoisers leave gradients on; the
caller turns them off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from .network import network_output
from .settings import SIGMA_DATA

if TYPE_CHECKING:
    Sigma = float | torch.Tensor


class Denoiser(Protocol):
    """The call that all denoisers have."""

    def __call__(self, x: torch.Tensor, sigma: Sigma, /, **condition: Any) -> torch.Tensor:
        """Return the estimate of the clean image.

        Parameters
        ----------
        x
            Noisy images, clean image + σ · noise, (B, C, Y, X) float32 in network units.
        sigma
            Noise level σ: one number for all images, or one per image, (B,).
        **condition
            Further inputs of the network, such as `class_labels`; tensors whose first axis is B.

        Returns
        -------
        (B, C, Y, X) float32.
        """


def level_per_image(sigma: Sigma, x: torch.Tensor) -> torch.Tensor:
    """Return one noise level per image of `x`, (B,), on the device of `x`."""
    if isinstance(sigma, torch.Tensor):
        return sigma.to(x.device)
    return torch.full((len(x),), sigma, device=x.device)


@dataclass(frozen=True, eq=False)
class EdmDenoiser:
    """The denoiser D of EDM's equation 7 around a network F.

    D(x; σ) = c_skip(σ) x + c_out(σ) F(c_in(σ) x; c_noise(σ)). The input and the output of the network have standard
    deviation 1 at all noise levels.

    Parameters
    ----------
    network
        F, on the device to compute on.
    """

    network: torch.nn.Module

    def __call__(self, x: torch.Tensor, sigma: Sigma, /, **condition: Any) -> torch.Tensor:
        """Return the clean image, (B, 1, Y, X); see `Denoiser`."""
        c_skip, c_out, total = _scalings(sigma)
        output = network_output(self.network, x / total, level_per_image(sigma, x), **condition)
        clean: torch.Tensor = c_skip * x + c_out * output
        return clean

    def loss(self, clean: torch.Tensor, sigma: torch.Tensor, noise: torch.Tensor, **condition: Any) -> torch.Tensor:
        """Return EDM's loss of each image, (B,).

        The weight is λ(σ) = 1 / c_out². The loss is then the mean squared difference of F and (y - c_skip x) / c_out
        (equation 8).

        Parameters
        ----------
        clean, noise
            Clean images y in network units, and standard normal noise, (B, 1, Y, X).
        sigma
            Noise levels, (B,).
        **condition
            See `Denoiser`.
        """
        c_skip, c_out, total = _scalings(sigma)
        noisy = clean + sigma[:, None, None, None] * noise
        target = (clean - c_skip * noisy) / c_out
        output = network_output(self.network, noisy / total, sigma, **condition)
        loss: torch.Tensor = (output - target).square().mean((1, 2, 3))
        return loss


def _scalings(sigma: Sigma) -> tuple[Sigma, Sigma, Sigma]:
    """Return c_skip, c_out and 1 / c_in of EDM's table 1; each is one number or (B, 1, 1, 1)."""
    level = sigma[:, None, None, None] if isinstance(sigma, torch.Tensor) else sigma
    total = (level**2 + SIGMA_DATA**2) ** 0.5
    return SIGMA_DATA**2 / total**2, level * SIGMA_DATA / total, total


@dataclass(frozen=True, eq=False)
class Clamped:
    """A denoiser whose clean images are limited to a range of network units."""

    denoiser: Denoiser
    low: float
    high: float

    def __call__(self, x: torch.Tensor, sigma: Sigma, /, **condition: Any) -> torch.Tensor:
        """Return the clean image, (B, C, Y, X); see `Denoiser`."""
        return self.denoiser(x, sigma, **condition).clamp(self.low, self.high)
