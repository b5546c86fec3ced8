"""The training task of the diffusion model, and the resumption of an interrupted training."""

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
from ..store.folder import STATE, model_errors, read_facts, read_training_state
from ..store.whole_folders import settle
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


# Number of times that each part of the training images is seen, above which copies are likely. Measured with five
# models each (docs/results.md, claim B):
#
#     patches in the training images    times seen    models that copied
#      4                                 2 200        1 of 5
#      4                                11 000        all
#     16                                 2 800        1 of 5
#     64                                   690        none
_SEEN_TOO_OFTEN = 2000


def times_seen(images: Sequence[TrainingImage], config: TrainConfig, step: int) -> float:
    """Return the number of times that each part of the training images was seen after `step` training steps."""
    pixels = sum(math.prod(image.shape) for image in images)
    return step * config.batch * config.patch**2 / pixels if pixels else 0.0


def copy_warning(images: Sequence[TrainingImage], config: TrainConfig, step: int) -> str:
    """Return a warning if the model may copy its training images, or an empty string; see `_SEEN_TOO_OFTEN`."""
    count = times_seen(images, config, step)
    if count < _SEEN_TOO_OFTEN:
        return ""
    return (
        f"Each part of the training images was seen {count:.0f} times. Models of few images begin to copy them at "
        f"about {_SEEN_TOO_OFTEN} times. Look for copies (Compare images, or smdiffusion compare --training). If there "
        "are any, train for a shorter time or on more images."
    )


_USUAL_MINUTES = TrainConfig().minutes
_PREVIEW_SEED = 2**31  # larger than any seed a user can choose, so that a preview is never a generated image


@dataclass(frozen=True)
class DenoisingTask:
    """The task of a diffusion model: patches, noise levels and noise, drawn at every training step."""

    planes: Sequence[npt.NDArray[np.float32]]
    config: TrainConfig
    scaling: Scaling
    stage: str = "training"

    def draw(self, step: int) -> Batch:
        """Return the patches, noise levels and noise of a training step."""
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
        """Return generated images, (N, Y, X), or None if the settings ask for no preview."""
        if not self.config.previews:
            return None
        size = (self.config.patch, self.config.patch)
        noise = start_noise(_PREVIEW_SEED, range(self.config.previews), size)
        *_, last = sample_steps(network, noise)
        return to_intensities(to_numpy(last), self.scaling)


def with_copy_warning(steps: Steps[None], images: Sequence[TrainingImage], config: TrainConfig) -> Steps[None]:
    """Pass on the events of a training, and add one Note when the model may begin to copy its training images."""
    warned = False
    with closing(steps):
        for event in steps:
            yield event
            if not warned and isinstance(event, Progress) and (warning := copy_warning(images, config, event.step)):
                yield Note(warning)
                warned = True


def interrupted_run(out: Path | None) -> DiffusionRecord:
    """Return the record of the interrupted training in `out`; raises InputError if there is none."""
    if out is not None:
        settle(out)
    if out is None or not (out / STATE).exists():
        raise InputError(f"There is no training to resume in {out}: leave out --resume to start one.")
    return read_facts(out, "diffusion", DiffusionRecord)


def initial_network(config: TrainConfig, start: DiffusionModel | None) -> tuple[TrainConfig, Any]:
    """Return the settings with the channels of the network, and a new network or one with the weights of `start`.

    Raises
    ------
    InputError
        If `start` is an imported model or has other channels, or the patch does not suit the network.
    """
    if start is not None:
        if start.facts.parameterization != EDM:
            raise InputError(
                f"{start.name} is an imported model, and no training can start from it: start from a model that was "
                "trained here, or from scratch."
            )
        if config.channels not in (TrainConfig().channels, start.config.channels):
            own, wanted = (" ".join(map(str, settings.channels)) for settings in (start.config, config))
            raise InputError(
                f"{start.name} has the channels {own}, not {wanted}: leave out the channels, or train from scratch."
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
    """Load the state of the interrupted training, after checking that images and settings are the same.

    Returns
    -------
    The settings of the resumed training, which keeps its original length once that is known in steps. And a note, empty
    unless `config` has another length.

    Raises
    ------
    InputError
        If images or settings differ, the state is damaged, or the training is complete.
    """
    if [image.sha256 for image in before.training_data] != [image.sha256 for image in facts.training_data]:
        raise InputError(f"{out} was trained on other images: resume with the same images, or start a new model.")
    original = before.config
    former = to_dict(original)
    for key, value in to_dict(config).items():
        # The length of the training is part of its state.
        if key not in ("minutes", "steps", "device", "previews") and former[key] != value:
            raise InputError(f"{out} was trained with {key} {former[key]}, not {value}: resume with the same settings.")
    saved = read_training_state(out)
    with model_errors(out):
        state.load_state_dict(saved)
    if state.total is not None and state.step >= state.total:
        raise InputError(
            f"The training in {out} is complete ({state.total} steps): train a new model with --start {out}."
        )
    if state.total is None:
        return config, ""
    differs = config.steps not in (None, state.total) or config.minutes not in (original.minutes, _USUAL_MINUTES)
    length = f"to step {state.total}" if state.seconds is None else f"for the rest of its {original.minutes:g} minutes"
    note = f"The training continues {length}, its original length." if differs else ""
    return replace(config, minutes=original.minutes, steps=original.steps), note
