"""Train the model of simulated filaments that ships with the package, to start other trainings from.

    python benchmarks/simulated_filaments.py --out build/simulated-filaments

It never sees an experimental image: what it brings to a training on a few of them is the course of filaments (long,
smooth, crossing), which takes far longer to learn than their texture. Steps are counted, not minutes, so that it is
the same model on a slow machine.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from common import save
from napari_smdiffusion import Image, TrainConfig, simulate
from napari_smdiffusion.diffusion_training import train_steps
from napari_smdiffusion.models import bundled_folder
from napari_smdiffusion.progress import Reporter, run, stop_on_interrupt

FIELDS, SIZE, PIXEL_SIZE = 32, 1024, 20.0
STEPS = 12_000
ATTRIBUTION = """
Simulated microtubules alone (`smdiffusion simulate microtubules`): no experimental image was ever seen. It is meant to
start other trainings from (`smdiffusion train --start simulated-filaments`), not to generate images with.
"""


def fields(seed: int = 0) -> Image:
    """Return simulated fields of many densities, filament widths and renderings, each of standard deviation 1."""
    rng = np.random.default_rng(seed)
    planes = []
    for k in range(FIELDS):
        together = int(rng.integers(1, 5))
        layers = simulate("microtubules", together, SIZE, PIXEL_SIZE, seed=1000 + 10 * k + seed).pixels
        plane = np.tensordot(rng.uniform(0.4, 1, together), layers, axes=1)
        plane = gaussian_filter(plane, rng.uniform(0.4, 1.3))
        planes.append(plane / plane.std())
    return Image(np.stack(planes), PIXEL_SIZE, name="simulated filaments", provenance={"kind": "simulated"})


def main() -> None:
    """Train, save in half precision, and write the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    # Three steps of four look at 256 pixels: it is the course of filaments that is to be learned.
    config = TrainConfig(steps=options.steps, wide_fraction=0.75, previews=0)
    images = fields()
    with stop_on_interrupt() as stop:
        model = run(
            train_steps(
                [images], config, out=options.out, name="simulated-filaments", resume=options.resume, stop=stop
            ),
            Reporter(60),
        )
    model = dataclasses.replace(model, facts={**model.facts, "attribution": ATTRIBUTION})
    model.save(bundled_folder() / "diffusion" / "simulated-filaments", half=True)
    facts = {"steps": model.facts["steps"], "curve": model.facts["curve"]}
    save("simulated_filaments", {"fields": FIELDS, "size": SIZE, "seed": 0, **facts})


if __name__ == "__main__":
    main()
