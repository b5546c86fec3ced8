"""Training an enhancer together with its posterior samples: first the best estimate, then the sampler."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.events import Note, Steps, Stop
from ..store.folder import STATE, read_facts
from ..store.whole_folders import exists, settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..diffusion.model import DiffusionModel
    from ..enhance.model import Enhancer
    from ..enhance.settings import EnhancerConfig
    from ..samples.training import SamplerInputs
    from .train_enhancer import TrainEnhancerJob

    TrainEstimate = Callable[[EnhancerConfig, bool], Steps[Enhancer]]

_ESTIMATE_SHARE = 0.4  # of the minutes


def train_with_samples_steps(
    job: TrainEnhancerJob,
    train_estimate: TrainEstimate,
    inputs: SamplerInputs,
    start: Enhancer | None,
    out: Path | None,
    stop: Stop,
) -> Steps[Enhancer]:
    """Train the best estimate of an enhancer, unless it comes from `start`, and then its sampler.

    Parameters
    ----------
    job
        The job.
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
    prior = _model_of(job.prior)
    if job.resume and out is not None and _begun(out):
        enhancer, resume = load_enhancer(out), True
    elif start is not None:
        name = job.name or (start.name if out is None else out.name)
        facts = replace(start.facts, name=name, started_from=start.name)
        enhancer = replace(start, facts=facts)
    else:
        share = replace(settings, minutes=_ESTIMATE_SHARE * settings.minutes)
        enhancer = yield from train_estimate(share, job.resume and out is not None and exists(out / STATE))
        if stop():
            yield Note(f"{enhancer.name} makes best estimates only: the training was stopped before its samples.")
            return enhancer
    config = replace(settings, channels=enhancer.config.channels, upscale=enhancer.config.upscale)
    enhancer = replace(enhancer, config=config)
    return (yield from train_samples_steps(enhancer, inputs, prior, out=out, resume=resume, stop=stop, began=began))


def _begun(out: Path) -> bool:
    """Return whether the best estimate in a folder is complete, so that a resumed training goes on with the samples."""
    from ..enhance.facts import EnhancerRecord

    settle(out)
    if not exists(out / "model.json"):
        return False
    record = read_facts(out, "enhancer", EnhancerRecord)
    complete = record.total_steps is not None and record.steps >= record.total_steps
    return record.config.method == "samples" and complete and (record.samples is not None or not exists(out / STATE))


def _model_of(prior: DiffusionModel | str | os.PathLike[str]) -> DiffusionModel:
    from ..diffusion.model import load_diffusion_model

    return load_diffusion_model(prior) if isinstance(prior, (str, os.PathLike)) else prior
