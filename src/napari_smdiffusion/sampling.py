"""How images are drawn from a network, whether it is one of ours or predicts the noise.

`pick_sampler` is the one place that knows of both kinds. The first is our own (`denoiser`). The second is that of the
imported checkpoints: Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020, with the cosine schedule of
Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", ICML 2021. It is drawn from by the solver that
ours is drawn from too, on the noise levels of its schedule (`solve_noise`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .config import EDM, NOISE, check_generation, generation_limits
from .denoiser import field_multiple, solve, windowed_output
from .model_folder import ModelFolderError
from .solver import karras_levels, multistep, second_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from .config import GenerateConfig
    from .unet import UNet

STEPS = 10  # with 9 microtubules are told a little better from those of 64 (benchmarks/solver_steps.py)
NOISE_STEPS = 20  # of networks that predict the noise; the deviation of a known distribution is met within 7 %
# Between which noise levels those are drawn, and how they are spread (`karras_levels`). Images in [-1, 1] may
# all be as dark as -0.95: of that brightness noise has to be left nothing to begin from, so it is far above our 60.
_SIGMA_MIN, _SIGMA_MAX, _RHO = 0.01, 320.0, 7.0

Solver = Callable[[torch.nn.Module, torch.Tensor, int], Iterator[torch.Tensor]]


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


@dataclass(frozen=True)
class Sampler:
    """How images are drawn from a network, and what they may be like.

    Parameters
    ----------
    solve
        Turns (network, noise, steps) into present guesses, (B, 1, Y, X) in network units; the last one is the result.
    channels
        Of the noise that it starts from.
    multiple
        The network wants sides that are multiples of it, in pixels; other fields are cut from larger ones.
    smallest
        Side of a field in pixels.
    usual_steps, most_steps
        How many steps it needs, and how many it can take.
    """

    solve: Solver
    channels: int
    multiple: int
    smallest: int
    usual_steps: int
    most_steps: int

    def denoised_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the field to denoise, from which one of (height, width) is cut."""
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple

    def check(self, config: GenerateConfig) -> None:
        """Raise a ValueError unless this network can do what is asked for."""
        check_generation(config, self.smallest, self.most_steps)

    def steps(self, config: GenerateConfig) -> int:
        """Return how many steps an image takes."""
        return min(self.usual_steps, self.most_steps) if config.steps is None else config.steps


def pick_sampler(unet: UNet, facts: Mapping[str, Any]) -> Sampler:
    """Return how images are drawn from the network of a model, by what model.json says of it."""
    kind = facts.get("parameterization", EDM)
    if kind == EDM:
        smallest, most_steps = generation_limits(facts)
        return Sampler(
            solve,
            channels=1,
            multiple=field_multiple(unet),
            smallest=smallest,
            usual_steps=STEPS,
            most_steps=most_steps,
        )
    if kind == NOISE:
        smallest, most_steps = generation_limits(facts)
        schedule = NoiseSchedule(**facts["noise_schedule"])
        if unet.config.sample_size is None:
            raise ModelFolderError("The size of the model's training images is unknown: import the checkpoint again.")
        # Their finest attention looks at 16² places of a training image. Four times that on a side is quick still.
        window = 4 * unet.config.sample_size
        multiple = 2 ** (len(unet.config.block_out_channels) - 1)
        return Sampler(
            partial(_gray, schedule=schedule, window=window),
            channels=int(unet.config.in_channels),
            multiple=multiple,
            smallest=smallest,
            usual_steps=NOISE_STEPS,
            most_steps=most_steps,
        )
    raise ModelFolderError(f"The model is of a kind that is not known here ({kind}): update napari-smdiffusion.")


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
    yield from multistep(denoise, start, second_order(schedule.levels(steps)))
