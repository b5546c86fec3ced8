"""The sampler of a model: its denoiser, its noise levels and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..store.folder import ModelFolderError
from .denoiser import Clamped, Denoiser, EdmDenoiser
from .facts import generation_limits
from .guidance import Guided
from .network import field_multiple
from .noise_prediction import NOISE_STEPS, NoisePredictionDenoiser, NoiseSchedule
from .settings import EDM, NOISE, check_generation
from .solver import karras_levels
from .solvers import SOLVERS
from .windows import WINDOW, Windowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .facts import DiffusionFacts
    from .settings import GenerateConfig
    from .unet import UNet

# The lowest and the highest noise level, and their spacing. EDM's values (0.002, 80, 7) need a fifth more steps for the
# same distance to the converged image (docs/results_appendix.md).
SIGMA_MIN, SIGMA_MAX, RHO = 0.02, 60.0, 5.0
# Default number of sampling steps. A classifier distinguishes microtubules of 9 steps from those of 64, but none of 10
# (benchmarks/realism/solver_steps.py).
STEPS = 10


def noise_levels(steps: int) -> tuple[float, ...]:
    """Return the noise levels for sampling networks that were trained here."""
    return karras_levels(steps, SIGMA_MIN, SIGMA_MAX, RHO)


def denoiser_of(network: torch.nn.Module) -> Denoiser:
    """Return the denoiser of a network that was trained here, for fields of any size."""
    return Windowed(EdmDenoiser(network), WINDOW)


@torch.no_grad()
def sample_steps(
    network: torch.nn.Module, noise: torch.Tensor, steps: int = STEPS, **condition: Any
) -> Iterator[torch.Tensor]:
    """Turn noise, (B, 1, Y, X), into images with a network that was trained here; see `Sampler.sample`."""
    start = noise.to(next(network.parameters()).device)
    yield from SOLVERS["dpmpp-2m"](denoiser_of(network), start, noise_levels(steps), **condition)


@dataclass(frozen=True)
class Sampler:
    """The sampler of a model.

    Parameters
    ----------
    denoiser_of
        Returns the denoiser of a network, which is on the device to compute on.
    levels
        Returns the noise levels for a number of sampling steps.
    channels
        Channels of the initial noise; an image is the mean over them.
    multiple
        Number of pixels that the sides of a denoised field must be multiples of; other fields are cut from larger ones.
    smallest
        Smallest side of a field in pixels.
    usual_steps, most_steps
        Default and largest number of sampling steps.
    """

    denoiser_of: Callable[[torch.nn.Module], Denoiser]
    levels: Callable[[int], tuple[float, ...]]
    channels: int
    multiple: int
    smallest: int
    usual_steps: int
    most_steps: int

    def denoised_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the denoised field, from which a field of (height, width) is cut."""
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple

    def check(self, config: GenerateConfig) -> None:
        """Raise an InputError if the model does not support the size or the number of steps."""
        check_generation(config, self.smallest, self.most_steps)

    def steps(self, config: GenerateConfig) -> int:
        """Return the number of sampling steps."""
        return min(self.usual_steps, self.most_steps) if config.steps is None else config.steps

    @torch.no_grad()
    def sample(
        self,
        network: torch.nn.Module,
        noise: torch.Tensor,
        steps: int,
        solver: str = "dpmpp-2m",
        guidance: float = 1.0,
        **condition: Any,
    ) -> Iterator[torch.Tensor]:
        """Turn noise into images.

        Parameters
        ----------
        network
            The network in evaluation mode, on the device to compute on.
        noise
            Standard normal noise, (B, C, Y, X).
        steps
            Number of network evaluations.
        solver
            A name in `SOLVERS`.
        guidance
            Strength of the guidance by the class; see `Guided`.
        **condition
            See `Denoiser`.

        Yields
        ------
        The estimate of the clean image at each noise level, (B, 1, Y, X) in network units; the last one is the result.
        """
        start = noise.to(next(network.parameters()).device)
        denoiser = Guided(self.denoiser_of(network), guidance)
        for clean in SOLVERS[solver](denoiser, start, self.levels(steps), **condition):
            yield clean if self.channels == 1 else clean.mean(1, keepdim=True)


def pick_sampler(unet: UNet, facts: DiffusionFacts) -> Sampler:
    """Return the sampler of a model with this network and these facts; raises ModelFolderError if it is unknown."""
    kind = facts.parameterization
    smallest, most_steps = generation_limits(facts)
    if kind == EDM:
        return Sampler(denoiser_of, noise_levels, 1, field_multiple(unet), smallest, STEPS, most_steps)
    if kind != NOISE:
        raise ModelFolderError(
            f"This version does not know the parameterization {kind!r} of the model: update napari-smdiffusion."
        )
    if unet.config.sample_size is None or facts.noise_schedule is None:
        raise ModelFolderError("The size of the model's training images is unknown: import the checkpoint again.")
    schedule = NoiseSchedule(facts.noise_schedule.name, facts.noise_schedule.steps)
    # The finest attention has 16² positions in a training image. A window of four times the side is still fast.
    window = 4 * unet.config.sample_size

    def imported_denoiser_of(network: torch.nn.Module) -> Denoiser:
        # Imported networks were trained on images in [-1, 1].
        return Clamped(Windowed(NoisePredictionDenoiser(network, schedule), window), -1, 1)

    return Sampler(
        imported_denoiser_of,
        schedule.levels,
        channels=int(unet.config.in_channels),
        multiple=2 ** (len(unet.config.block_out_channels) - 1),
        smallest=smallest,
        usual_steps=NOISE_STEPS,
        most_steps=most_steps,
    )
