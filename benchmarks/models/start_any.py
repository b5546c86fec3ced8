"""Train the model of all simulated structures, which trainings on any structure can begin from.

    python -m benchmarks.models.start_any --out build/start-any [--without endoplasmic-reticulum] [--steps 8000]

One conditional model learns the fields of every mathematical structure of the package, in equal shares. It begins with
the weights of `simulated-filaments`, which saw filaments alone. No experimental image is ever trained on. `--without`
leaves structures out, to measure what such a start is worth for a structure that it never saw
(`benchmarks/models/fine_tuning.py`). Only the model of all structures replaces the one that ships. Called again, the
same command goes on where it was cut.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.common import FILAMENTS, save
from benchmarks.models.simulated_filaments import finished, seconds_of, train
from napari_smdiffusion import STRUCTURES, DiffusionModel, Image, TrainConfig, load_diffusion_model, simulate
from napari_smdiffusion.base.folders import bundled_folder

NAME = "start-any"
FIELDS, SIZE, PIXEL_SIZE, STEPS = 32, 512, 20.0, 8000
BRIGHTNESS = (0.2, 1.0)  # of each of the simulated images in one field
BLUR = (0.3, 1.3)  # pixels
CUT = (0.0, 0.4)  # standard deviations of a field: what is dimmer is left out, as in half of the fields
LABELLING = (0.4, 4.0)  # from many gaps to hardly any
ATTRIBUTION = """
Simulated fields of {count} structures alone, one or two of `smdiffusion simulate` in a field, with labels from sparse
to complete, blurred, and in half of them with what is dim cut off (`benchmarks/models/start_any.py`). No experimental
image was ever trained on. It is meant to start other trainings from, not to generate images with.
It was trained for {steps} steps, from `simulated-filaments` on.
"""
LICENSE, CITATION = "BSD-3-Clause", "napari-smdiffusion: no experimental image was trained on"
NOT_FOR = "Images that are shown or measured: it saw simulated structures alone. It is a start for other trainings."


def fields(structure: str, count: int = FIELDS, size: int = SIZE, seed: int = 0) -> Image:
    """Return simulated fields of a structure, each of standard deviation 1, (count, size, size)."""
    rng = np.random.default_rng([seed, *structure.encode()])
    planes = []
    for k in range(count):
        own = {"organisation": "random"} if structure == "microtubules" and k % 2 else {}
        labelling = float(np.exp(rng.uniform(*np.log(LABELLING))))
        together = int(rng.integers(1, 3))
        layers = simulate(structure, together, size, PIXEL_SIZE, 10 * (1000 * seed + k), labelling, **own).pixels
        plane = gaussian_filter(np.tensordot(rng.uniform(*BRIGHTNESS, together), layers, axes=1), rng.uniform(*BLUR))
        if k // 2 % 2:
            plane = np.maximum(plane - rng.uniform(*CUT) * plane.std(), 0)
        planes.append((plane / plane.std()).astype(np.float32))
    provenance = {"kind": "simulated", "structure": structure}
    return Image(np.stack(planes), PIXEL_SIZE, name=f"simulated {structure}", provenance=provenance)


def train_any(out: Path, structures: list[str], steps: int) -> DiffusionModel:
    """Train on simulated fields of the structures, or go on with a training that was cut."""
    if finished(out):
        return DiffusionModel.load(out)
    config = TrainConfig(steps=steps, wide_fraction=0.5, log_sigma_mean=0.0, log_sigma_std=1.5, previews=0)
    images = {name: [fields(name)] for name in structures}
    return train(images, config, out, start=load_diffusion_model(FILAMENTS), name=NAME)


def main() -> None:
    """Train, and save in half precision; the model of all structures is that of the package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without", nargs="+", choices=list(STRUCTURES), default=[], help="structures to leave out")
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    structures = [name for name in STRUCTURES if name not in options.without]
    name = "-".join(["without", *options.without]) if options.without else "all"
    model = train_any(options.out / name, structures, options.steps)
    said = ATTRIBUTION.format(count=len(structures), steps=model.facts.steps)
    stated: dict[str, Any] = {"attribution": said, "not_for": NOT_FOR, "license": LICENSE, "citation": CITATION}
    facts = dataclasses.replace(model.facts, **stated)
    model = dataclasses.replace(model, facts=facts)
    model.save(options.out / f"{name}-model", bits=16)
    if not options.without:
        model.save(bundled_folder() / "diffusion" / NAME, bits=8)
    facts_of_run = {
        "steps": model.facts.steps,
        "seconds": seconds_of(options.out).get(name),
        "curve": model.facts.curve,
    }
    save(f"start_any_{name}", {"structures": structures, "fields": FIELDS, "size": SIZE, **facts_of_run})


if __name__ == "__main__":
    main()
