"""Denoiser and schedule of networks that predict the noise, such as those of imported checkpoints."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .solver import karras_levels

if TYPE_CHECKING:
    import numpy.typing as npt

    from .denoiser import Sigma

# Default number of sampling steps. It reproduces the standard deviation of a known distribution within 7 %.
NOISE_STEPS = 20
# Range and spacing of the noise levels (`karras_levels`). Imported models work in [-1, 1], and many images are almost
# uniformly dark. Sampling must start from noise that hides even this mean, hence σ_max = 320 (our own networks: 60).
_SIGMA_MIN, _SIGMA_MAX, _RHO = 0.01, 320.0, 7.0


@dataclass(frozen=True)
class NoiseSchedule:
    """The noise schedule of a network that predicts the noise: the share of signal at each step of the diffusion."""

    name: str = "cosine"
    steps: int = 1000

    def signal(self) -> npt.NDArray[np.float64]:
        """Return ᾱ of each step: the share of the variance that is still signal."""
        if self.name == "linear":
            alpha = 1 - np.linspace(0.1, 20, self.steps) / self.steps
        else:
            remaining = [math.cos((i / self.steps + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(self.steps + 1)]
            # A step that left no signal could not be reversed.
            alpha = np.array([max(after / before, 0.001) for before, after in itertools.pairwise(remaining)])
        return np.asarray(np.cumprod(alpha), np.float64)

    def levels(self, count: int) -> tuple[float, ...]:
        """Return `count` falling noise levels σ = √((1 - ᾱ) / ᾱ), within the range of the training."""
        low, high = np.clip((_SIGMA_MIN, _SIGMA_MAX), *self._trained_levels()[[0, -1]])
        return karras_levels(count, float(low), float(high), _RHO)

    def time(self, sigma: float) -> float:
        """Return the time, 0 to 1000, that the network takes as input for a noise level.

        It is interpolated between the noise levels of the training. The range is the same for any number of steps.
        """
        step = np.interp(math.log(sigma), np.log(self._trained_levels()), np.arange(self.steps))
        return float(step) * 1000 / self.steps

    def _trained_levels(self) -> npt.NDArray[np.float64]:
        signal = self.signal()
        return np.asarray(np.sqrt((1 - signal) / signal))


@dataclass(frozen=True, eq=False)
class NoisePredictionDenoiser:
    """A denoiser around a network that predicts the noise: clean image = x - σ · noise.

    Parameters
    ----------
    network
        Predicts the noise in images (B, C, Y, X), whose variance is at most 1, at times (B,), 0 to 1000.
    schedule
        Noise schedule of its training.
    """

    network: torch.nn.Module
    schedule: NoiseSchedule

    def __call__(self, x: torch.Tensor, sigma: Sigma, /, **condition: Any) -> torch.Tensor:
        """Return the clean image, (B, C, Y, X); see `Denoiser`.

        The network computes in float32, because rounding errors are multiplied by the noise level. On CUDA, cuDNN may
        round the inputs of convolutions to TF32; `torch.backends.cudnn.allow_tf32 = False` prevents it.
        """
        if isinstance(sigma, torch.Tensor):
            time = torch.tensor([self.schedule.time(float(level)) for level in sigma], device=x.device)
            level: Sigma = sigma.to(x.device)[:, None, None, None]
        else:
            time = torch.full((len(x),), self.schedule.time(sigma), device=x.device)
            level = sigma
        predicted = self.network(x / (1 + level**2) ** 0.5, time, **condition)
        clean: torch.Tensor = x - level * predicted
        return clean
