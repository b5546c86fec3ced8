"""Calibration of a trained enhancer on the held-out regions."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..base.events import Countdown, Progress, Steps, Stop
from ..images.patches import SYMMETRIES
from .held_out import LEAST_HELD_OUT, Region
from .predicting import predict
from .uncertainty import Calibration, Patches, calibrate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from ..training.threads import ThreadChoice
    from .examples import TrainingPairs
    from .network import EnhancerNetwork

CALIBRATION_PATCHES, ROUGH_CALIBRATION_PATCHES = 80, 12
_CALIBRATION_STEP = 2**31 + 1  # training never reaches this step, so that its examples are new


def calibration_steps(
    network: EnhancerNetwork,
    task: TrainingPairs,
    held_out: Sequence[Region],
    count: int,
    stop: Stop,
    threads: ThreadChoice | None = None,
) -> Steps[Calibration]:
    """Calibrate on about `count` patches of the held-out regions, and check the calibration group by group."""
    network.eval()
    computing = nullcontext if threads is None else threads.computing
    if not held_out:
        with computing():
            patches = enhanced_patches(network, task, _CALIBRATION_STEP, count)
        return calibrate([patches], held_out=False)
    groups = group_by_field(held_out, LEAST_HELD_OUT * task.config.upscale, max(2, -(-count // task.config.batch)))
    patches_per_group = -(-count // len(groups))
    drawn: list[Patches] = []
    countdown = Countdown(0, len(groups))
    for k, regions in enumerate(groups):
        # Two groups are enough to check one by the other, unless they hold too few patches.
        if len(drawn) >= 2 and stop() and sum(len(truth) for *_, truth in drawn) >= ROUGH_CALIBRATION_PATCHES:
            break
        with computing():
            drawn.append(enhanced_patches(network, task.of(regions), _CALIBRATION_STEP + k * count, patches_per_group))
        yield Progress("calibrating", len(drawn), len(groups), countdown.left(len(drawn)))
    return calibrate(drawn)


def calibration_seconds(network: EnhancerNetwork, task: TrainingPairs, threads: ThreadChoice, count: int) -> float:
    """Measure, on one batch, how long `calibration_steps` will take for `count` patches, in s."""
    device = next(network.parameters()).device
    network.eval()
    with threads.computing():
        began = time.monotonic()
        coarse = task.draw(_CALIBRATION_STEP).tensors[0].numpy()
        drawn = time.monotonic()
        predict(network, device, coarse)
        predicted = time.monotonic()
    network.train()
    per_batch = (drawn - began) + len(SYMMETRIES) * (predicted - drawn)
    return per_batch * count / len(coarse)


def fitting_count(count: int, fewest: int, seconds: float, left: float) -> int:
    """Return how many of `count` patches fit into the time that is left, at least `fewest`.

    `seconds` is the time of all patches and `left` the time that is left, in s.
    """
    return count if seconds <= left else max(fewest, int(count * max(0.0, left) / seconds))


def group_by_field(held_out: Sequence[Region], least: int, most: int) -> list[list[Region]]:
    """Divide the held-out regions into at most `most` groups without a common field.

    A single field is halved if the halves are at least `least` pixels wide.
    """
    fields = list(dict.fromkeys(region.field for region in held_out))
    if len(fields) > 1:
        count = min(len(fields), most)
        return [[region for region in held_out if fields.index(region.field) % count == k] for k in range(count)]
    first, second = zip(*(_halves(region) for region in held_out), strict=True)
    sides = [side.stop - side.start for half in (*first, *second) for side in half.window]
    return [list(held_out)] if min(sides) < least else [list(first), list(second)]


def _halves(region: Region) -> tuple[Region, Region]:
    """Cut a region across its longer side."""
    rows, columns = region.window
    if rows.stop - rows.start >= columns.stop - columns.start:
        middle = (rows.start + rows.stop) // 2
        windows = (slice(rows.start, middle), columns), (slice(middle, rows.stop), columns)
    else:
        middle = (columns.start + columns.stop) // 2
        windows = (rows, slice(columns.start, middle)), (rows, slice(middle, columns.stop))
    return replace(region, window=windows[0]), replace(region, window=windows[1])


def enhanced_patches(network: EnhancerNetwork, task: TrainingPairs, first_step: int, count: int) -> Patches:
    """Return at least `count` enhanced patches, their standard deviation over the 8 symmetries, and the truth."""
    columns: list[list[Pixels]] = [[], [], []]
    step, device = first_step, next(network.parameters()).device
    while sum(len(truth) for truth in columns[2]) < count:
        widefield, sharp, _ = task.examples(step)
        step += 1
        coarse = task.local.compressed(widefield).numpy()
        views = [predict(network, device, coarse, k) for k in SYMMETRIES]
        for column, values in zip(columns, (views[0], np.std(views, axis=0), sharp.numpy()), strict=True):
            column.append(values[:, 0])
    enhanced, spread, truth = (np.concatenate(column) for column in columns)
    return enhanced, spread, truth
