"""Networks that predict the noise, as imported checkpoints do."""

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

NOISE_STEPS = 20  # of networks that predict the noise; the deviation of a known distribution is met within 7 %
# Between which noise levels those are drawn, and how they are spread (`karras_levels`). Images in [-1, 1] may
# all be as dark as -0.95: of that brightness noise has to be left nothing to begin from, so it is far above our 60.
_SIGMA_MIN, _SIGMA_MAX, _RHO = 0.01, 320.0, 7.0


@dataclass(frozen=True)
class NoiseSchedule:
    """How much of an image is left at each step of the diffusion that a noise-predicting network was trained on."""

    name: str = "cosine"
    steps: int = 1000

    def signal(self) -> npt.NDArray[np.float64]:
        """Return ᾱ of each step: the share of the variance that is still signal."""
        if self.name == "linear":
            kept = 1 - np.linspace(0.1, 20, self.steps) / self.steps
        else:
            left = [math.cos((i / self.steps + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(self.steps + 1)]
            # A step that left nothing could not be undone.
            kept = np.array([max(after / before, 0.001) for before, after in itertools.pairwise(left)])
        return np.asarray(np.cumprod(kept), np.float64)

    def levels(self, count: int) -> tuple[float, ...]:
        """Return `count` noise levels σ = √((1 - ᾱ) / ᾱ), falling, within those that the network was trained on."""
        low, high = np.clip((_SIGMA_MIN, _SIGMA_MAX), *self._known()[[0, -1]])
        return karras_levels(count, float(low), float(high), _RHO)

    def time(self, sigma: float) -> float:
        """Return the time that the network is told for a noise level, 0 to 1000, however many steps there were.

        Between two of the levels that it was trained on it is interpolated.
        """
        place = np.interp(math.log(sigma), np.log(self._known()), np.arange(self.steps))
        return float(place) * 1000 / self.steps

    def _known(self) -> npt.NDArray[np.float64]:
        signal = self.signal()
        return np.asarray(np.sqrt((1 - signal) / signal))


@dataclass(frozen=True, eq=False)
class NoisePredictionDenoiser:
    """A denoiser around a network that predicts the noise: clean image = x - σ · noise.

    Parameters
    ----------
    network
        Predicts the noise in (B, C, Y, X) at times (B,), 0 to 1000, and takes images whose variance is 1 at most.
    schedule
        That the network was trained on.
    """

    network: torch.nn.Module
    schedule: NoiseSchedule

    def __call__(self, x: torch.Tensor, sigma: Sigma, /, **condition: Any) -> torch.Tensor:
        """Return the clean image, (B, C, Y, X); see `Denoiser`.

        Never in bfloat16: rounding is multiplied by the noise level. (On CUDA, torch lets cuDNN round what
        convolutions multiply to TF32; `torch.backends.cudnn.allow_tf32 = False` forbids it.)
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
