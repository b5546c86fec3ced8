"""Training an enhancer: on super-resolution images seen through the simulated microscope, or on registered pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from .calibration import Calibration, Patches, calibrate
from .compute import autocast, on_device, pick_device, seeded
from .config import EnhancerConfig
from .enhancer import Enhancer, Pixels, widefield_levels
from .enhancer_network import EnhancerNetwork
from .enhancer_tasks import LEAST, EnhancerTask, Part, kept_apart, pairs_task, plane_chances, simulation_task
from .errors import InputError
from .images import Image, common_pixel_size
from .model_folder import UNNAMED, check_place, claimed, save_at_last
from .patches import SYMMETRIES, inverse_symmetry, symmetry
from .progress import Countdown, Note, Progress, Steps, Stop, never, run
from .registration import registration_shift, shared_field
from .training import Budget, TrainingState, given_back, optimize_steps, training_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .config import MicroscopeConfig

_CALIBRATION_STEP = 2**31 + 1  # the examples of this and the following steps are never trained on
_CALIBRATED, _ROUGHLY = 80, 12  # patches


def train_enhancer_steps(
    images: Sequence[Image],
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    *,
    weights: Sequence[float] | None = None,
    pairs: Sequence[tuple[Image, Image]] = (),
    start: Enhancer | None = None,
    out: Path | None = None,
    name: str | None = None,
    stop: Stop = never,
) -> Steps[Enhancer]:
    """Train an enhancer.

    Parameters
    ----------
    images
        Super-resolution images of one pixel size: experimental, generated, simulated, or a mix of them.
    config, microscope
        Settings, and the microscope to simulate.
    weights
        How often each of `images` is drawn from, relative to the others; by default in proportion to its pixels.
    pairs
        (widefield, super-resolution) images to train on instead of simulated ones. The super-resolution image has
        `upscale` times the pixels of its widefield image, corner on corner: what they are off by, up to two widefield
        pixels, is found and mended. Or it shows a part of that field, which is looked for.
    start
        An enhancer of the same `upscale` to begin from, whose `channels` the new one gets, too; None: from nothing.
    out
        Folder to save the enhancer in when it is trained. None: only in memory.
    name
        What to call the enhancer; by default the name of the folder.
    stop
        Asked at every step.

    Yields
    ------
    Progress, Preview and Note events.

    Returns
    -------
    The enhancer as it is when the budget is used up or `stop` says so, calibrated: a tenth of many generated or
    simulated images, or an eighth of each other one that is large enough, is held out from training, and tells how
    large its errors are.

    Raises
    ------
    ValueError
        For images that cannot be trained on, or a start that enlarges by another factor.
    OSError
        If no enhancer can be written at `out`; nothing was trained then.
    MemoryError, TrainingDivergedError
        If not even one patch can be computed, or the loss is no number any more.
    InterruptedError
        If it was stopped before the first step.
    """
    config = settings_from(start, config)
    given = [fine for _, fine in pairs] if pairs else list(images)
    whole = [widefield_levels(coarse) for coarse, _ in pairs]
    pairs = yield from _same_fields(pairs, config.upscale)
    pairs = yield from _registered(pairs, config.upscale)
    sources = [fine for _, fine in pairs] if pairs else given
    pixel_size = common_pixel_size(sources)
    training, held = kept_apart(sources, plane_chances(sources, weights), config)
    if pairs:
        task = pairs_task(pairs, whole, training, config)
    else:
        task = simulation_task(sources, training, config, microscope, _known_pixel_size(sources))
    if out is not None:
        out = out.absolute()
        check_place(out)
    device = pick_device(config.device)
    with seeded(config.seed):
        network = EnhancerNetwork(config.upscale, config.channels)
    if start is not None:
        network.load_state_dict(start.network.state_dict())
    # What is learned already is to be kept: half the rate changes it less.
    state = TrainingState(network.to(device), config.learning_rate * (1.0 if start is None else 0.5))
    with claimed(out):
        with given_back(state, device):
            yield from optimize_steps(state, task, Budget(config.minutes, config.steps), stop=stop, device=device)
            facts = training_facts(given, name or (out.name if out is not None else UNNAMED))
            facts["weights"] = None if weights is None else list(weights)
            facts["started_from"] = None if start is None else start.name
            facts["trained_on"] = "registered pairs" if pairs else "simulated widefield"
            facts |= state.facts()
            enhancer = Enhancer(network, task.sharp_levels, pixel_size, config, microscope, facts)
            # Whatever may go wrong while it is calibrated, the training is not lost.
            kept = None if out is None else save_at_last(enhancer.save, out)
            # On the device and in the precision that it will predict with. Who stops does not want to wait: a rough
            # calibration is quick.
            calibration = yield from _calibrated(network, task, held, _ROUGHLY if stop() else _CALIBRATED, stop)
        enhancer = replace(enhancer, calibration=calibration)
        if kept is not None:
            enhancer.save(kept.folder)
            kept.tell()
    return enhancer


def calibrated(enhancer: Enhancer, images: Sequence[Image], weights: Sequence[float] | None = None) -> Enhancer:
    """Return an enhancer that is calibrated anew, on what was held out of the images it was trained on.

    Parameters
    ----------
    enhancer
        One that was trained on simulated widefield images.
    images, weights
        Those that it was trained on: of others, what it never saw cannot be told apart.
    """
    config = enhancer.config
    training, held = kept_apart(images, plane_chances(images, weights), config)
    task = simulation_task(images, training, config, enhancer.microscope, _known_pixel_size(images))
    with on_device(enhancer.network, pick_device(config.device)) as network:
        calibration = run(_calibrated(network, task, held, _CALIBRATED, never))
    return replace(enhancer, calibration=calibration)


def settings_from(start: Enhancer | None, config: EnhancerConfig) -> EnhancerConfig:
    """Return the settings with the width of the network that is begun from.

    Raises
    ------
    ValueError
        If another factor is asked for, or another width that is not the usual one.
    """
    if start is None:
        return config
    if start.config.upscale != config.upscale:
        raise ValueError(
            f"{start.name} enlarges {start.config.upscale} times, and {config.upscale} times is asked for: begin from "
            "an enhancer of that factor, or from none."
        )
    if config.channels not in (EnhancerConfig().channels, start.config.channels):
        raise InputError(
            f"{start.name} has {start.config.channels} channels, and {config.channels} are asked for: leave out the "
            "channels, or begin from none."
        )
    return replace(config, channels=start.config.channels)


def _known_pixel_size(images: Sequence[Image]) -> float:
    pixel_size = common_pixel_size(images)
    if pixel_size is None:
        raise ValueError(f"{images[0].name} has no pixel size: give it in nm (--pixel-size on the command line).")
    return pixel_size


def _same_fields(pairs: Sequence[tuple[Image, Image]], upscale: int) -> Steps[list[tuple[Image, Image]]]:
    """Cut each pair to the field that both show, where the super-resolution image shows a part of the other's."""
    found = []
    for coarse, fine in pairs:
        if len(coarse) != len(fine):
            raise ValueError(
                f"{coarse.name} has {len(coarse)} planes and {fine.name} {len(fine)}: give as many of one as of the "
                "other, of the same fields."
            )
        truth, camera, (y, x) = shared_field(fine, coarse, upscale)
        if camera is not coarse:
            rows, columns = camera.size
            yield Note(
                f"{fine.name} lies in rows {y} to {y + rows - 1} and columns {x} to {x + columns - 1} of {coarse.name}."
            )
        found.append((camera, truth))
    return found


