"""Training a diffusion model on super-resolution images."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .cards import copying
from .compute import generator, pick_device, seeded
from .config import EDM, TrainConfig
from .denoiser import (
    copied,
    denoising_loss,
    draw_sigmas,
    field_multiple,
    for_drawing,
    for_training,
    make_unet,
    solve,
    start_noise,
    to_numpy,
)
from .diffusion import KIND, DiffusionModel, intensities, save_model
from .errors import InputError
from .images import Image, Scaling, common_pixel_size
from .model_folder import STATE, UNNAMED, check_place, claimed, damage_named, mend, read_facts, save_at_last
from .patches import check_patch, draw_patches
from .progress import Note, Progress, Steps, Stop, never
from .sampling import STEPS
from .settings import from_dict, to_dict
from .training import Batch, Budget, TrainingState, given_back, optimize_steps, training_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

_USUAL_MINUTES = TrainConfig().minutes
_PREVIEW_SEED = 2**31  # beyond the seeds people can choose, so that a preview is never the image they generate


@dataclass(frozen=True)
class _Denoising:
    """The task of a diffusion model: patches, noise levels and noise, drawn anew at every step."""

    planes: Sequence[npt.NDArray[np.float32]]
    config: TrainConfig
    scaling: Scaling
    stage: str = "training"

    def draw(self, step: int) -> Batch:
        rng = np.random.default_rng([self.config.seed, 0, step])
        random = generator(self.config.seed, 1, step)
        size, count = self.config.patch, self.config.batch
        wide = min(min(plane.shape) for plane in self.planes) >= 2 * size and count >= 4
        if wide and rng.random() < self.config.wide_fraction:
            size, count = 2 * size, count // 4
        clean = torch.from_numpy(draw_patches(self.planes, size, count, rng))[:, None]
        sigma, quartile = draw_sigmas(count, random, self.config.log_sigma_mean, self.config.log_sigma_std)
        return Batch((clean, sigma, torch.randn(clean.shape, generator=random)), quartile)

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        clean, sigma, noise = tensors
        return denoising_loss(network, clean, sigma, noise)

    def preview(self, network: torch.nn.Module) -> npt.NDArray[np.float32] | None:
        if not self.config.previews:
            return None
        size = (self.config.patch, self.config.patch)
        noise = start_noise(_PREVIEW_SEED, range(self.config.previews), size)
        *_, last = solve(network, noise, STEPS)
        return intensities(to_numpy(last), self.scaling)


def train_steps(
    images: Sequence[Image],
    config: TrainConfig,
    *,
    start: DiffusionModel | None = None,
    out: Path | None = None,
    resume: bool = False,
    name: str | None = None,
    stop: Stop = never,
) -> Steps[DiffusionModel]:
    """Train a diffusion model.

    Parameters
    ----------
    images
        One or more super-resolution images of one pixel size; stacks count plane by plane.
    config
        Settings.
    start
        Begin from this model's weights instead of from nothing, with its `channels`. A run that is resumed goes on
        from its own state.
    out
        Folder for checkpoints, less than a minute apart, and for the model. None: only in memory.
    resume
        Continue the run that was cut in `out`; settings and images must be the same.
    name
        What to call the model; by default the name of the folder.
    stop
        Asked at every step.

    Yields
    ------
    Progress, Preview and Note events.

    Returns
    -------
    The model as it is when the budget is used up or `stop` says so.

    Raises
    ------
    ValueError
        For images that cannot be trained on, or a run that cannot be resumed.
    OSError
        If no model can be written at `out`; nothing was trained then.
    MemoryError, TrainingDivergedError
        If not even one patch can be computed, or the loss is no number any more.
    InterruptedError
        If it was stopped before the first step.
    """
    pixel_size = common_pixel_size(images)
    check_patch(images, config.patch)
    if out is not None:
        out = out.absolute()
        check_place(out, replace=resume)
    device = pick_device(config.device)
    cut = _cut(out) if resume else None
    begun_from, unused = (None, start) if cut is not None else (start, None)
    # The network of the run may be that of the model it began from; whoever names another is refused below.
    if cut is not None and config.channels == TrainConfig().channels:
        config = replace(config, channels=tuple(cut["config"]["channels"]))
    config, unet = _network(config, begun_from)
    scaling = Scaling.fit(images)
    facts = training_facts(images, name or (out.name if out is not None else UNNAMED))
    facts["started_from"] = (
        cut.get("started_from") if cut is not None else None if begun_from is None else begun_from.name
    )
    # What is learned already is to be kept: half the rate changes it less.
    state = TrainingState(for_training(unet, device), config.learning_rate * (0.5 if facts["started_from"] else 1.0))
    task = _Denoising([scaling.scale(plane) for s in images for plane in s.pixels], config, scaling)

    def model(state: TrainingState) -> DiffusionModel:
        return DiffusionModel(unet, scaling, pixel_size, config, {**facts, **state.facts()})

    def checkpoint(state: TrainingState, last: bool) -> None:
        if out is None:
            return
        if last:
            save_at_last(lambda folder: save_model(model(state), folder, state=state), out).tell()
        else:
            save_model(model(state), out, state=state)

    with given_back(state, device), claimed(out):
        if cut is not None and out is not None:
            config, said = _resume(state, out, cut, config, facts)
            if said:
                yield Note(said)
        if begun_from is not None:
            yield Note(f"Trained on from {begun_from.name}.")
        if unused is not None:
            yield Note(f"The training that was cut goes on from its own state: {unused.name} is not begun from.")
        steps = optimize_steps(
            state,
            task,
            Budget(config.minutes, config.steps),
            stop=stop,
            checkpoint=None if out is None else checkpoint,
            device=device,
        )
        yield from _warned(steps, {**facts, "config": to_dict(config)})
    for_drawing(unet)
    return model(state)


def _warned(steps: Steps[None], facts: dict[str, Any]) -> Steps[None]:
    """Pass on the events of a training, and say once when it has seen its images so often that it may copy them."""
    said = False
    with closing(steps):
        for event in steps:
            yield event
            if not said and isinstance(event, Progress) and (warning := copying(facts, event.step)):
                yield Note(warning)
                said = True


def _cut(out: Path | None) -> dict[str, Any]:
    """Return what is known of the run that was cut in `out`."""
    if out is not None:
        mend(out)
    if out is None or not (out / STATE).exists():
        raise ValueError(f"There is no training to resume in {out}: leave out --resume to start one.")
    return read_facts(out, KIND)


def _network(config: TrainConfig, start: DiffusionModel | None) -> tuple[TrainConfig, Any]:
    """Return a new network, or one with the weights of `start`, and the settings that it has.

    Raises
    ------
    ValueError
        If nothing can be begun from `start`, or other channels than its own are asked for.
    """
    if start is not None:
        if start.facts.get("parameterization", EDM) != EDM:
            raise ValueError(
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
        unet = make_unet(config.channels) if start is None else copied(start.unet)
    multiple = field_multiple(unet)
    if config.patch % multiple:
        raise ValueError(
            f"patch must be a multiple of {multiple} for a network of {len(config.channels)} resolutions, "
            f"not {config.patch}."
        )
    return config, unet


def _resume(
    state: TrainingState, out: Path, before: dict[str, Any], config: TrainConfig, facts: dict[str, Any]
) -> tuple[TrainConfig, str]:
    """Load the state of the run that was cut, after checking that it is the same run.

    Returns
    -------
    The settings, to the end that the run was begun with if that is known; and a sentence if another was asked for.
    """
    if [d["sha256"] for d in before["training_data"]] != [d["sha256"] for d in facts["training_data"]]:
        raise ValueError(f"{out} was trained on other images: resume with the same ones, or start a new model.")
    begun = from_dict(TrainConfig, before["config"])
    former = to_dict(begun)
    for key, value in to_dict(config).items():
        # The number of steps is part of the state that is resumed.
        if key not in ("minutes", "steps", "device", "previews") and former[key] != value:
            raise ValueError(f"{out} was trained with {key} {former[key]}, not {value}: resume with the same settings.")
    with damage_named(out):
        state.load_state_dict(torch.load(out / STATE, weights_only=True, map_location="cpu"))
    if state.total is not None and state.step >= state.total:
        raise ValueError(f"{out} is trained to its end ({state.total} steps): train a new model with --start {out}.")
    if state.total is None:
        return config, ""
    other = config.steps not in (None, state.total) or config.minutes not in (begun.minutes, _USUAL_MINUTES)
    said = f"The training goes on to step {state.total}, as it was begun; no other end is taken." if other else ""
    return replace(config, minutes=begun.minutes, steps=begun.steps), said
