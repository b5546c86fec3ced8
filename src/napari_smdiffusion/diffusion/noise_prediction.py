"""Networks that predict the noise, as imported checkpoints do."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .solver import dpmpp_2m, karras_levels, run_multistep
from .windows import windowed_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
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


def _gray(
    unet: torch.nn.Module, noise: torch.Tensor, steps: int, *, schedule: NoiseSchedule, window: int
) -> Iterator[torch.Tensor]:
    for guess in solve_noise(unet, noise, steps, schedule, window):
        yield guess.mean(1, keepdim=True)


def predicted_noise(unet: torch.nn.Module, noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Evaluate a network that predicts the noise in (B, C, Y, X) at times (B,), 0 to 1000.

    Never in bfloat16: rounding is multiplied by the noise level. (On CUDA, torch lets cuDNN round what convolutions
    multiply to TF32; `torch.backends.cudnn.allow_tf32 = False` forbids it.)
    """
    output: torch.Tensor = unet(noisy, time)
    return output


@torch.no_grad()
def solve_noise(
    unet: torch.nn.Module, noise: torch.Tensor, steps: int, schedule: NoiseSchedule, window: int
) -> Iterator[torch.Tensor]:
    """Turn noise into images by DPM-Solver++(2M) (Lu et al. 2022), with a network that predicts the noise.

    It begins from noise beside which no image can be seen.

    Parameters
    ----------
    unet
        Predicts the noise; in evaluation mode, on the device to compute on.
    noise
        (B, C, Y, X) standard normal.
    steps
        Number of network evaluations, at most `schedule.steps`.
    schedule
        That the network was trained on.
    window
        Larger fields are denoised in windows of this size, in pixels.

    Yields
    ------
    The clean image in [-1, 1] that follows from the noise predicted at this step, (B, C, Y, X).
    """

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        time = torch.full((len(x),), schedule.time(sigma), device=x.device)
        # The network takes images whose variance noise has not raised.
        predicted = windowed_output(unet, x / math.sqrt(1 + sigma**2), time, window, predicted_noise)
        return (x - sigma * predicted).clamp(-1, 1)

    start = noise.to(next(unet.parameters()).device)
    yield from run_multistep(denoise, start, dpmpp_2m(schedule.levels(steps)))