def _registered(pairs: Sequence[tuple[Image, Image]], upscale: int) -> Steps[list[tuple[Image, Image]]]:
    """Cut each pair to where both images show the same field, to a pixel; the pixels themselves stay as they are."""
    found = []
    for coarse, fine in pairs:
        by = registration_shift(list(coarse.pixels), list(fine.pixels), upscale)
        if by is None:
            yield Note(
                f"{fine.name} was not found in {coarse.name} within two widefield pixels: the two are taken as they "
                "lie. Look whether they show one field."
            )
            by = 0.0, 0.0
        whole = round(by[0]), round(by[1])
        if any(whole):
            yield Note(
                f"{fine.name} is shifted by ({by[0]:.1f}, {by[1]:.1f}) pixels (y, x) against {coarse.name}: both are "
                "cut to what they share."
            )
            coarse, fine = _shared(coarse, fine, whole, upscale)
        found.append((coarse, fine))
    return found


def _shared(coarse: Image, fine: Image, shift: tuple[int, int], upscale: int) -> tuple[Image, Image]:
    """Return the pair without the widefield pixels at the border whose field the shifted image does not hold."""
    inner = []
    for by, length in zip(shift, coarse.size, strict=True):
        cut = -(-abs(by) // upscale)
        inner.append((slice(cut, length - cut), slice(cut * upscale + by, (length - cut) * upscale + by)))
    (rows, fine_rows), (columns, fine_columns) = inner
    return coarse.crop(rows, columns), fine.crop(fine_rows, fine_columns)


def _calibrated(
    network: EnhancerNetwork, task: EnhancerTask, held: Sequence[Part], count: int, stop: Stop
) -> Steps[Calibration]:
    """Learn from about `count` patches of what is held out how large the errors are, and check it part by part."""
    network.eval()
    if not held:
        return calibrate([_enhanced_patches(network, task, _CALIBRATION_STEP, count)], held_out=False)
    divided = _apart(held, LEAST * task.config.upscale, max(2, -(-count // task.config.batch)))
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


def _apart(held: Sequence[Part], least: int, most: int) -> list[list[Part]]:
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


def _halves(part: Part) -> tuple[Part, Part]:
    """Cut a part across its longer side."""
    rows, columns = part.window
    if rows.stop - rows.start >= columns.stop - columns.start:
        middle = (rows.start + rows.stop) // 2
        windows = (slice(rows.start, middle), columns), (slice(middle, rows.stop), columns)
    else:
        middle = (columns.start + columns.stop) // 2
        windows = (rows, slice(columns.start, middle)), (rows, slice(middle, columns.stop))
    return replace(part, window=windows[0]), replace(part, window=windows[1])


@torch.no_grad()
def _enhanced_patches(network: EnhancerNetwork, task: EnhancerTask, first_step: int, count: int) -> Patches:
    """Return at least `count` patches as they are enhanced, the deviation over the 8 symmetries, and the true ones."""
    found: list[list[Pixels]] = [[], [], []]
    step, device = first_step, next(network.parameters()).device
    while sum(len(truth) for truth in found[2]) < count:
        coarse, sharp = task.draw(step).tensors
        step += 1
        views = []
        for k in SYMMETRIES:
            turned = torch.from_numpy(np.ascontiguousarray(symmetry(coarse.numpy(), k))).to(device)
            with autocast(device):
                guess = network(turned)
            views.append(np.maximum(inverse_symmetry(guess.float().cpu().numpy(), k), 0))
        for kind, values in zip(found, (views[0], np.std(views, axis=0), sharp.numpy()), strict=True):
            kind.append(values[:, 0])
    predicted, spread, truth = (np.concatenate(kind) for kind in found)
    return predicted, spread, truth
