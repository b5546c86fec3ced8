"""The training task of the diffusion model, and the resumption of an interrupted training."""

from __future__ import annotations

import math
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..base.devices import generator, seeded
from ..base.errors import InputError
from ..base.events import Note, Preview, Progress, Steps
from ..base.settings import to_dict
from ..images.patches import draw_patches
from ..store.folder import STATE, model_errors, read_facts, read_training_state
from ..store.whole_folders import settle
from ..training.task import Batch
from .denoiser import EdmDenoiser
from .facts import DiffusionRecord
from .guidance import LABELS
from .intensities import Scaling, to_intensities, to_numpy
from .network import clone_unet, field_multiple, make_unet, with_classes, without_classes
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
    """Return the number of times that each part of the training images was seen after `step` training steps.

    Of a conditional model, it is that of the structure whose images have the fewest pixels.
    """
    pixels: dict[str, int] = defaultdict(int)  # by structure; each is in an equal share of the patches
    for image in images:
        pixels[image.group] += math.prod(image.shape)
    fewest = min(pixels.values(), default=0)
    return step * config.batch * config.patch**2 / len(pixels) / fewest if fewest else 0.0


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


_UNLABELLED = 0.1  # share of the patches of a conditional model that are learned without a class, for guidance


@dataclass(frozen=True)
class DenoisingTask:
    """The task of a diffusion model: patches, noise levels and noise, drawn at every training step.

    Parameters
    ----------
    planes
        For each structure, its planes in intensities; of one structure for a model without classes. They may be mapped
        from files, and larger than memory: the patches of a step alone are read.
    config
        Settings.
    scalings
        The scaling of each structure.
    structures
        The names of the structures; () for a model without classes.
    stage
        The name of the task in progress events.
    """

    planes: Sequence[Sequence[npt.NDArray[np.float32]]]
    config: TrainConfig
    scalings: Sequence[Scaling]
    structures: tuple[str, ...] = ()
    stage: str = "training"

    def draw(self, step: int) -> Batch:
        """Return the patches, noise levels, noise and, if there are any, classes of a training step."""
        rng = np.random.default_rng([self.config.seed, 0, step])
        random = generator(self.config.seed, 1, step)
        size, count = self._patches(rng)
        if self.structures:
            patches, labels = labelled_patches(self.planes, self.scalings, size, count, step, rng)
        else:
            patches, labels = self.scalings[0].scale(draw_patches(self.planes[0], size, count, rng)), None
        clean = torch.from_numpy(patches)[:, None]
        sigma, quartile = sample_sigmas(count, random, self.config.log_sigma_mean, self.config.log_sigma_std)
        tensors = clean, sigma, torch.randn(clean.shape, generator=random)
        return Batch(tensors if labels is None else (*tensors, torch.from_numpy(labels)), quartile)

    def _patches(self, rng: np.random.Generator) -> tuple[int, int]:
        """Return the side and the number of the patches of a step: of all sides, they have equally many pixels."""
        config, size, count = self.config, self.config.patch, self.config.batch
        shortest = min(min(plane.shape) for own in self.planes for plane in own)
        if config.widest_fraction and shortest >= 4 * size and count >= 16 and rng.random() < config.widest_fraction:
            return 4 * size, count // 16
        if shortest >= 2 * size and count >= 4 and rng.random() < config.wide_fraction:
            return 2 * size, count // 4
        return size, count

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the denoising loss of each example, (B,)."""
        clean, sigma, noise, *labels = tensors
        return EdmDenoiser(network).loss(clean, sigma, noise, **dict(zip((LABELS,), labels, strict=False)))

    def preview(self, network: torch.nn.Module) -> npt.NDArray[np.float32] | None:
        """Return generated images, (N, Y, X), or None if the settings ask for no preview.

        Those of a conditional model show its structures in turn, in the intensities of the first one.
        """
        if not self.config.previews:
            return None
        size = (self.config.patch, self.config.patch)
        kinds = max(1, len(self.structures))
        count = -(-self.config.previews // kinds) * kinds
        condition: dict[str, Any] = {LABELS: torch.arange(count) % kinds} if self.structures else {}
        *_, last = sample_steps(network, start_noise(_PREVIEW_SEED, range(count), size), **condition)
        images = to_numpy(last)
        first = self.scalings[0]
        for kind, scaling in enumerate(self.scalings):
            own = to_intensities(images[kind::kinds], scaling)
            images[kind::kinds] = own if kind == 0 else first.unscale(scaling.scale(own))
        return images


def labelled_patches(
    planes: Sequence[Sequence[npt.NDArray[np.float32]]],
    scalings: Sequence[Scaling],
    size: int,
    count: int,
    step: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return patches of all structures in network units, in equal shares and random order, and the class of each.

    Some patches have the class "no class", which is the number of structures.

    Parameters
    ----------
    planes, scalings
        The planes of each structure, in intensities, and their scaling.
    size, count
        Side of a patch in pixels, and number of patches.
    step
        The training step: structures that a step leaves out come first in the next one.
    rng
        Random generator for all draws.

    Returns
    -------
    (count, size, size) float32, and (count,) int64.
    """
    kinds = rng.permutation((step * count + np.arange(count)) % len(planes))
    patches = np.empty((count, size, size), np.float32)
    for kind, (own, scaling) in enumerate(zip(planes, scalings, strict=True)):
        patches[kinds == kind] = scaling.scale(draw_patches(own, size, int((kinds == kind).sum()), rng))
    return patches, np.where(rng.random(count) < _UNLABELLED, len(planes), kinds).astype(np.int64)


