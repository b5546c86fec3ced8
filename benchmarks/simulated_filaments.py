"""Train the model of simulated filaments that ships with the package, to start other trainings from.

    python benchmarks/simulated_filaments.py --out build/simulated-filaments

First on crowded fields, then on sparse ones, in which the course of each filament is plain, with more of the noise that
hides it; and last on fields of filaments without the gaps that the mathematical model has and STORM images have not. It
never sees an experimental image: what it brings to a training on a few of them is the course of filaments (long,
smooth, crossing), which takes far longer to learn than their texture. Steps are counted, not minutes, so that it is the
same model on a slow machine. Called again, it goes on where it was cut.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from common import save
from napari_smdiffusion import DiffusionModel, Image, TrainConfig, simulate
from napari_smdiffusion.diffusion_training import train_steps
from napari_smdiffusion.model_folder import STATE
from napari_smdiffusion.models import bundled_folder
from napari_smdiffusion.progress import Reporter, run, stop_on_interrupt

FIELDS, SIZE, PIXEL_SIZE = 32, 1024, 20.0
CROWDED_STEPS, SPARSE_STEPS, CONTINUOUS_STEPS = 12_000, 10_000, 7_000
ATTRIBUTION = """
Simulated microtubules alone (`smdiffusion simulate microtubules`): no experimental image was ever seen. It is meant to
start other trainings from (`smdiffusion train --start simulated-filaments`), not to generate images with.
"""


def crowded_fields() -> Image:
    """Return simulated fields of many densities, filament widths and renderings, each of standard deviation 1."""
    rng = np.random.default_rng(0)
    planes = []
    for k in range(FIELDS):
        together = int(rng.integers(1, 5))
        layers = simulate("microtubules", together, SIZE, PIXEL_SIZE, seed=1000 + 10 * k).pixels
        plane = np.tensordot(rng.uniform(0.4, 1, together), layers, axes=1)
        plane = gaussian_filter(plane, rng.uniform(0.4, 1.3))
        planes.append(plane / plane.std())
    return _stack(planes)


def sparse_fields() -> Image:
    """Return simulated fields as crowded as a cell's rim, on a dark background."""
    rng = np.random.default_rng(1)
    planes = []
    for k in range(2 * FIELDS):
        together = int(rng.integers(1, 3))
        layers = simulate("microtubules", together, SIZE, PIXEL_SIZE, seed=5000 + 10 * k).pixels
        plane = gaussian_filter(np.tensordot(rng.uniform(0.4, 1, together), layers, axes=1), rng.uniform(0.6, 1.4))
        # Dim localizations beside the filaments are cut off; what is cut off differs between fields.
        plane = np.maximum(plane - rng.uniform(0.1, 0.6) * plane.std(), 0)
        planes.append(plane / plane.std())
    return _stack(planes)


def continuous_fields(count: int = 2 * FIELDS, size: int = SIZE, seed: int = 0) -> Image:
    """Return simulated fields of filaments without gaps, each filament of its own brightness, as STORM images show."""
    rng = np.random.default_rng([2, seed] if seed else 2)
    planes = []
    for k in range(count):
        together = int(rng.integers(1, 3))
        first = 100_000 * seed + 9000 + 10 * k
        layers = simulate("microtubules", together, size, PIXEL_SIZE, seed=first, labelling=3.0).pixels
        plane = gaussian_filter(np.tensordot(rng.uniform(0.15, 1, together), layers, axes=1), rng.uniform(0.7, 1.3))
        plane = np.maximum(plane - rng.uniform(0.05, 0.3) * plane.std(), 0)
        planes.append(plane / plane.std())
    return _stack(planes)


def _stack(planes: list[np.ndarray]) -> Image:
    return Image(np.stack(planes), PIXEL_SIZE, name="simulated filaments", provenance={"kind": "simulated"})


def finished(folder: Path) -> bool:
    """Tell whether the training in `folder` came to its end."""
    if not (folder / "model.json").exists():
        return False
    facts = DiffusionModel.load(folder).facts
    return bool(facts["steps"] == facts["total_steps"])


def train(images: Image, config: TrainConfig, out: Path, start: DiffusionModel | None = None) -> DiffusionModel:
    """Train, or go on with a training that was cut."""
    cut = (out / STATE).exists()
    with stop_on_interrupt() as stop:
        steps = train_steps(
            [images],
            config,
            start=start,
            out=out,
            name="simulated-filaments",
            resume=cut,
            stop=stop,
        )
        return run(steps, Reporter(60))


def main() -> None:
    """Train, save in half precision, and write the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    # Most steps look at 256 pixels: it is the course of filaments that is to be learned.
    crowded = options.out / "crowded"
    if not finished(crowded):
        train(crowded_fields(), TrainConfig(steps=CROWDED_STEPS, wide_fraction=0.75, previews=0), crowded)
    sparse = options.out / "sparse"
    if not finished(sparse):
        config = TrainConfig(steps=SPARSE_STEPS, wide_fraction=0.9, log_sigma_mean=0.3, log_sigma_std=1.5, previews=0)
        train(sparse_fields(), config, sparse, start=DiffusionModel.load(crowded))
    config = TrainConfig(steps=CONTINUOUS_STEPS, wide_fraction=0.9, log_sigma_mean=0.2, log_sigma_std=1.4, previews=0)
    model = train(continuous_fields(), config, options.out / "continuous", start=DiffusionModel.load(sparse))
    model = dataclasses.replace(model, facts={**model.facts, "attribution": ATTRIBUTION})
    model.save(bundled_folder() / "diffusion" / "simulated-filaments", half=True)
    facts = {"steps": model.facts["steps"], "curve": model.facts["curve"]}
    save("simulated_filaments", {"fields": FIELDS, "size": SIZE, "seed": 0, **facts})


if __name__ == "__main__":
    main()
