"""Training of the posterior sampler of an enhancer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..base.devices import pick_device
from ..base.errors import InputError
from ..base.events import Steps, Stop, never
from ..diffusion.network import field_multiple, for_sampling, for_training, with_given_images
from ..diffusion.settings import EDM
from ..enhance.checkpoints import digest_of_inputs
from ..enhance.model import KIND, save_enhancer
from ..enhance.training import training_set_steps
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
from .calibrating import PATCHES, ROUGH_PATCHES, calibration_seconds, calibration_steps
from .task import SamplesTask, measured_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..diffusion.model import DiffusionModel
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
        return f"{digest_of_inputs(self.pairs, self.weights)} {' '.join(image.digest for image in sharp)}"


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
    enhancer
        The enhancer, whose estimate stays as it is. Its settings are those of the training. If it has a sampler, the
        training begins from that one.
    inputs
        What it learns from, as the enhancer did.
    prior
        The diffusion model whose weights a new sampler begins with.
    out
        Folder for the enhancer and for checkpoints; None keeps it in memory.
    resume
        Continue the interrupted training of the sampler in `out`.
    stop
        Checked at every step.
    began
        `time.monotonic()` at the start of the job; the time since then is a part of the minutes.

    Yields
    ------
    Progress, Preview and Note events.

    Returns
    -------
    The enhancer with its sampler.

    Raises
    ------
    InputError
        If the enhancer is of an earlier version, the prior was imported, or a resumed training had other inputs.
    OSError
        If `out` cannot be written.
    Stopped
        If it was stopped before the first step.
    """
    _check(enhancer, prior)
    began = time.monotonic() if began is None else began
    config, device = enhancer.config, pick_device(enhancer.config.device)
    training_set = yield from training_set_steps(
        inputs.images, inputs.pairs, inputs.weights, config, inputs.microscope, enhancer.widefield
    )
    pairs = training_set.task.with_light(enhancer.widefield.light)
    sampler = enhancer.sampler
    if sampler is None:
        sampler = PosteriorSampler(with_given_images(prior.unet, GIVEN), measured_facts(pairs, prior.name))
    elif not resume:
        sampler = PosteriorSampler(sampler.network, replace(sampler.facts, started_from=enhancer.name, curve=(), steps=0))
    state = TrainingState(for_training(sampler.network, device), _RATE)
    enhancer = replace(enhancer, sampler=sampler)
    if out is not None:
        check_place(out, replace=True, needed=bytes_of_model(sum(p.numel() for p in sampler.network.parameters())))
    with training_lock(out):
        if resume and out is not None and exists(out / STATE):
            _load_state(state, out, inputs.digest)
        task = SamplesTask(pairs, enhancer.network, sampler.facts.scale, field_multiple(sampler.network))
        checkpoints = _Checkpoints(enhancer, out, inputs.digest)
        threads = ThreadChoice(device)
        calibration_time = partial(calibration_seconds, task, sampler, threads)
        budget = Budget(config.minutes, config.steps, partial(calibration_time, PATCHES), began)
        with released_when_done(state, device):
            yield from optimize_steps(
                state, task, budget, stop=stop, checkpoint=checkpoints, device=device, threads=threads
            )
            sampler = PosteriorSampler(
                for_sampling(sampler.network), sampler.facts.after(state.curve, state.step, state.total)
            )
            count = ROUGH_PATCHES if stop() else PATCHES
            if state.seconds is not None and not stop():
                left = config.minutes * 60 - state.seconds
                count = max(ROUGH_PATCHES, min(PATCHES, int(PATCHES * left / max(calibration_time(PATCHES), 1e-3))))
            calibration = yield from calibration_steps(task, sampler, training_set.held_out, count, stop, threads)
    enhancer = replace(enhancer, sampler=sampler, samples_calibration=calibration)
    if checkpoints.saved is not None:
        save_enhancer(enhancer, checkpoints.saved.folder)
        checkpoints.saved.raise_if_elsewhere()
    return enhancer


def _check(enhancer: Enhancer, prior: DiffusionModel) -> None:
    """Raise an InputError if no sampler can be trained for an enhancer with these weights."""
    if enhancer.widefield.method != "local":
        raise InputError(
            f"{enhancer.name} was trained by an earlier version, and no samples can be trained for it: train a new "
            "enhancer."
        )
    if prior.facts.parameterization != EDM:
        raise InputError(
            f"{prior.name} is an imported model, and samples cannot begin with it: choose a model that was trained here."
        )


def _load_state(state: TrainingState, out: Path, inputs: str) -> None:
    """Load the state of the interrupted training of a sampler; raises InputError if it had other images."""
    saved = read_training_state(out)
    if saved.get("inputs") != inputs:
        raise InputError(f"{out} was trained on other images: resume with the same images, or start a new enhancer.")
    with model_errors(out):
        state.load_state_dict(saved)


class _Checkpoints:
    """Saves an enhancer while its sampler is trained, for `optimize_steps`; `saved` is where, the last time."""

    def __init__(self, enhancer: Enhancer, out: Path | None, inputs: str) -> None:
        self._enhancer, self._out, self._inputs = enhancer, out, inputs
        self.saved: SavedModel | None = None

    def __call__(self, state: TrainingState, last: bool) -> None:
        """Save the enhancer and the state; the last time in another place if the folder cannot be written by then."""
        sampler = self._enhancer.sampler
        if self._out is None or sampler is None:
            return
        facts = sampler.facts.after(state.curve, state.step, state.total)
        enhancer = replace(self._enhancer, sampler=PosteriorSampler(sampler.network, facts))

        def save(folder: Path) -> None:
            save_enhancer(enhancer, folder, state=state, inputs=self._inputs, trained="samples")

        if last:
            self.saved = save_or_save_beside(save, self._out, KIND)
        else:
            save(self._out)
