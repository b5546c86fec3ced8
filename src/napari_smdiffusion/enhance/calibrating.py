"""Calibration of a trained enhancer on the parts that were held out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..base.events import Countdown, Progress, Steps, Stop
from ..images.patches import SYMMETRIES
from .held_out import LEAST_HELD_OUT, Region
from .predicting import predicted
from .uncertainty import Calibration, Patches, calibrate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from .examples import TrainingPairs
    from .network import EnhancerNetwork

_CALIBRATION_STEP = 2**31 + 1  # the examples of this and the following steps are never trained on
_CALIBRATED, _ROUGHLY = 80, 12  # patches


def calibration_steps(
    network: EnhancerNetwork, task: TrainingPairs, held: Sequence[Region], count: int, stop: Stop
) -> Steps[Calibration]:
    """Learn from about `count` patches of what is held out how large the errors are, and check it part by part."""
    network.eval()
    if not held:
        return calibrate([_enhanced_patches(network, task, _CALIBRATION_STEP, count)], held_out=False)
    divided = _group_by_field(held, LEAST_HELD_OUT * task.config.upscale, max(2, -(-count // task.config.batch)))
    each = -(-count // len(divided))
    drawn: list[Patches] = []
    countdown = Countdown(0, len(divided))
    for k, parts in enumerate(divided):
        # Two parts are enough to check one by the other, if there is something in them.
        if len(drawn) >= 2 and stop() and sum(len(truth) for *_, truth in drawn) >= _ROUGHLY:
            break
        drawn.append(_enhanced_patches(network, task.of(parts), _CALIBRATION_STEP + k * count, each))
        yield Progress("calibrating", len(drawn), len(divided), countdown.left(len(drawn)))
    return calibrate(drawn)


def _group_by_field(held: Sequence[Region], least: int, most: int) -> list[list[Region]]:
    """Divide what is held out into at most so many groups that have no field in common.

    A single field is halved, if the halves are `least` pixels wide.
    """
    fields = list(dict.fromkeys(part.field for part in held))
    if len(fields) > 1:
        groups = min(len(fields), most)
        return [[part for part in held if fields.index(part.field) % groups == k] for k in range(groups)]
    one, other = zip(*(_halves(part) for part in held), strict=True)
    sides = [side.stop - side.start for part in (*one, *other) for side in part.window]
    return [list(held)] if min(sides) < least else [list(one), list(other)]


def _halves(part: Region) -> tuple[Region, Region]:
    """Cut a part across its longer side."""
    rows, columns = part.window
    if rows.stop - rows.start >= columns.stop - columns.start:
        middle = (rows.start + rows.stop) // 2
        windows = (slice(rows.start, middle), columns), (slice(middle, rows.stop), columns)
    else:
        middle = (columns.start + columns.stop) // 2
        windows = (rows, slice(columns.start, middle)), (rows, slice(middle, columns.stop))
    return replace(part, window=windows[0]), replace(part, window=windows[1])


def _enhanced_patches(network: EnhancerNetwork, task: TrainingPairs, first_step: int, count: int) -> Patches:
    """Return at least `count` patches as they are enhanced, the deviation over the 8 symmetries, and the true ones."""
    found: list[list[Pixels]] = [[], [], []]
    step, device = first_step, next(network.parameters()).device
    while sum(len(truth) for truth in found[2]) < count:
        coarse, sharp = task.draw(step).tensors
        step += 1
        views = [predicted(network, device, coarse.numpy(), k) for k in SYMMETRIES]
        for kind, values in zip(found, (views[0], np.std(views, axis=0), sharp.numpy()), strict=True):
            kind.append(values[:, 0])
    enhanced, spread, truth = (np.concatenate(kind) for kind in found)
    return enhanced, spread, truth
