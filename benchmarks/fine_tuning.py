"""Training from a model that ships against training from nothing, on few images and for the same number of steps.

    python benchmarks/fine_tuning.py [--seeds 3]

A user's few images: one or four windows of 512² of the mitochondria STORM image, of its upper three quarters. All
models are trained for the steps that two cores do in two minutes, from nothing, from `simulated-filaments` (the
default) and from `microtubules`, which never saw mitochondria; the networks are the same, and so equal steps are equal
times. Told are the loss on the lower quarter at three levels of noise (with the same noise for all), and the realism
score of 400 patches; the classifier is left out for the time that it takes. About 40 minutes in all on two cores;
what was measured is written at once and not measured again: the rest can be done later.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

from common import TESTED, entries, mitochondria, save_entry
from napari_smdiffusion import DiffusionModel, Image, TrainConfig, load_diffusion_model
from napari_smdiffusion.assess import grid_patches, realism
from napari_smdiffusion.compute import generator
from napari_smdiffusion.denoiser import denoising_loss, make_unet
from napari_smdiffusion.diffusion_training import train_steps
from napari_smdiffusion.patches import draw_patches
from napari_smdiffusion.progress import run

MINUTES, STEPS_A_MINUTE = 2, 276
STARTS = (None, "simulated-filaments", "microtubules")
WINDOWS = (1, 4)
SIDE, SIZE, COUNT = 512, 128, 400
NOISE = (0.05, 0.5, 5.0)


@torch.no_grad()
def held_out_loss(model: DiffusionModel, patches: Any) -> dict[str, float]:
    """Return the mean loss on patches at each level of noise."""
    clean = torch.from_numpy(model.scaling.scale(patches))[:, None]
    found = {}
    for level in NOISE:
        noise = torch.randn(clean.shape, generator=generator(0, int(100 * level)))
        sigma = torch.full((len(clean),), level)
        found[f"{level:g}"] = float(denoising_loss(model.unet.eval(), clean, sigma, noise).mean())
    return found


def shapes(unet: torch.nn.Module) -> dict[str, torch.Size]:
    """Return the shapes of all weights: networks in which they are equal cost the same."""
    return {name: weights.shape for name, weights in unet.state_dict().items()}


def measured(start: str | None, windows: int, seed: int) -> dict[str, Any]:
    """Train on so many windows, and judge."""
    storm, train, _ = mitochondria()
    few = Image(draw_patches(list(train.pixels), SIDE, windows, np.random.default_rng(seed)), storm.pixel_size)
    config = TrainConfig(steps=MINUTES * STEPS_A_MINUTE, seed=seed, previews=0)
    begin = None if start is None else load_diffusion_model(start)
    model = run(train_steps([few], config, start=begin))
    if shapes(model.unet) != shapes(make_unet(config.channels)):
        raise AssertionError(f"The network of {start} is another one: its steps take another time.")
    rows, columns = TESTED["mitochondria"]
    held_out = grid_patches(list(storm.crop(rows, columns).pixels), SIZE)
    made = model.generate(COUNT, size=SIZE, seed=seed).pixels
    return {
        "loss": held_out_loss(model, held_out[::2]),
        "realism": realism(made, grid_patches(list(storm.pixels), SIZE), storm.pixel_size, seed)["score"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    for seed in range(parser.parse_args().seeds):
        for windows in WINDOWS:
            for start in STARTS:
                trained_on = f"{windows} windows of {SIDE}², from {start or 'nothing'}"
                key = f"{trained_on}, seed {seed}"
                if key not in entries("fine_tuning"):
                    setting = {"trained_on": trained_on, "seed": seed, "minutes": MINUTES, "patches": COUNT}
                    save_entry("fine_tuning", key, {**setting, **measured(start, windows, seed)})