def annotated(steps: Steps[None], images: Sequence[TrainingImage], task: DenoisingTask) -> Steps[None]:
    """Pass on the events of a training on `images`.

    Previews of a conditional model state the structure of each image. One Note is added when the model may begin to
    copy its training images.
    """
    warned, structures = False, task.structures
    with closing(steps):
        for event in steps:
            if structures and isinstance(event, Preview):
                names = tuple(structures[k % len(structures)] for k in range(len(event.images)))
                event = replace(event, names=names)
            yield event
            step = 0 if warned or not isinstance(event, Progress) else event.step
            if step and (warning := copy_warning(images, task.config, step)):
                yield Note(warning)
                warned = True


def interrupted_run(out: Path | None) -> DiffusionRecord:
    """Return the record of the interrupted training in `out`; raises InputError if there is none."""
    if out is not None:
        settle(out)
    if out is None or not (out / STATE).exists():
        raise InputError(f"There is no training to resume in {out}: leave out --resume to start one.")
    return read_facts(out, "diffusion", DiffusionRecord)


def initial_network(
    config: TrainConfig, start: DiffusionModel | None, structures: Sequence[str] = ()
) -> tuple[TrainConfig, Any]:
    """Return the settings with the channels of the network, and a new network or one with the weights of `start`.

    With the names of several structures, the network has a class for each. It begins as that of `start` for the
    structure of this name, or as that without a class.

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
        unet = make_unet(config.channels, classes=len(structures)) if start is None else _started(start, structures)
    multiple = field_multiple(unet)
    if config.patch % multiple:
        raise InputError(
            f"patch must be a multiple of {multiple} for a network of {len(config.channels)} resolutions, "
            f"not {config.patch}.",
            "patch",
        )
    return config, unet


def _started(start: DiffusionModel, structures: Sequence[str]) -> Any:
    """Return a network with the weights of `start`, and a class for each of the structures."""
    unet, known = clone_unet(start.unet), start.structures
    if not structures:
        return without_classes(unet)
    return with_classes(unet, [known.index(name) if name in known else None for name in structures])


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
    if [image.group for image in before.training_data] != [image.group for image in facts.training_data]:
        stated = before.shows if before.groups else "images of one structure"
        raise InputError(f"{out} was trained on {stated}: resume with the same names of the same images.")
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
