"""Calibration of a trained enhancer on the pairs of a user: its intervals get the width that these pairs need.

No weight changes. The whole of each pair is held out, unless the enhancer was trained on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..base.devices import on_device, pick_device
from ..base.errors import InputError, Stopped
from ..base.events import Countdown, Note, Progress, Steps, Stop, never
from ..diffusion.network import field_multiple
from ..enhance.calibrating import CALIBRATION_PATCHES, enhanced_patches, group_by_field
from ..enhance.examples import pairs_task
from ..enhance.held_out import LEAST_HELD_OUT, Region
from ..enhance.pairs import cut_to_shared_field, registered_pairs
from ..enhance.pixel_fit import PixelFit, in_words
from ..enhance.uncertainty import calibrate
from ..images.provenance import SIMULATED, SYNTHETIC
from ..posterior.sampler import PosteriorSampler
from ..report.training_data import partly_trained_on
from .calibrating import PATCHES, sampled_patches
from .task import SamplesTask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..enhance.examples import TrainingPairs
    from ..enhance.model import Enhancer
    from ..enhance.uncertainty import Calibration, Patches
    from ..images.image import Image

_STEP = 2**31 + 2**22  # no training and no calibration after one reaches this step
_LEVEL = 0.9  # of the intervals whose coverage is reported


def calibrated_on_pairs_steps(
    enhancer: Enhancer, pairs: Sequence[tuple[Image, Image]], stop: Stop = never
) -> Steps[Enhancer]:
    """Calibrate the intervals of the best estimate, and of the samples if there are any, on real pairs.

    Parameters
    ----------
    enhancer
        A trained enhancer.
    pairs
        (widefield, super-resolution) images of one field each, with the pixel sizes of the training. The widefield
        image may have a larger field of view. Each pair is registered.
    stop
        Checked at every batch of patches.

    Yields
    ------
    Progress, and Notes: the place and the shift of each pair, a pair that was trained on, and the coverage before and
    after.

    Returns
    -------
    The enhancer with other calibrations. Its facts name the pairs.

    Raises
    ------
    InputError
        If the enhancer is of an earlier version, or a pair is too small, or has other pixel sizes or no structure.
    Stopped
        If `stop` returned True.
    """
    _check(enhancer, pairs)
    sharp = [fine for _, fine in pairs]
    known = {image.sha256 for image in enhancer.facts.training_data}
    trained_on = {Path(fine.name).name for fine in sharp if fine.digest in known}
    trained_on |= set(partly_trained_on(sharp, enhancer.facts.training_data))
    for name in sorted(trained_on):
        yield Note(
            f"{enhancer.name} was trained on {name}: intervals that are calibrated on it may be too narrow for other "
            "images."
        )
    factor, config = enhancer.config.upscale, replace(enhancer.config, device="auto")
    registered = yield from registered_pairs((yield from cut_to_shared_field(pairs, factor)), factor)
    regions = _whole(registered)
    task = pairs_task(registered, regions, config, enhancer.widefield).with_light(enhancer.widefield.light)
    groups = _Groups(task, regions, not trained_on, stop)
    calibration = yield from _of_estimate(enhancer, groups)
    samples_calibration = yield from _of_samples(enhancer, groups)
    names = tuple(Path(fine.name).name for fine in sharp)
    sampler = enhancer.sampler
    if sampler is not None:
        sampler = replace(sampler, facts=replace(sampler.facts, calibrated_on=names))
    return replace(
        enhancer,
        calibration=calibration,
        samples_calibration=samples_calibration,
        sampler=sampler,
        facts=replace(enhancer.facts, calibrated_on=names),
    )


def _check(enhancer: Enhancer, pairs: Sequence[tuple[Image, Image]]) -> None:
    """Raise an InputError for an enhancer of an earlier version, or a pair with other pixels than its own."""
    if enhancer.widefield.method != "local":
        raise InputError(
            f"{enhancer.name} was trained by an earlier version, and cannot be calibrated on pairs: train a new "
            "enhancer."
        )
    for coarse, fine in pairs:
        for image, size in ((coarse, enhancer.widefield_pixel_size), (fine, enhancer.pixel_size)):
            if PixelFit(image.pixel_size, size).kind in ("resampled", "refused"):
                raise InputError(
                    f"{image.name} has pixels of {in_words(image.pixel_size)} nm, and {enhancer.name} needs "
                    f"{in_words(size)} nm there: calibrate it on a pair of its own pixel sizes, or correct the pixel "
                    "size of the image."
                )


def _whole(pairs: Sequence[tuple[Image, Image]]) -> list[Region]:
    """Return each plane of the super-resolution images as a region."""
    regions: list[Region] = []
    for _, fine in pairs:
        first, window = len(regions), (slice(0, fine.size[0]), slice(0, fine.size[1]))
        unrelated = fine.provenance.kind in (SYNTHETIC, SIMULATED)
        for plane in range(first, first + len(fine)):
            # Planes of a measured stack may show one field at several times or depths.
            regions.append(Region(plane, window, float(np.prod(fine.size)), plane if unrelated else first))
    return regions


@dataclass(frozen=True)
class _Groups:
    """The task and the regions of the pairs, and whether they were held out from training."""

    task: TrainingPairs
    regions: Sequence[Region]
    held_out: bool
    stop: Stop

    def drawn(self, stage: str, count: int, draw: Callable[[TrainingPairs, int], Patches]) -> Steps[list[Patches]]:
        """Draw about `count` patches, as many from each group of regions.

        `draw` returns at least one patch of a task; its other argument is a new step for each call.
        """
        least = LEAST_HELD_OUT * self.task.config.upscale
        groups = group_by_field(self.regions, least, max(2, count // 2))
        per_group = -(-count // len(groups))
        parts: list[Patches] = []
        countdown = Countdown(0, len(groups))
        for k, regions in enumerate(groups):
            task, number = self.task.of(regions), 0
            pieces: list[Patches] = []
            while number < per_group:
                if self.stop():
                    raise Stopped("Stopped: the enhancer is as it was.")
                pieces.append(draw(task, _STEP + 10_000 * k + len(pieces)))
                number += len(pieces[-1][0])
                done = k + min(number / per_group, 1.0)
                step = round(done * per_group)
                yield Progress(stage, step, per_group * len(groups), countdown.left(done), share=done / len(groups))
            predicted, spread, truth = (np.concatenate(column) for column in zip(*pieces, strict=True))
            parts.append((predicted, spread, truth))
        return parts


def _of_estimate(enhancer: Enhancer, groups: _Groups) -> Steps[Calibration]:
    """Return the calibration of the best estimate."""
    with on_device(enhancer.network, pick_device("auto")) as network:
        parts = yield from groups.drawn(
            "calibrating", CALIBRATION_PATCHES, lambda task, step: enhanced_patches(network, task, step, 1)
        )
    calibration = calibrate(parts, held_out=groups.held_out)
    yield from _compared("the best estimate", enhancer.calibration, calibration, parts)
    return calibration


def _of_samples(enhancer: Enhancer, groups: _Groups) -> Steps[Calibration | None]:
    """Return the calibration of the samples; None for an enhancer without a sampler."""
    if enhancer.sampler is None:
        return None
    facts = enhancer.sampler.facts
    with on_device(enhancer.sampler.network, pick_device("auto")) as network:
        sampler = PosteriorSampler(network, facts)

        def draw(task: TrainingPairs, step: int) -> Patches:
            samples_task = SamplesTask(task, enhancer.network, facts.scale, field_multiple(network))
            return sampled_patches(samples_task, sampler, step, 1)

        parts = yield from groups.drawn("calibrating the samples", PATCHES, draw)
    calibration = calibrate(parts, held_out=groups.held_out)
    yield from _compared("the samples", enhancer.samples_calibration, calibration, parts)
    return calibration


def _compared(what: str, before: Calibration | None, after: Calibration, parts: Sequence[Patches]) -> Steps[None]:
    """Yield a Note on the coverage of the intervals on the pairs, with the calibration before and with the new one."""
    facts = after.facts
    now = 100 * facts.coverage[facts.at(_LEVEL)]
    until_now = ""
    if before is not None:
        inside = [
            np.abs(truth - predicted) <= before.half_width(predicted, spread, _LEVEL)
            for predicted, spread, truth in parts
        ]
        until_now = f"; until now they covered {100 * np.mean(np.concatenate(inside)):.0f} %"
    yield Note(f"The 90 % intervals of {what} cover {now:.0f} % of the pixels of these pairs{until_now}.")
