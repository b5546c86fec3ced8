"""Training of the posterior sampler of an enhancer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..base.devices import pick_device
from ..base.errors import InputError
from ..base.events import Steps, Stop, never, run
from ..diffusion.network import (
    clone_unet,
    field_multiple,
    for_sampling,
    for_training,
    with_given_images,
    without_classes,
)
from ..diffusion.settings import EDM
from ..enhance.calibrating import fitting_count
from ..enhance.checkpoints import digest_of_inputs, resumed_microscope
from ..enhance.model import KIND, save_enhancer
from ..enhance.training import suited_microscope_steps, training_set_steps
from ..posterior.conditions import GIVEN
from ..posterior.sampler import PosteriorSampler
from ..store.folder import (
    STATE,
    bytes_of_model,
    check_place,
    model_errors,
    read_training_state,
    save_or_save_beside,
    training_lock,
)
from ..store.whole_folders import exists
from ..training.loop import optimize_steps
from ..training.pace import Budget
from ..training.state import TrainingState, released_when_done
from ..training.threads import ThreadChoice
from .applying import sampler_of
from .calibrating import PATCHES, ROUGH_PATCHES, calibration_seconds, calibration_steps
from .task import SamplesTask, measured_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..diffusion.model import DiffusionModel
    from ..enhance.examples import TrainingPairs
    from ..enhance.held_out import Region
    from ..enhance.model import Enhancer
    from ..images.image import Image
    from ..microscope.settings import MicroscopeConfig
    from ..store.folder import SavedModel

_RATE = 6e-4  # highest learning rate; the network begins with the weights of a trained one


@dataclass(frozen=True)
class SamplerInputs:
    """The images that a sampler learns from; see `TrainEnhancerJob`.

    Parameters
    ----------
    images
        Super-resolution images.
    microscope
        The widefield microscope that is simulated.
    pairs
        (widefield, super-resolution) images, which replace the simulation.
    weights
        Relative frequency of each of `images`; None in proportion to its pixels.
    """

    images: Sequence[Image]
    microscope: MicroscopeConfig
    pairs: Sequence[tuple[Image, Image]] = ()
    weights: Sequence[float] | None = None

    @property
    def digest(self) -> str:
        """Digest of everything that the training draws from."""
        sharp = [fine for _, fine in self.pairs] or self.images
        microscope = "" if self.pairs else repr(self.microscope)
        return f"{digest_of_inputs(self.pairs, self.weights)} {' '.join(image.digest for image in sharp)} {microscope}"


def train_samples_steps(
    enhancer: Enhancer,
    inputs: SamplerInputs,
    prior: DiffusionModel,
    *,
    out: Path | None = None,
    resume: bool = False,
    stop: Stop = never,
    began: float | None = None,
) -> Steps[Enhancer]:
    """Train the posterior sampler of an enhancer and calibrate its samples on held-out regions.

    Parameters
    ----------
    enhancer, inputs
        The enhancer, whose estimate stays as it is, and what its sampler learns from. Its settings are those of the
        training. If it has a sampler, the training begins from that one.
    prior
        The diffusion model whose weights a new sampler begins with.
    out, resume
        Folder for the enhancer and for checkpoints; None keeps it in memory. With `resume`, the interrupted training
        of the sampler in `out` is continued.
    stop, began
        `stop` is checked at every step. `began` is `time.monotonic()` at the start of the job, which the minutes count
        from.

    Yields
    ------
    Progress, Preview and Note events; the enhancer with its sampler is returned.

    Raises
    ------
    InputError, OSError
        If the enhancer is of an earlier version, the prior was imported, or a resumed training had other inputs; if
        `out` cannot be written.
    Stopped
        If it was stopped before the first step.
    """
    check_start(enhancer)
    check_prior(prior)
    began = time.monotonic() if began is None else began
    inputs = yield from _suited(inputs, enhancer, resume)
    training_set = yield from training_set_steps(
        inputs.images, inputs.pairs, inputs.weights, enhancer.config, inputs.microscope, enhancer.widefield
    )
    pairs = training_set.task.with_light(enhancer.widefield.light)
    enhancer, sampler = _with_untrained_sampler(enhancer, pairs, prior, resume)
    state = TrainingState(for_training(sampler.network, pick_device(enhancer.config.device)), _RATE)
    if out is not None:
        check_place(out, replace=True, needed=bytes_of_model(sum(p.numel() for p in sampler.network.parameters())))
    with training_lock(out):
        if resume and out is not None and exists(out / STATE):
            _load_state(state, out, inputs.digest)
        checkpoints = _Checkpoints(enhancer, out, inputs.digest)
        task = SamplesTask(pairs, enhancer.network, sampler.facts.scale, field_multiple(sampler.network))
        return (
            yield from _optimize_and_calibrate(enhancer, state, task, training_set.held_out, checkpoints, stop, began)
        )


def _suited(inputs: SamplerInputs, enhancer: Enhancer, resume: bool) -> Steps[SamplerInputs]:
    """Return the inputs with the microscope of the interrupted training, or with one that suits the structure."""
    former = None if enhancer.sampler is None else enhancer.sampler.facts.microscope
    if inputs.pairs:
        return inputs
    if resume and former is not None:
        return replace(inputs, microscope=resumed_microscope(former, inputs.microscope))
    return replace(inputs, microscope=(yield from suited_microscope_steps(inputs.microscope, inputs.images)))


def recalibrated_samples(enhancer: Enhancer, inputs: SamplerInputs) -> Enhancer:
    """Return an enhancer with a new calibration of its samples on the held-out regions of their training images.

    Other images than those of the training would be divided into other held-out regions.
    """
    training_set = run(
        training_set_steps(
            inputs.images, inputs.pairs, inputs.weights, enhancer.config, inputs.microscope, enhancer.widefield
        )
    )
    sampler = sampler_of(enhancer)
    pairs = training_set.task.with_light(enhancer.widefield.light)
    task = SamplesTask(pairs, enhancer.network, sampler.facts.scale, field_multiple(sampler.network))
    calibration = run(calibration_steps(task, sampler, training_set.held_out, PATCHES, never))
    return replace(enhancer, samples_calibration=calibration)


def _with_untrained_sampler(
    enhancer: Enhancer, pairs: TrainingPairs, prior: DiffusionModel, resume: bool
) -> tuple[Enhancer, PosteriorSampler]:
    """Return the enhancer with the sampler that the training begins with, and this sampler."""
    sampler = enhancer.sampler
    if sampler is None:
        # Of a model of several structures, the samples begin with what it learned without their names.
        network = with_given_images(without_classes(prior.unet), GIVEN)
        sampler = PosteriorSampler(network, measured_facts(pairs, prior.name))
    elif not resume:  # the weights of an enhancer that already has samples, whose units stay
        former = enhancer.facts.started_from or enhancer.name  # it has the name of the new enhancer already
        facts = replace(measured_facts(pairs, former), scale=sampler.facts.scale)
        sampler = PosteriorSampler(clone_unet(sampler.network), facts)
    return replace(enhancer, sampler=sampler), sampler


def _optimize_and_calibrate(
    enhancer: Enhancer,
    state: TrainingState,
    task: SamplesTask,
    held_out: Sequence[Region],
    checkpoints: _Checkpoints,
    stop: Stop,
    began: float,
) -> Steps[Enhancer]:
    """Train the sampler and save it; then calibrate and save again, within the minutes of the settings."""
    config, device = enhancer.config, pick_device(enhancer.config.device)
    threads = ThreadChoice(device)
    calibration_time = partial(calibration_seconds, task, trained_sampler(enhancer, state).network, threads)
    budget = Budget(config.minutes, config.steps, partial(calibration_time, PATCHES), began)
    with released_when_done(state, device):
        yield from optimize_steps(
            state, task.with_empty_parts(), budget, stop=stop, checkpoint=checkpoints, device=device, threads=threads
        )
        sampler = trained_sampler(enhancer, state)
        for_sampling(sampler.network)
        count = ROUGH_PATCHES if stop() else PATCHES
        if state.seconds is not None and not stop():
            left = config.minutes * 60 - state.seconds
            count = fitting_count(PATCHES, ROUGH_PATCHES, calibration_time(PATCHES), left)
        calibration = yield from calibration_steps(task, sampler, held_out, count, stop, threads)
    enhancer = replace(enhancer, sampler=sampler, samples_calibration=calibration)
    if checkpoints.saved is not None:
        save_enhancer(enhancer, checkpoints.saved.folder)
        checkpoints.saved.raise_if_elsewhere()
    return enhancer


def check_start(enhancer: Enhancer) -> None:
    """Raise an InputError if no sampler can be trained for an enhancer."""
    if enhancer.widefield.method != "local":
        raise InputError(
            f"{enhancer.name} was trained by an earlier version, and no samples can be trained for it: train a new "
            "enhancer."
        )


def check_prior(prior: DiffusionModel) -> None:
    """Raise an InputError if no sampler can begin with the weights of a diffusion model."""
    if prior.facts.parameterization != EDM:
        raise InputError(
            f"{prior.name} is an imported model, and samples cannot begin with it: choose a model that was trained "
            "here."
        )


def _load_state(state: TrainingState, out: Path, inputs: str) -> None:
    """Load the state of the interrupted training of a sampler; raises InputError if it had other images."""
    saved = read_training_state(out)
    if saved.get("inputs") != inputs:
        raise InputError(
            f"{out} was trained on other images or with another microscope: resume with the same, or start a new one."
        )
    with model_errors(out):
        state.load_state_dict(saved)


def trained_sampler(enhancer: Enhancer, state: TrainingState) -> PosteriorSampler:
    """Return the sampler of an enhancer with the facts of its training so far."""
    if enhancer.sampler is None:
        raise ValueError("The enhancer has no sampler.")
    sampler = enhancer.sampler
    return PosteriorSampler(sampler.network, sampler.facts.after(state.curve, state.step, state.total))


class _Checkpoints:
    """Saves an enhancer while its sampler is trained, for `optimize_steps`; `saved` is where, the last time."""

    def __init__(self, enhancer: Enhancer, out: Path | None, inputs: str) -> None:
        self._enhancer, self._out, self._inputs = enhancer, out, inputs
        self.saved: SavedModel | None = None

    def __call__(self, state: TrainingState, last: bool) -> None:
        """Save the enhancer and the state; the last time in another place if the folder cannot be written by then."""
        if self._out is None:
            return
        enhancer = replace(self._enhancer, sampler=trained_sampler(self._enhancer, state))

        def save(folder: Path) -> None:
            save_enhancer(enhancer, folder, state=state, inputs=self._inputs, trained="samples")

        if last:
            self.saved = save_or_save_beside(save, self._out, KIND)
        else:
            save(self._out)
