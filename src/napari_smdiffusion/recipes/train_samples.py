"""Training an enhancer together with its posterior samples: first the best estimate, then the sampler."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Note, Progress, Steps, Stop
from ..store.facts import training_image
from ..store.folder import STATE, read_facts
from ..store.whole_folders import exists, settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..diffusion.model import DiffusionModel
    from ..enhance.facts import EnhancerRecord
    from ..enhance.model import Enhancer
    from ..enhance.settings import EnhancerConfig
    from ..images.provenance import TrainingImage
    from ..samples.training import SamplerInputs
    from .train_enhancer import TrainEnhancerJob

    TrainEstimate = Callable[[EnhancerConfig, bool], Steps[Enhancer]]

ESTIMATE_SHARE = 0.4  # of the minutes
_CALIBRATION_SHARE = 0.1  # of either part, for the progress


def checked_prior(job: TrainEnhancerJob, start: Enhancer | None, out: Path | None) -> DiffusionModel:
    """Return the diffusion model that the samples of a job begin with, before any image is read.

    `start` and `out` are the enhancer and the absolute path of the job's fields.

    Raises
    ------
    InputError
        If there is no such model, or samples cannot begin with it or with the enhancer `start`. Also if a training is
        to be resumed and is complete.
    """
    from ..diffusion.model import load_diffusion_model
    from ..samples.training import check_prior, check_start

    prior = load_diffusion_model(job.prior) if isinstance(job.prior, (str, os.PathLike)) else job.prior
    check_prior(prior)
    if start is not None:
        check_start(start)
    if job.resume and out is not None:
        estimate_is_complete(out)
    return prior


def train_with_samples_steps(
    job: TrainEnhancerJob,
    prior: DiffusionModel,
    train_estimate: TrainEstimate,
    inputs: SamplerInputs,
    start: Enhancer | None,
    out: Path | None,
    stop: Stop,
) -> Steps[Enhancer]:
    """Train the best estimate of an enhancer, unless it comes from `start`, and then its sampler.

    Parameters
    ----------
    job, prior
        The job, and the diffusion model that its samples begin with.
    train_estimate
        Trains the best estimate with these settings; with True, it resumes an interrupted training.
    inputs
        What both networks learn from.
    start
        The enhancer whose best estimate is used as it is; None to train one.
    out
        Absolute path of the folder; None to keep the enhancer in memory.
    stop
        Checked at every step.
    """
    from ..enhance.model import load_enhancer
    from ..samples.training import train_samples_steps

    began = time.monotonic()
    settings, resume = job.settings, False
    begin = 0.0
    if job.resume and out is not None and estimate_is_complete(out):
        enhancer, resume = load_enhancer(out), True
    elif start is not None:
        name = job.name or (start.name if out is None else out.name)
        facts = replace(start.facts, name=name, started_from=start.name, training_data=_training_data(start, inputs))
        enhancer = replace(start, facts=facts)
    else:
        share = replace(settings, minutes=ESTIMATE_SHARE * settings.minutes)
        begin = ESTIMATE_SHARE
        resumed = job.resume and out is not None and exists(out / STATE)
        enhancer = yield from _part(train_estimate(share, resumed), 0.0, begin)
        if stop():
            yield Note(f"{enhancer.name} makes best estimates only: the training was stopped before its samples.")
            return enhancer
    config = replace(settings, channels=enhancer.config.channels, upscale=enhancer.config.upscale)
    enhancer = replace(enhancer, config=config)
    steps = train_samples_steps(enhancer, inputs, prior, out=out, resume=resume, stop=stop, began=began)
    return (yield from _part(steps, begin, 1.0))


def _training_data(start: Enhancer, inputs: SamplerInputs) -> tuple[TrainingImage, ...]:
    """Return the training images of the best estimate, and those that the samples see in addition."""
    known = {image.sha256 for image in start.facts.training_data}
    sharp = [fine for _, fine in inputs.pairs] or inputs.images
    added = [training_image(image) for image in sharp if image.digest not in known]
    return *start.facts.training_data, *added


def samples_are_missing(record: EnhancerRecord) -> bool:
    """Return whether a training of samples ended before it began with them."""
    return record.config.method == "samples" and record.samples is None


def of_whole_training(record: EnhancerRecord) -> EnhancerRecord:
    """Return the record of an interrupted training with the minutes of all of it.

    While the best estimate is trained, the record in the folder states its share of them.
    """
    if not samples_are_missing(record):
        return record
    return replace(record, config=replace(record.config, minutes=record.config.minutes / ESTIMATE_SHARE))


def _part(steps: Steps[Enhancer], begin: float, end: float) -> Steps[Enhancer]:
    """Pass on the events of one part of a training, with the share of all of it in their progress."""
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # StopIteration carries the generator's result
            if isinstance(event, Progress):
                here = event.step / max(event.total, 1) if event.share is None else event.share
                trained = 1 - _CALIBRATION_SHARE
                # The training comes first, and has a loss.
                here = trained * here if event.loss is not None else trained + _CALIBRATION_SHARE * here
                event = replace(event, share=begin + (end - begin) * min(here, 1.0))
            yield event


def estimate_is_complete(out: Path) -> bool:
    """Return whether the best estimate in a folder is complete, so that a resumed training goes on with the samples.

    Raises
    ------
    InputError
        If the training of the samples is complete too.
    """
    from ..enhance.facts import EnhancerRecord

    settle(out)
    if not exists(out / "model.json"):
        return False
    record = read_facts(out, "enhancer", EnhancerRecord)
    if record.config.method != "samples" or record.total_steps is None or record.steps < record.total_steps:
        return False
    if record.samples is not None and record.samples.complete:
        raise InputError(f"There is no training to resume in {out}: its training is complete.")
    return record.samples is not None or not exists(out / STATE)
