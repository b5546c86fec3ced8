"""Training from a model that ships against training from nothing, on few images and for the same number of steps.

    python -m benchmarks.models.fine_tuning [--only models|enhancers] [--seeds 3]

A user's few images: one or four windows of 512² of the mitochondria STORM image, of its upper three quarters. All
models are trained for the steps that two cores do in two minutes, from nothing, from `simulated-filaments` (the
former default) and from `microtubules`, which never saw mitochondria; the networks are the same, and so equal steps are
equal times. Told are the loss on the lower quarter at three levels of noise (with the same noise for all), and the
realism score of 400 patches; the classifier is left out for the time that it takes. About 40 minutes in all on two
cores.

Enhancers are trained on one such window for the steps that two cores do in some seconds to two minutes, from nothing
and from the one for microtubules of the same factor, which never saw mitochondria either. Told are how near the result
is to the lower quarter, of its widefield image as it is simulated, and of the real one, laid exactly on each other.
About 5 minutes a seed.

What was measured is written at once and not measured again: the rest can be done later.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.common import FACTORS, FILAMENTS, TESTED, entries, mitochondria, save_entry
from napari_smdiffusion import (
    DiffusionModel,
    EnhancedField,
    EnhancerConfig,
    Image,
    MicroscopeConfig,
    TrainConfig,
    load_diffusion_model,
    load_enhancer,
    run,
    train_enhancer_steps,
    train_steps,
)
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.diffusion.denoiser import EdmDenoiser
from napari_smdiffusion.diffusion.network import make_unet
from napari_smdiffusion.images.patches import draw_patches, grid_patches
from napari_smdiffusion.measure.realism import realism
from napari_smdiffusion.measure.restoration import image_similarity
from napari_smdiffusion.microscope.camera import widefield
from napari_smdiffusion.report.enhanced import compare_with_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTES, STEPS_A_MINUTE = 2, 276
STARTS = (None, FILAMENTS.name, "microtubules")
WINDOWS = (1, 4)
SIDE, SIZE, COUNT = 512, 128, 400
NOISE = (0.05, 0.5, 5.0)
ENHANCER_STEPS_A_MINUTE, ENHANCER_MINUTES = 1668, (0.1, 0.5, 2.0)  # as against_care.py measured
ENHANCERS = (None, "microtubules-x4")


@torch.no_grad()
def held_out_loss(model: DiffusionModel, patches: Any, levels: Sequence[float] = NOISE) -> dict[str, float]:
    """Return the mean loss on patches at each level of noise."""
    clean = torch.from_numpy(model.scaling.scale(patches))[:, None]
    found = {}
    for level in levels:
        noise = torch.randn(clean.shape, generator=generator(0, int(100 * level)))
        sigma = torch.full((len(clean),), level)
        found[f"{level:g}"] = float(EdmDenoiser(model.unet.eval()).loss(clean, sigma, noise).mean())
    return found


def shapes(unet: torch.nn.Module) -> dict[str, torch.Size]:
    """Return the shapes of all weights: networks in which they are equal cost the same."""
    return {name: weights.shape for name, weights in unet.state_dict().items()}


def few_of(train: Image, windows: int, seed: int, side: int = SIDE) -> Image:
    """Return so many windows, as the images of somebody who has few."""
    return Image(draw_patches(list(train.pixels), side, windows, np.random.default_rng(seed)), train.pixel_size)


def measured(start: str | None, windows: int, seed: int) -> dict[str, Any]:
    """Train on so many windows, and judge."""
    storm, train, _ = mitochondria()
    config = TrainConfig(steps=MINUTES * STEPS_A_MINUTE, seed=seed, previews=0)
    begin = None if start is None else load_diffusion_model(FILAMENTS if start == FILAMENTS.name else start)
    model = run(train_steps([few_of(train, windows, seed)], config, start=begin))
    if shapes(model.unet) != shapes(make_unet(config.channels)):
        raise AssertionError(f"The network of {start} is another one: its steps take another time.")
    rows, columns = TESTED["mitochondria"]
    held_out = grid_patches(list(storm.crop(rows, columns).pixels), SIZE)
    made = model.generate(COUNT, size=SIZE, seed=seed).pixels
    return {
        "loss": held_out_loss(model, held_out[::2]),
        "realism": realism(made, grid_patches(list(storm.pixels), SIZE), storm.pixel_size, seed).score,
    }


def measured_enhancer(start: str | None, minutes: float, seed: int) -> dict[str, Any]:
    """Train an enhancer on one window, and judge it on a simulated and on the real widefield image."""
    storm, train, real = mitochondria()
    factor = FACTORS["mitochondria"]
    steps = round(minutes * ENHANCER_STEPS_A_MINUTE)
    config = EnhancerConfig(upscale=factor, steps=steps, seed=seed, previews=0)
    begin = None if start is None else load_enhancer(start)
    enhancer = run(train_enhancer_steps([few_of(train, 1, seed)], config, MicroscopeConfig(), start=begin))
    if enhancer.config.channels != config.channels:
        raise AssertionError(f"The network of {start} is another one: its steps take another time.")
    rows, columns = TESTED["mitochondria"]
    truth = storm.crop(rows, columns)
    step = truth.pixel_size or 0.0
    seen = widefield(torch.from_numpy(truth.pixels)[:, None], MicroscopeConfig(), step, factor, generator(0))
    simulated = enhancer.enhance(Image(seen.numpy()[:, 0], step * factor))
    whole = compare_with_reference(EnhancedField(enhancer.enhance(real), real, storm), columns, rows)
    return {
        "simulated": asdict(image_similarity(simulated.pixels[0], truth.pixels[0])),
        "real": whole["registered"]["enhanced"],
    }


def models(seeds: int) -> None:
    """Train diffusion models, and judge them."""
    for seed in range(seeds):
        for windows in WINDOWS:
            for start in STARTS:
                trained_on = f"{windows} windows of {SIDE}², from {start or 'nothing'}"
                key = f"{trained_on}, seed {seed}"
                if key not in entries("fine_tuning"):
                    setting = {"trained_on": trained_on, "seed": seed, "minutes": MINUTES, "patches": COUNT}
                    save_entry("fine_tuning", key, {**setting, **measured(start, windows, seed)})


def enhancers(seeds: int) -> None:
    """Train enhancers, and judge them."""
    for seed in range(seeds):
        for minutes in ENHANCER_MINUTES:
            for start in ENHANCERS:
                setting = {"start": start or "nothing", "minutes": minutes, "seed": seed}
                key = f"{minutes} minutes from {setting['start']}, seed {seed}"
                if key not in entries("fine_tuning_enhancers"):
                    save_entry("fine_tuning_enhancers", key, {**setting, **measured_enhancer(start, minutes, seed)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("models", "enhancers"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for stage in (models, enhancers):
        if options.only in (None, stage.__name__):
            stage(options.seeds)
