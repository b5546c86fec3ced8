"""Posterior samples of widefield images.

A plane is sampled in three steps. First the estimate of the enhancer is computed for the whole plane, tile by tile.
Then each sample is drawn in overlapping windows: their noise depends on the place in the plane alone, and they are
cross-faded. Last, the samples become the best estimate, its uncertainty and the map of trust.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.devices import on_device, pick_device
from ..base.errors import InputError, Stopped
from ..base.events import Countdown, Note, Progress, SampleDone, Steps, Stop, TileDone, never
from ..base.scratch import scratch
from ..enhance.applying import Enhancement, checked, new_zeros, planned_results
from ..enhance.local_levels import LocalLevels
from ..enhance.network import ALIGN, REACH
from ..enhance.pixel_fit import PixelFit
from ..enhance.planes_seen import PlanesSeen
from ..enhance.predicting import predict
from ..enhance.resampling import network_grid
from ..enhance.tile_work import TileWork, prepared_tile
from ..images.axes import PLANE, Axis
from ..images.image import with_own_pixels
from ..images.provenance import BLURRED_BY, SAMPLES, TRUST
from ..images.tiles import tiles
from ..posterior.combining import WEIGHT
from ..posterior.conditions import conditions
from ..posterior.empty_background import with_empty_background
from ..posterior.field_noise import field_noise
from ..posterior.lattice import lattice
from ..posterior.sampling import sample_window
from ..posterior.summary import Summary
from ..posterior.trust import BLUR

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from ..base.arrays import Pixels
    from ..diffusion.unet import UNet
    from ..enhance.applying import NewArray, ResultKind, ResultPlan
    from ..enhance.model import Enhancer
    from ..enhance.settings import EnhanceConfig
    from ..images.image import Image
    from ..images.provenance import Provenance
    from ..images.tiles import Tile
    from ..posterior.facts import SamplerFacts
    from ..posterior.sampler import PosteriorSampler
    from ..posterior.summary import HalfWidth

_TILE = 256  # widefield pixels of a tile of the estimate
_BEST = f"mean of {{}} samples and of the estimate of the enhancer, which counts as {WEIGHT} samples"
WINDOW, OVERLAP = 672, 64  # pixels of the result: largest side of a window of a sample, and overlap of neighbours
_TOGETHER = {"cpu": 1}  # samples in one batch: on a CPU a larger one saves no time, and shows the first sample later
_TOGETHER_ELSEWHERE = 8


def planned_samples(enhancer: Enhancer, image: Image, config: EnhanceConfig) -> list[ResultPlan]:
    """Return the plans of all results: the best estimate, its uncertainty if requested, the samples and the trust."""
    plans = planned_results(enhancer, image, config)
    best = plans[0]
    count = config.samples
    which = Axis(PLANE, count)
    axes = () if len(image) == 1 else (which, *(image.axes or (Axis(PLANE, len(image)),)))
    samples = replace(
        best,
        kind="samples",
        shape=(count * best.shape[0], *best.shape[1:]),
        name=f"{image.name} (samples)",
        axes=axes,
        provenance=replace(
            best.provenance,
            kind=SAMPLES,
            seed=config.seed,
            meaning=f"{count} sharp images that could all have made the widefield image, and are equally probable",
        ),
    )
    trust = replace(
        best,
        kind="trust",
        name=f"{image.name} (trust)",
        provenance=replace(best.provenance, kind=TRUST, meaning=f"share of {count} samples that show structure there"),
    )
    best = replace(
        best,
        provenance=replace(best.provenance, meaning=_BEST.format(count)),
    )
    maps = [replace(plan, provenance=_about_uncertainty(plan.provenance, enhancer, config)) for plan in plans[1:]]
    return [best, *maps, samples, trust]


def _about_uncertainty(provenance: Provenance, enhancer: Enhancer, config: EnhanceConfig) -> Provenance:
    """Return the provenance of an uncertainty map with what it states for samples."""
    if enhancer.samples_calibration is None:
        confidence = None  # unknown
        meaning = f"standard deviation of the samples, blurred by {BLUR:g} pixels"
    else:
        confidence = config.confidence
        meaning = (
            f"the true image, blurred by {BLUR:g} pixels, lies within this of the best estimate, blurred alike, in "
            f"{100 * confidence:g} % of the pixels"
        )
    settings, more = {**provenance.settings, "confidence": confidence}, {**provenance.more, BLURRED_BY: BLUR}
    return replace(provenance, meaning=meaning, settings=settings, more=more)


def sample_image_steps(
    enhancer: Enhancer,
    image: Image,
    config: EnhanceConfig,
    *,
    new_array: NewArray | None = None,
    finished: Container[tuple[int, ...]] = (),
    stop: Stop = never,
) -> Steps[Enhancement]:
    """Draw posterior samples of a widefield image or stack.

    Parameters
    ----------
    enhancer
        An enhancer with a sampler.
    image, config
        Widefield, (N, Y, X) in any units, and the settings, with at least one sample.
    new_array
        Makes the array for each result from its plan.
    finished
        (plane, sample) of the samples that `new_array` holds already; they are not drawn again.
    stop
        Checked at every window. Samples that are complete by then are kept.

    Yields
    ------
    Progress at every window, TileDone for the estimate, SampleDone for each sample, and the notes of `enhance_steps`.

    Returns
    -------
    The results; after a stop they hold the samples that were complete, if there is one of every plane.

    Raises
    ------
    InputError
        If the enhancer has no sampler, or for the reasons of `enhance_steps`.
    Stopped
        If it was stopped before the first sample of every plane.
    """
    sampler = sampler_of(enhancer)
    fit = PixelFit(image.pixel_size, enhancer.widefield_pixel_size)
    yield from checked(enhancer, image, replace(config, uncertainty=False), fit)
    if config.uncertainty and enhancer.samples_calibration is None:
        yield Note(f"The samples of {enhancer.name} have no calibration: the uncertainty is their standard deviation.")
    grid = network_grid(image, enhancer.config.upscale, fit)
    on_grid = grid.network_image(image)
    plans = planned_samples(enhancer, image, config)
    make = new_array or new_zeros
    results = {plan.kind: make(plan) for plan in plans}
    device = pick_device(config.device)
    with on_device(enhancer.network, device) as network, on_device(sampler.network, device) as denoiser:
        levels = LocalLevels(enhancer.widefield.opening, enhancer.widefield.around)
        work = TileWork(network, device, enhancer, grid, levels)
        run = _Run(work, denoiser, config, results, len(image), sampler.facts)
        complete = yield from _all_planes(run, on_grid, PlanesSeen(image, grid), finished, stop)
    return _enhancement(image, plans, results, complete)


def sampler_of(enhancer: Enhancer) -> PosteriorSampler:
    """Return the sampler of an enhancer; raises InputError if it makes best estimates only."""
    if enhancer.sampler is None:
        raise InputError(
            f"{enhancer.name} makes best estimates only: choose an enhancer with samples, or train one (train-enhancer "
            "--method samples)."
        )
    return enhancer.sampler


def _enhancement(
    image: Image, plans: list[ResultPlan], results: Mapping[ResultKind, Pixels], complete: int
) -> Enhancement:
    """Return the results, with the samples that are complete in every plane."""
    images = {}
    for plan in plans:
        pixels = results[plan.kind]
        if plan.kind == "samples" and complete * len(image) < len(pixels):
            axes = (Axis(PLANE, complete), *plan.axes[1:]) if plan.axes else ()
            pixels, plan = pixels[: complete * len(image)], replace(plan, axes=axes)
        images[plan.kind] = with_own_pixels(
            image, pixels, pixel_size=plan.pixel_size, name=plan.name, provenance=plan.provenance, axes=plan.axes
        )
    return Enhancement(images["enhanced"], images.get("uncertainty"), images["samples"], images["trust"])


@dataclass(frozen=True, eq=False)
class _Run:
    """The inputs of a run, and its results."""

    work: TileWork
    denoiser: UNet
    config: EnhanceConfig
    results: Mapping[ResultKind, Pixels]
    planes: int
    facts: SamplerFacts


@dataclass(frozen=True, eq=False)
class _Field:
    """A plane that is ready to be sampled.

    Parameters
    ----------
    widefield
        (Y/f, X/f) input of the enhancer, on the grid of the network.
    estimate
        (Y, X) output of the enhancer for it.
    shown
        The same on the pixels of the result, (Y, X).
    unit
        Intensity of 1 in a sample, (Y, X) on the pixels of the result; 0 without a measurement.
    tiles
        The tiles of the network's input.
    """

    widefield: Pixels
    estimate: Pixels
    shown: Pixels
    unit: Pixels
    tiles: list[Tile]


def _all_planes(
    run: _Run, image: Image, seen: PlanesSeen, finished: Container[tuple[int, ...]], stop: Stop
) -> Steps[int]:
    """Draw the samples of every plane of an image on the grid of the network; return how many each plane has."""
    complete = run.config.samples
    for n in range(len(image)):
        field = yield from _estimated(run, image.pixels[n], seen, n, stop)
        complete = min(complete, (yield from _sampled(run, field, n, finished, stop)))
    for note in seen.notes(not stop()):
        yield Note(note)
    if not complete:
        raise Stopped("Stopped: no sample is complete.")
    return complete


def _estimated(run: _Run, plane: Pixels, seen: PlanesSeen, n: int, stop: Stop) -> Steps[_Field]:
    """Compute the estimate of a plane, and show it until the first sample is there."""
    work = run.work
    factor, (height, width) = work.enhancer.config.upscale, plane.shape
    reach = REACH + -(-work.grid.margin // ALIGN) * ALIGN
    parts = list(tiles((height, width), _TILE, reach, ALIGN))
    best = run.results["enhanced"][n]
    field = _Field(
        scratch((height, width)),
        scratch((height * factor, width * factor)),
        scratch(best.shape),
        scratch(best.shape),
        parts,
    )
    for done, tile in enumerate(parts):
        if stop():
            raise Stopped("Stopped: no sample is complete.")
        prepared = prepared_tile(work, plane, seen.plane(n), tile)
        output = predict(work.network, work.device, prepared.values[None, None])[0, 0]
        top, left = prepared.corner
        output = output[top:, left:]
        if not np.isfinite(output).all():
            raise InputError(f"{work.enhancer.name} makes NaN or infinite pixels: train it again.")
        field.estimate[tile.core_in_plane(factor)] = output[tile.core_in_window(factor)]
        field.widefield[tile.core] = prepared.values[top // factor :, left // factor :][tile.core_in_window()]
        place = work.grid.place(tile)
        field.unit[place] = prepared.unit
        field.shown[place] = work.grid.result(output, tile)
        best[place] = field.shown[place] * prepared.unit
        seen.add(prepared)
        yield TileDone(n, *place)
        yield Progress("enhancing", done + 1, len(parts), float("inf"), share=0.0)
    return field


def _sampled(run: _Run, field: _Field, n: int, finished: Container[tuple[int, ...]], stop: Stop) -> Steps[int]:
    """Draw the samples of a plane one after the other, or batch by batch; return how many are complete."""
    samples, scale = run.results["samples"], run.facts.scale
    height, width = field.estimate.shape
    windows = lattice((height, width), WINDOW, OVERLAP, 16)
    together = _TOGETHER.get(run.work.device.type, _TOGETHER_ELSEWHERE)
    summary = Summary(
        field.shown,
        field.unit,
        {kind: pixels[n] for kind, pixels in run.results.items() if kind != "samples"},
        structure=run.facts.structure,
        half_width=_half_width(run),
    )
    done = [k for k in range(run.config.samples) if (n, k) in finished]
    for k in done:
        summary.add(samples[k * run.planes + n])
    todo = [k for k in range(run.config.samples) if k not in done]
    total = len(windows) * run.config.samples
    countdown = Countdown(len(windows) * len(done), total)
    for first in range(0, len(todo), together):
        batch = todo[first : first + together]
        fields = torch.from_numpy(scratch((len(batch), height, width)))
        for j, window in enumerate(windows):
            if stop():
                return summary.count
            given = _given(run, field, window.rows, window.columns)
            noise = torch.stack([field_noise(run.config.seed, k, window.rows, window.columns, n) for k in batch])
            given = given.to(run.work.device)
            *_, last = sample_window(run.denoiser, given, noise[:, None], run.facts.evaluations)
            fields[:, window.rows, window.columns] += scale.to_local(last)[:, 0].cpu() * window.weights
            step = len(windows) * (len(done) + first) + (j + 1) * len(batch)
            share = (n + step / total) / run.planes
            detail = f"sample {batch[0] + 1} of {run.config.samples}"
            yield Progress("drawing", step, total, countdown.left(step), detail=detail, share=share)
        for k, values in zip(batch, with_empty_background(fields.numpy(), run.facts), strict=True):
            sample = samples[k * run.planes + n]
            for tile in field.tiles:
                place = run.work.grid.place(tile)
                sample[place] = run.work.grid.result(_window_of(values, tile, run.work.enhancer.config.upscale), tile)
            sample *= field.unit
            summary.add(sample)
            yield SampleDone(n, k)
    return summary.count


def _half_width(run: _Run) -> HalfWidth | None:
    """Return the function that calibrates the spread of the samples; None without a calibration."""
    calibration, confidence = run.work.enhancer.samples_calibration, run.config.confidence
    return None if calibration is None else lambda centre, spread: calibration.half_width(centre, spread, confidence)


def _window_of(values: Pixels, tile: Tile, factor: int) -> Pixels:
    """Return the window of a tile in a plane `factor` times finer."""
    rows, columns = (slice(part.start * factor, part.stop * factor) for part in tile.window)
    return values[rows, columns]


def _given(run: _Run, field: _Field, rows: slice, columns: slice) -> torch.Tensor:
    """Return the conditions of a window, (1, 2, Y, X)."""
    factor = run.work.enhancer.config.upscale
    # The window need not begin at a widefield pixel: it is cut out of a slightly larger one that does.
    outer = [slice(part.start // factor, -(-part.stop // factor)) for part in (rows, columns)]
    wide = [slice(max(part.start - 1, 0), part.stop + 1) for part in outer]  # bilinear interpolation needs one more
    coarse = torch.from_numpy(field.widefield[wide[0], wide[1]])[None, None]
    fine = tuple(slice(part.start * factor, part.stop * factor) for part in wide)
    estimate = torch.from_numpy(field.estimate[fine])[None, None]
    given = conditions(coarse, estimate, run.facts.scale)
    inner = [
        slice(part.start - cut.start, part.stop - cut.start) for part, cut in zip((rows, columns), fine, strict=True)
    ]
    return given[..., inner[0], inner[1]]
