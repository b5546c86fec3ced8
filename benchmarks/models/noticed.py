"""Measure which widefield images are called unlike an enhancer's training, and which results have a grid or ring.

    python -m benchmarks.models.noticed

The thresholds `enhance.familiar.UNFAMILIAR`, `measure.grid.GRID` and `measure.ringing.RINGING` are chosen by it. Real
images are also resampled to pixels that are 0.7 and 1.4 times as large; the whole image is looked at, and each part of
128 × 128 original pixels. Made images are out of focus, other structures, textures and edges as photographs have them.
Grids are made by a pattern with the period of the widefield pixels, and by a network with random weights; ripples by a
ring around structure. Enhancers of earlier versions are first described by their training images (`build/bundled`).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from benchmarks.common import CELLS, earlier_drawing, save
from benchmarks.models.bundled_models import fields
from benchmarks.models.doubts import ENHANCERS, PART, resampled
from napari_smdiffusion import Enhancer, Image, MicroscopeConfig, simulate
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.enhance.familiar import UNFAMILIAR, strangeness
from napari_smdiffusion.enhance.network import EnhancerNetwork
from napari_smdiffusion.enhance.pixel_fit import PixelFit
from napari_smdiffusion.enhance.training import with_familiar
from napari_smdiffusion.measure.grid import GRID, grid_strength
from napari_smdiffusion.measure.ringing import RINGING, ringing
from napari_smdiffusion.microscope.camera import widefield_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_smdiffusion.base.arrays import Pixels

TIMES = (0.7, 1.0, 1.4)  # pixel size of a resampled image, in original pixels
MADE, SIDE = 4, 160  # made images of each kind, and their widefield pixels along a side
ENHANCED = 192  # widefield pixels along the side of the part of a real image that is enhanced
DEFOCUS = 1.9  # widefield pixels: σ that makes the image of a point about twice as wide
RIPPLE, RIPPLES = 2.5, (0.05, 0.1, 0.2)  # widefield pixels: distance of a made ripple; its heights, about
PATTERNS = (0.02, 0.03, 0.05)  # root mean square of a made grid, in parts of the brightness


def through_microscope(sharp: Pixels, enhancer: Enhancer, seed: int) -> Pixels:
    """Return the widefield plane (Y, X) of a sharp plane, through a microscope that is drawn."""
    size = enhancer.pixel_size or 20.0
    fine = Image(sharp, size)
    seen = widefield_image(fine, size, MicroscopeConfig(), enhancer.config.upscale, generator(seed))
    return np.asarray(seen.pixels[0], np.float32)


def dense(enhancer: Enhancer, seed: int) -> Pixels:
    """Return the widefield plane of a dense network of tubes under strong smooth light."""
    random, side = np.random.default_rng(seed), SIDE * enhancer.config.upscale
    maps = [gaussian_filter(random.standard_normal((side, side)), 14) for _ in range(2)]
    walls = [np.exp(-np.square(values / values.std() / 0.12)) for values in maps]
    plane = through_microscope(np.maximum(*walls).astype(np.float32), enhancer, seed)
    light = gaussian_filter(random.standard_normal(plane.shape), 20)
    strength = 4 * np.percentile(plane, 99)
    return np.asarray(plane + strength * np.square((light - light.min()) / np.ptp(light)), np.float32)


def texture(seed: int) -> Pixels:
    """Return a plane whose power falls with the frequency as that of natural images does, with noise."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))
    frequency[0, 0] = 1
    values = np.fft.ifft2(np.fft.fft2(random.standard_normal((SIDE, SIDE))) / frequency**1.5).real
    return np.asarray(random.poisson(50 + 400 * (values - values.min()) / np.ptp(values)), np.float32)


def edges(seed: int) -> Pixels:
    """Return a plane of flat areas with straight edges and noise."""
    random, plane = np.random.default_rng(seed), np.full((SIDE, SIDE), 100.0)
    for _ in range(40):
        y, x = random.integers(0, SIDE - 20, 2)
        height, width = random.integers(10, 60, 2)
        plane[y : y + height, x : x + width] = random.uniform(100, 600)
    return np.asarray(random.poisson(gaussian_filter(plane, 0.5)), np.float32)


def summary(values: Sequence[float], threshold: float) -> dict[str, Any]:
    """Return the range of values, and how many are above the threshold."""
    return {
        "images": len(values),
        "lowest": round(min(values), 4),
        "median": round(float(np.median(values)), 4),
        "highest": round(max(values), 4),
        "noticed": int(np.sum(np.array(values) > threshold)),
    }


def distances(enhancer: Enhancer, structure: str) -> dict[str, Any]:
    """Return the distances of real and made images from the training of an enhancer of `structure`."""
    known, expected = enhancer.familiar, enhancer.widefield_pixel_size
    if known is None:
        raise SystemExit(f"The training images of {enhancer.name} cannot be described: their patches are too small.")

    def distance(plane: Pixels, size: float | None = expected) -> float:
        return strangeness(known, enhancer.widefield, plane, PixelFit(size, expected))

    found: dict[str, Any] = {}
    for shown in ENHANCERS:
        whole = CELLS[shown]()[2]
        for times in TIMES:
            image = resampled(whole, times)
            side = int(PART / times)
            starts = [range(0, length - side + 1, side) for length in image.size]
            parts = [image.pixels[0][y : y + side, x : x + side] for y, x in product(*starts)]
            found[f"real {shown}, pixels × {times:g}"] = {
                "whole": round(distance(image.pixels[0], image.pixel_size), 3),
                "parts": summary([distance(part, image.pixel_size) for part in parts], UNFAMILIAR),
            }
        planes = [
            simulate(shown, size=SIDE * 4, pixel_size=20.0, seed=100 + k, **earlier_drawing(shown)).pixels[0]
            for k in range(MADE)
        ]
        made = [distance(through_microscope(plane, enhancer, k)) for k, plane in enumerate(planes)]
        found[f"simulated {shown}"] = summary(made, UNFAMILIAR)
    own = CELLS[structure]()[2].pixels[0]
    found["out of focus"] = round(distance(gaussian_filter(own, DEFOCUS), CELLS[structure]()[2].pixel_size), 3)
    makers = {"dense network": lambda k: dense(enhancer, k), "texture": texture, "edges": edges}
    for name, make in makers.items():
        found[name] = summary([distance(make(k)) for k in range(MADE)], UNFAMILIAR)
    noise = [np.random.default_rng(k).poisson(100, (SIDE, SIDE)).astype(np.float32) for k in range(MADE)]
    found["noise"] = summary([distance(plane) for plane in noise], UNFAMILIAR)
    return found


