"""The training task of the diffusion model, and how an interrupted run goes on."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..base.devices import generator, seeded
from ..base.errors import InputError
from ..base.events import Note, Progress, Steps
from ..base.settings import to_dict
from ..images.patches import draw_patches
from ..store.folder import STATE, model_errors, read_facts, recover_interrupted_save
from ..training.task import Batch
from .denoiser import EdmDenoiser
from .facts import DiffusionRecord
from .intensities import Scaling, to_intensities, to_numpy
from .network import clone_unet, field_multiple, make_unet
from .noise import sample_sigmas, start_noise
from .sampler import sample_steps
from .settings import EDM, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ..images.provenance import TrainingImage
    from ..training.state import TrainingState
    from .facts import DiffusionFacts
    from .model import DiffusionModel


# How often each part of the training images is seen. Of the models of four patches that saw them 2 200 times one of
# five copied, and all that saw them 11 000 times; of sixteen, that saw them 2 800 times, one of five, and of 64, that
# saw them 690 times, none (docs/results.md, claim B).
_SEEN_TOO_OFTEN = 2000


def times_seen(images: Sequence[TrainingImage], config: TrainConfig, step: int) -> float:
    """Return how often a diffusion model has seen each part of its training images after `step` steps."""
    pixels = sum(math.prod(image.shape) for image in images)
    return step * config.batch * config.patch**2 / pixels if pixels else 0.0


def copying(images: Sequence[TrainingImage], config: TrainConfig, step: int) -> str:
    """Return a warning where it has seen them so often that such models began to copy; else nothing."""
    seen = times_seen(images, config, step)
    if seen < _SEEN_TOO_OFTEN:
        return ""
    return (
        f"Each part of the training images was seen {seen:.0f} times, and from about {_SEEN_TOO_OFTEN} times on models "
        "of few patches begin to copy them: look for copies (Compare images, or smdiffusion compare --training), and "
        "train for a shorter time or on more images if there are any."
    )


_USUAL_MINUTES = TrainConfig().minutes
_PREVIEW_SEED = 2**31  # beyond the seeds people can choose, so that a preview is never the image they generate


@dataclass(frozen=True)
class DenoisingTask:
    """The task of a diffusion model: patches, noise levels and noise, drawn anew at every step."""

    planes: Sequence[npt.NDArray[np.float32]]
    config: TrainConfig
    scaling: Scaling
    stage: str = "training"

    def draw(self, step: int) -> Batch:
        """Return patches, noise levels and noise of a step."""
        rng = np.random.default_rng([self.config.seed, 0, step])
        random = generator(self.config.seed, 1, step)
        size, count = self.config.patch, self.config.batch
        wide = min(min(plane.shape) for plane in self.planes) >= 2 * size and count >= 4
        if wide and rng.random() < self.config.wide_fraction:
            size, count = 2 * size, count // 4
        clean = torch.from_numpy(draw_patches(self.planes, size, count, rng))[:, None]
        sigma, quartile = sample_sigmas(count, random, self.config.log_sigma_mean, self.config.log_sigma_std)
        return Batch((clean, sigma, torch.randn(clean.shape, generator=random)), quartile)

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the denoising loss of each example, (B,)."""
        clean, sigma, noise = tensors
        return EdmDenoiser(network).loss(clean, sigma, noise)

    def preview(self, network: torch.nn.Module) -> npt.NDArray[np.float32] | None:
        """Return generated images, or None where no preview is wanted."""
        if not self.config.previews:
            return None
        size = (self.config.patch, self.config.patch)
        noise = start_noise(_PREVIEW_SEED, range(self.config.previews), size)
        *_, last = sample_steps(network, noise)
        return to_intensities(to_numpy(last), self.scaling)


def with_copy_warning(steps: Steps[None], images: Sequence[TrainingImage], config: TrainConfig) -> Steps[None]:
    """Pass on the events of a training, and say once when it has seen its images so often that it may copy them."""
    said = False
    with closing(steps):
        for event in steps:
            yield event
            if not said and isinstance(event, Progress) and (warning := copying(images, config, event.step)):
                yield Note(warning)
                said = True


def interrupted_run(out: Path | None) -> DiffusionRecord:
    """Return what is known of the run that was cut in `out`."""
    if out is not None:
        recover_interrupted_save(out)
    if out is None or not (out / STATE).exists():
        raise InputError(f"There is no training to resume in {out}: leave out --resume to start one.")
    return read_facts(out, "diffusion", DiffusionRecord)


def initial_network(config: TrainConfig, start: DiffusionModel | None) -> tuple[TrainConfig, Any]:
    """Return a new network, or one with the weights of `start`, and the settings that it has.

    Raises
    ------
    InputError
        If nothing can be begun from `start`, or other channels than its own are asked for.
    """
    if start is not None:
        if start.facts.parameterization != EDM:
            raise InputError(
                f"{start.name} is an imported model, which is trained in another way: start from one that was trained "
                "here, or from none."
            )
        if config.channels not in (TrainConfig().channels, start.config.channels):
            has, asked = (" ".join(map(str, one.channels)) for one in (start.config, config))
            raise InputError(
                f"{start.name} has the channels {has}, and {asked} are asked for: leave out the channels, or begin "
                "from none."
            )
        config = replace(config, channels=start.config.channels)
    with seeded(config.seed):
        unet = make_unet(config.channels) if start is None else clone_unet(start.unet)
    multiple = field_multiple(unet)
    if config.patch % multiple:
        raise InputError(
            f"patch must be a multiple of {multiple} for a network of {len(config.channels)} resolutions, "
            f"not {config.patch}.",
            "patch",
        )
    return config, unet


def resume_run(
    state: TrainingState, out: Path, before: DiffusionRecord, config: TrainConfig, facts: DiffusionFacts
) -> tuple[TrainConfig, str]:
    """Load the state of the run that was cut, after checking that it is the same run.

    Returns
    -------
    The settings, to the end that the run was begun with if that is known; and a sentence if another was asked for.
    """
    if [one.sha256 for one in before.training_data] != [one.sha256 for one in facts.training_data]:
        raise InputError(f"{out} was trained on other images: resume with the same ones, or start a new model.")
    begun = before.config
    former = to_dict(begun)
    for key, value in to_dict(config).items():
        # The number of steps is part of the state that is resumed.
        if key not in ("minutes", "steps", "device", "previews") and former[key] != value:
            raise InputError(f"{out} was trained with {key} {former[key]}, not {value}: resume with the same settings.")
    with model_errors(out):
        state.load_state_dict(torch.load(out / STATE, weights_only=True, map_location="cpu"))
    if state.total is not None and state.step >= state.total:
        raise InputError(f"{out} is trained to its end ({state.total} steps): train a new model with --start {out}.")
    if state.total is None:
        return config, ""
    other = config.steps not in (None, state.total) or config.minutes not in (begun.minutes, _USUAL_MINUTES)
    said = f"The training goes on to step {state.total}, as it was begun; no other end is taken." if other else ""
    return replace(config, minutes=begun.minutes, steps=begun.steps), said
