"""From noise to images: the solver, the noise levels and the limits of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ..store.folder import ModelFolderError
from .denoiser import denoised
from .network import field_multiple
from .noise_prediction import NOISE_STEPS, NoiseSchedule, _gray
from .settings import EDM, NOISE, check_generation, generation_limits
from .solver import Plan, dpmpp_2m, karras_levels, run_multistep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import GenerateConfig
    from .unet import UNet
# Between which noise levels an image is drawn, and how they are spread. EDM's 0.002 to 80 by 7 need a fifth more steps
# to come as near to the converged image (docs/results.md, What was tried).
SIGMA_MIN, SIGMA_MAX, RHO = 0.02, 60.0, 5.0


@torch.no_grad()
def solve(unet: torch.nn.Module, noise: torch.Tensor, steps: int) -> Iterator[torch.Tensor]:
    """Turn noise into images.

    Parameters
    ----------
    unet
        In evaluation mode, on the device to compute on.
    noise
        (B, 1, Y, X) standard normal.
    steps
        Number of network evaluations.

    Yields
    ------
    The denoised image that the network sees at this noise level, (B, 1, Y, X); the last one is the result.
    """
    start = noise.to(next(unet.parameters()).device)
    yield from run_multistep(partial(denoised, unet), start, plan(steps))


def plan(steps: int) -> Plan:
    """Return how images are drawn in so many steps: by DPM-Solver++(2M)."""
    return dpmpp_2m(karras_levels(steps, SIGMA_MIN, SIGMA_MAX, RHO))


STEPS = 10  # with 9 microtubules are told a little better from those of 64 (benchmarks/realism/solver_steps.py)

Solver = Callable[[torch.nn.Module, torch.Tensor, int], Iterator[torch.Tensor]]


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