def grids(enhancer: Enhancer, structure: str) -> dict[str, Any]:
    """Return the strength of the grid of results: of right images, of others, with a made grid, and at random."""
    factor, expected = enhancer.config.upscale, enhancer.widefield_pixel_size
    found: dict[str, Any] = {}
    for shown in ENHANCERS:
        storm, _, whole = CELLS[shown]()
        found[f"STORM image of {shown}"] = round(grid_strength(storm.pixels[0], factor), 4)
        for times in TIMES if shown == structure else (1.0,):
            image = resampled(whole, times)
            side = min(int(ENHANCED / times), *image.size)
            image = image.crop(slice(0, side), slice(0, side))
            fit = PixelFit(image.pixel_size, expected)
            period = factor / fit.ratios[0] if fit.kind == "resampled" else factor
            sharp = enhancer.enhance(image).pixels[0]
            found[f"real {shown}, pixels × {times:g}"] = round(grid_strength(sharp, period), 4)
            if shown == structure and times == 1.0:
                for share in PATTERNS:
                    wave = np.sin(2 * np.pi * np.arange(len(sharp)) / period)
                    strength = grid_strength(
                        np.maximum(sharp * (1 + 2 * share * np.multiply.outer(wave, wave)), 0), period
                    )
                    found[f"made grid of {share:g}"] = round(strength, 4)
                found["random weights"] = round(grid_strength(at_random(enhancer).enhance(image).pixels[0], period), 4)
    result = enhancer.enhance(Image(dense(enhancer, 0), expected)).pixels[0]
    found["dense network"] = round(grid_strength(result, factor), 4)
    return found


def with_ripple(plane: Pixels, period: float, height: float) -> Pixels:
    """Return a plane with copies of its structure in a ring around it, and a gap before the ring."""
    reach = int(3 * RIPPLE * period)
    radius = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) / period
    ring, gap = (np.exp(-0.5 * np.square((radius - at) / (0.2 * RIPPLE))) for at in (RIPPLE, RIPPLE / 2))
    rings = fftconvolve(plane, ring / ring.sum() - gap / gap.sum(), mode="same")
    # The copy of a line is fainter than the ring: its light comes from two places of the ring.
    return np.asarray(np.maximum(plane + 4 * height * rings, 0), np.float32)


def ripples(enhancer: Enhancer, structure: str) -> dict[str, Any]:
    """Return the ringing of STORM images, of results, of simulated images, and of results with a made ripple."""
    factor, expected = enhancer.config.upscale, enhancer.widefield_pixel_size
    found: dict[str, Any] = {}
    for shown in ENHANCERS:
        storm, _, whole = CELLS[shown]()
        found[f"STORM image of {shown}"] = round(ringing(storm.pixels[0], factor), 4)
        side = min(ENHANCED, *whole.size)
        sharp = enhancer.enhance(Image(whole.pixels[:, :side, :side], expected)).pixels[0]
        found[f"result of real {shown}"] = round(ringing(sharp, factor), 4)
        if shown == structure:
            for height in RIPPLES:
                rippled = with_ripple(sharp, factor, height)
                found[f"made ripple of {height:g}"] = round(ringing(rippled, factor), 4)
        planes = [
            simulate(shown, size=SIDE * factor, pixel_size=20.0, seed=k, **earlier_drawing(shown)).pixels[0]
            for k in range(MADE)
        ]
        found[f"simulated {shown}"] = summary([ringing(plane, factor) for plane in planes], RINGING)
    makers = {"dense network": lambda k: dense(enhancer, k), "texture": texture, "edges": edges}
    for name, make in makers.items():
        results = [enhancer.enhance(Image(make(k), expected)).pixels[0] for k in range(MADE)]
        found[name] = summary([ringing(plane, factor) for plane in results], RINGING)
    return found


def at_random(enhancer: Enhancer) -> Enhancer:
    """Return the enhancer with a network of random weights."""
    torch.manual_seed(0)
    network = EnhancerNetwork(enhancer.config.upscale, enhancer.config.channels)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.05 * torch.randn(weights.shape))
    return replace(enhancer, network=network.eval())


def main() -> None:
    """Measure every enhancer."""
    results: dict[str, Any] = {"unfamiliar": UNFAMILIAR, "grid": GRID, "ringing": RINGING}
    for structure, names in ENHANCERS.items():
        for name in names:
            enhancer = Enhancer.load(name)
            if enhancer.familiar is None:
                enhancer = with_familiar(enhancer, [fields(structure)])
            results[name] = {
                "distance": distances(enhancer, structure),
                "grid": grids(enhancer, structure),
                "ringing": ripples(enhancer, structure),
            }
            for kind, entry in results[name].items():
                for case, value in entry.items():
                    print(name, kind, case, value, flush=True)
    save("noticed", results)


if __name__ == "__main__":
    main()
