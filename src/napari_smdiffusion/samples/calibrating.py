"""Calibration of posterior samples on the held-out regions: intervals around their mean with a known coverage.

The intervals are about the image at the resolution of the map of trust (see `posterior.trust`). STORM images are
grainy: single pixels depend on which molecules blinked, which no widefield image tells.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.devices import generator
from ..base.events import Countdown, Progress, Steps, Stop
from ..enhance.calibrating import group_by_field
from ..enhance.held_out import LEAST_HELD_OUT, Region
from ..enhance.uncertainty import Calibration, Patches, calibrate
from ..posterior.combining import best_estimate
from ..posterior.empty_background import with_empty_background
from ..posterior.sampling import EVALUATIONS, sample_window
from ..posterior.trust import blurred

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from ..diffusion.unet import UNet
    from ..posterior.sampler import PosteriorSampler
    from ..training.threads import ThreadChoice
    from .task import SamplesTask

SAMPLES = 8  # of each patch, as many as users draw by default
PATCHES, ROUGH_PATCHES = 24, 4
_STEP = 2**31 + 2**21  # training never reaches this step


def calibration_steps(
    task: SamplesTask,
    sampler: PosteriorSampler,
    held_out: Sequence[Region],
    count: int,
    stop: Stop,
    threads: ThreadChoice | None = None,
) -> Steps[Calibration]:
    """Calibrate on about `count` patches of the held-out regions, and check the calibration group by group."""
    computing = nullcontext if threads is None else threads.computing
    least = LEAST_HELD_OUT * task.pairs.config.upscale
    groups = group_by_field(held_out, least, max(2, count // 2)) if held_out else []
    tasks = [task.of(regions) for regions in groups] or [task]
    per_group = -(-max(count, ROUGH_PATCHES) // len(tasks))
    drawn: list[Patches] = []
    countdown = Countdown(0, len(tasks))
    for k, part in enumerate(tasks):
        if len(drawn) >= 2 and stop() and sum(len(truth) for *_, truth in drawn) >= ROUGH_PATCHES:
            break
        with computing():
            drawn.append(sampled_patches(part, sampler, _STEP + 1000 * k, per_group))
        yield Progress("calibrating the samples", len(drawn), len(tasks), countdown.left(len(drawn)))
    return calibrate(drawn, held_out=bool(held_out))


@torch.no_grad()
def sampled_patches(task: SamplesTask, sampler: PosteriorSampler, first: int, count: int) -> Patches:
    """Return the best estimates of `count` patches, the standard deviation of their samples, and the truth, blurred."""
    columns: list[list[Pixels]] = [[], [], []]
    step, device = first, next(sampler.network.parameters()).device
    while len(columns[0]) < count:
        widefield, sharp, _ = task.pairs.examples(step)
        given = task.given(task.pairs.local.compressed(widefield))
        for k in range(min(len(sharp), count - len(columns[0]))):
            random = generator(task.pairs.config.seed, 13, step, k)
            noise = torch.randn((SAMPLES, 1, *sharp.shape[2:]), generator=random)
            *_, last = sample_window(sampler.network, given[k : k + 1].to(device), noise, sampler.facts.evaluations)
            clean = with_empty_background(task.scale.to_local(last)[:, 0].cpu().numpy(), sampler.facts)
            samples = np.stack([blurred(sample) for sample in clean])
            estimate = blurred(task.scale.to_local(given[k, 1]).cpu().numpy())
            best = best_estimate(estimate, samples.mean(0), len(samples))
            truth = blurred(sharp[k, 0].numpy())
            for column, values in zip(columns, (best, samples.std(0), truth), strict=True):
                column.append(np.asarray(values, np.float32))
        step += 1
    mean, spread, truth = (np.stack(column) for column in columns)
    return mean, spread, truth


def calibration_seconds(task: SamplesTask, network: UNet, threads: ThreadChoice, count: int) -> float:
    """Measure, on one step of one patch, how long `calibration_steps` will take for `count` patches, in s."""
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    with threads.computing():
        given = task.draw(_STEP).tensors[3][:1]
        noise = torch.randn(given[:, :1].shape, generator=generator(0, 14))
        began = time.monotonic()
        for _ in sample_window(network, given.to(device), noise, 2):
            pass
        seconds = (time.monotonic() - began) / 2
    network.train(training)
    return seconds * EVALUATIONS * SAMPLES * count
