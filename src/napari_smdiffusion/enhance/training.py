"""Training and calibration of an enhancer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..base.devices import on_device, pick_device, seeded
from ..base.errors import InputError
from ..base.events import Note, Steps, Stop, never, run
from ..images.image import Image, common_pixel_size
from ..microscope.suited import suited_to
from ..store.facts import UNNAMED, training_facts
from ..store.folder import bytes_of_model, check_place, training_lock
from ..training.loop import optimize_steps
from ..training.pace import Budget
from ..training.state import TrainingState, released_when_done
from ..training.threads import ThreadChoice
from .calibrating import (
    CALIBRATION_PATCHES,
    ROUGH_CALIBRATION_PATCHES,
    calibration_seconds,
    calibration_steps,
    fitting_count,
)
from .checkpoints import (
    Checkpoints,
    digest_of_inputs,
    interrupted_enhancer,
    load_interrupted,
    resumed_microscope,
    resumed_settings,
)
from .examples import pairs_task, simulation_task
from .facts import LOCAL_LEVELS, REGISTERED_PAIRS, SIMULATED_WIDEFIELD, EnhancerFacts
from .familiar import familiar_of
from .held_out import draw_weights, split_held_out
from .model import Enhancer
from .network import EnhancerNetwork
from .pairs import cut_to_shared_field, registered_pairs
from .settings import EnhancerConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..microscope.settings import MicroscopeConfig
    from .examples import TrainingPairs
    from .facts import EnhancerRecord, Strides, WidefieldLevels
    from .held_out import Region


@dataclass(frozen=True)
class TrainingSet:
    """The training pairs of an enhancer, and the regions that are held out for its calibration.

    Parameters
    ----------
    images
        The super-resolution images as the user gave them, before pairs were cropped to their common field.
    task
        Draws the training pairs.
    held_out
        Regions of the super-resolution images; empty if the images are too small.
    pixel_size
        Of the super-resolution images in nm; None if unknown.
    widefield
        `REGISTERED_PAIRS` or `SIMULATED_WIDEFIELD`.
    """

    images: Sequence[Image]
    task: TrainingPairs
    held_out: Sequence[Region]
    pixel_size: float | None
    widefield: str


def train_enhancer_steps(
    images: Sequence[Image],
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    *,
    weights: Sequence[float] | None = None,
    pairs: Sequence[tuple[Image, Image]] = (),
    start: Enhancer | None = None,
    out: Path | None = None,
    resume: bool = False,
    name: str | None = None,
    stop: Stop = never,
) -> Steps[Enhancer]:
    """Train an enhancer and calibrate it on held-out regions (see `split_held_out`).

    Parameters
    ----------
    images, config, microscope
        Super-resolution images of one pixel size, settings, and the microscope to simulate.
    weights
        Relative frequency at which each of `images` is drawn; by default in proportion to its pixels.
    pairs
        (widefield, super-resolution) images that replace the simulation. See `cut_to_shared_field` and
        `registered_pairs` for their sizes.
    start
        An enhancer of the same `upscale` whose weights and `channels` the training starts from.
    out
        Folder for the enhancer and for checkpoints, less than a minute apart; None keeps it in memory.
    resume
        Continue the interrupted training in `out`; settings and images must be the same, and `start` is not used.
    name, stop
        Name of the enhancer, by default that of the folder. `stop` is checked at every step.

    Yields
    ------
    Progress, Preview and Note; the calibrated enhancer is returned. Errors are those of `TrainEnhancerJob.steps`.
    """
    began = time.monotonic()
    if out is not None:
        out = out.absolute()
        check_place(out, replace=resume)
    record = interrupted_enhancer(out) if resume and out is not None else None
    config = settings_from(start, config) if record is None else resumed_settings(record, config)
    microscope = yield from _microscope_steps(microscope, record, () if pairs else images)
    # The network that the training starts from has these strides, and has seen images with these surroundings.
    known = start.record if record is None and start is not None else record
    levels = LOCAL_LEVELS if known is None else known.widefield
    training_set = yield from training_set_steps(images, pairs, weights, config, microscope, levels)
    started_from = record.started_from if record is not None else start.name if start is not None else None
    facts = _facts(training_set, weights, started_from, name or (UNNAMED if out is None else out.name))
    enhancer = _untrained(training_set, config, microscope, facts, start, "smooth" if known is None else known.strides)
    if out is not None:
        check_place(out, replace=resume, needed=bytes_of_model(sum(p.numel() for p in enhancer.network.parameters())))
    state = _initial_state(enhancer)
    with training_lock(out):
        inputs = digest_of_inputs(pairs, weights)
        if record is not None and out is not None:
            enhancer = replace(enhancer, config=load_interrupted(state, out, record, enhancer, inputs))
        checkpoints = Checkpoints(enhancer, out, inputs)
        return (yield from _optimize_and_calibrate(enhancer, state, training_set, checkpoints, stop, began))


def _microscope_steps(
    microscope: MicroscopeConfig, record: EnhancerRecord | None, images: Sequence[Image]
) -> Steps[MicroscopeConfig]:
    """Return the microscope of a resumed training, which has a record, or of a new one that simulates `images`."""
    if record is not None:
        return resumed_microscope(record.microscope, microscope)
    return (yield from suited_microscope_steps(microscope, images)) if images else microscope


def suited_microscope_steps(microscope: MicroscopeConfig, images: Sequence[Image]) -> Steps[MicroscopeConfig]:
    """Return the microscope of a new training on simulated widefield images; see `suited_to`. A change is a Note."""
    planes = [plane for image in images for plane in image.pixels]
    suited = suited_to(microscope, planes, known_pixel_size(images))
    if suited != microscope:
        low, high = (width / 1000 for width in suited.smooth_light_width_range)
        yield Note(f"The structure is broad: the simulated smooth light is {low:.1f} to {high:.1f} µm wide.")
    return suited


def _untrained(
    training_set: TrainingSet,
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    facts: EnhancerFacts,
    start: Enhancer | None,
    strides: Strides,
) -> Enhancer:
    """Return the enhancer before its training, with the weights of `start` or random ones."""
    task = training_set.task
    return Enhancer(
        _initial_network(config, start, strides),
        task.sharp_levels,
        training_set.pixel_size,
        config,
        microscope,
        facts,
        widefield=task.widefield,
    )


def _initial_state(enhancer: Enhancer) -> TrainingState:
    """Return the state before the first step, with the network on the device of the training."""
    # Half the rate keeps more of what the network of another enhancer has learned.
    rate = enhancer.config.learning_rate * (1.0 if enhancer.facts.started_from is None else 0.5)
    return TrainingState(enhancer.network.to(pick_device(enhancer.config.device)), rate)


def training_set_steps(
    images: Sequence[Image],
    pairs: Sequence[tuple[Image, Image]],
    weights: Sequence[float] | None,
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    levels: WidefieldLevels,
) -> Steps[TrainingSet]:
    """Register `pairs`, hold out a part of the images, and return the training task; `levels` has its surroundings."""
    originals = [fine for _, fine in pairs] if pairs else list(images)
    pairs = yield from cut_to_shared_field(pairs, config.upscale)
    pairs = yield from registered_pairs(pairs, config.upscale)
    sources = [fine for _, fine in pairs] if pairs else originals
    pixel_size = common_pixel_size(sources)
    regions, held_out = split_held_out(sources, draw_weights(sources, weights), config)
    if pairs:
        task = pairs_task(pairs, regions, config, levels)
        return TrainingSet(originals, task, held_out, pixel_size, REGISTERED_PAIRS)
    simulated = simulation_task(sources, regions, config, microscope, known_pixel_size(sources), levels)
    return TrainingSet(originals, simulated, held_out, pixel_size, SIMULATED_WIDEFIELD)


def _initial_network(config: EnhancerConfig, start: Enhancer | None, strides: Strides) -> EnhancerNetwork:
    """Return a network with the weights of `start`, or with random weights."""
    with seeded(config.seed):
        network = EnhancerNetwork(config.upscale, config.channels, strides)
    if start is not None:
        network.load_state_dict(start.network.state_dict())
        # The input of a network of an earlier version had another scale.
        network.enter.weight.data /= start.widefield.contrast
    return network


def _facts(
    training_set: TrainingSet, weights: Sequence[float] | None, started_from: str | None, name: str
) -> EnhancerFacts:
    """Return the facts of a training that starts now."""
    return training_facts(
        EnhancerFacts,
        training_set.images,
        name,
        started_from=started_from,
        weights=None if weights is None else tuple(float(weight) for weight in weights),
        trained_on=training_set.widefield,
    )


def _optimize_and_calibrate(
    enhancer: Enhancer,
    state: TrainingState,
    training_set: TrainingSet,
    checkpoints: Checkpoints,
    stop: Stop,
    began: float,
) -> Steps[Enhancer]:
    """Train the network of `enhancer` and save it; then calibrate and save again.

    The calibration is a part of the minutes: on a slow machine it has fewer patches. `began` is the `time.monotonic()`
    at the start of the job.
    """
    task, config, device = training_set.task, enhancer.config, pick_device(enhancer.config.device)
    threads = ThreadChoice(device)
    calibration_time = partial(calibration_seconds, enhancer.network, task, threads, CALIBRATION_PATCHES)
    budget = Budget(config.minutes, config.steps, calibration_time, began)
    with released_when_done(state, device):
        # The last checkpoint is before the calibration: an error in the calibration must not lose the training.
        yield from optimize_steps(
            state, task, budget, stop=stop, checkpoint=checkpoints, device=device, threads=threads
        )
        enhancer = replace(enhancer, facts=enhancer.facts.after(state.curve, state.step, state.total))
        # The calibration uses the device and the precision of later predictions. After a stop it is short.
        count = ROUGH_CALIBRATION_PATCHES if stop() else CALIBRATION_PATCHES
        if state.seconds is not None and not stop():
            left = config.minutes * 60 - state.seconds
            count = fitting_count(CALIBRATION_PATCHES, ROUGH_CALIBRATION_PATCHES, calibration_time(), left)
        calibration = yield from calibration_steps(enhancer.network, task, training_set.held_out, count, stop, threads)
        familiar = familiar_of(task)
    enhancer = replace(enhancer, calibration=calibration, familiar=familiar)
    if checkpoints.saved is not None:
        enhancer.save(checkpoints.saved.folder)
        checkpoints.saved.raise_if_elsewhere()
    return enhancer


def recalibrated(enhancer: Enhancer, images: Sequence[Image], weights: Sequence[float] | None = None) -> Enhancer:
    """Return the enhancer with a new calibration on the held-out regions of its training images.

    What its widefield images look like is described anew too (`with_familiar`).

    Parameters
    ----------
    enhancer
        Trained on simulated widefield images.
    images, weights
        The training images and their weights. Other images would split into other held-out regions.
    """
    task, held_out = _simulation_of(enhancer, images, weights)
    with on_device(enhancer.network, pick_device(enhancer.config.device)) as network:
        calibration = run(calibration_steps(network, task, held_out, CALIBRATION_PATCHES, never))
    return replace(enhancer, calibration=calibration, familiar=familiar_of(task))


def with_familiar(enhancer: Enhancer, images: Sequence[Image], weights: Sequence[float] | None = None) -> Enhancer:
    """Return the enhancer with a description of the widefield images of its training; see `recalibrated`."""
    task, _ = _simulation_of(enhancer, images, weights)
    return replace(enhancer, familiar=familiar_of(task))


def _simulation_of(
    enhancer: Enhancer, images: Sequence[Image], weights: Sequence[float] | None
) -> tuple[TrainingPairs, Sequence[Region]]:
    """Return the task that an enhancer was trained with, and the regions that were held out."""
    config = enhancer.config
    regions, held_out = split_held_out(images, draw_weights(images, weights), config)
    size = known_pixel_size(images)
    task = simulation_task(images, regions, config, enhancer.microscope, size, enhancer.widefield)
    # Its light too, which the network's output is in units of.
    return replace(task, widefield=enhancer.widefield), held_out


def settings_from(start: Enhancer | None, config: EnhancerConfig) -> EnhancerConfig:
    """Return the settings with the `channels` of the enhancer that the training starts from.

    Raises
    ------
    InputError
        If `upscale` differs from that of `start`, or `channels` differs from both `start` and the default.
    """
    if start is None:
        return config
    if start.config.upscale != config.upscale:
        raise InputError(
            f"{start.name} enlarges {start.config.upscale} times, and the setting is {config.upscale} times: start "
            "from an enhancer of that factor, or from none."
        )
    if config.channels not in (EnhancerConfig().channels, start.config.channels):
        raise InputError(
            f"{start.name} has {start.config.channels} channels, and the setting is {config.channels}: leave out "
            "channels, or start from none."
        )
    return replace(config, channels=start.config.channels)


def known_pixel_size(images: Sequence[Image]) -> float:
    """Return the pixel size of the images in nm, or raise an InputError if it is unknown."""
    pixel_size = common_pixel_size(images)
    if pixel_size is None:
        raise InputError(f"{images[0].name} has no pixel size: give it in nm (--pixel-size on the command line).")
    return pixel_size
