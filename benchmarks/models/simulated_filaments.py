"""Train the model of simulated filaments that ships with the package, to start other trainings from.

    python -m benchmarks.models.simulated_filaments --out build/simulated-filaments

First on crowded fields, then on sparse ones, in which the course of each filament is plain, with more of the noise that
hides it; and last on fields of filaments without the gaps that the mathematical model has and STORM images have not. It
never sees an experimental image: what it brings to a training on a few of them is the course of filaments (long,
smooth, crossing), which takes far longer to learn than their texture. Steps are counted, not minutes, so that it is the
same model on a slow machine. Called again, it goes on where it was cut.

With `--cells`, filaments have the organisation of a cell in the last two of four stages. The third, in place of the
last above, looks at 512 pixels and at high noise, where it is decided in which direction filaments run. The fourth
looks at 256 pixels, and at all noise levels again. That model is written to the folder `cells-model` of `--out`, and
does not replace the bundled one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.common import FILAMENTS, save
from napari_smdiffusion import DiffusionModel, Image, TrainConfig, run, simulate, train_steps
from napari_smdiffusion.base.stopping import stop_on_interrupt
from napari_smdiffusion.base.terminal import Reporter
from napari_smdiffusion.store.folder import STATE

FIELDS, SIZE, PIXEL_SIZE = 32, 1024, 20.0
TIMES = "seconds.json"
CROWDED_STEPS, SPARSE_STEPS, CONTINUOUS_STEPS = 12_000, 10_000, 7_000
CELL_STEPS, CELL_FINE_STEPS = 8_000, 7_000
ATTRIBUTION = """
Simulated microtubules alone, one or two of `smdiffusion simulate microtubules` in a field, but labelled without gaps,
blurred, and with what is dim cut off (`benchmarks/models/simulated_filaments.py`): no experimental image was ever
trained on. It is meant to start other trainings from (`smdiffusion train --start simulated-filaments`), not to
generate images with.
It was trained in three stages of 12 000, 10 000 and 7 000 steps, each from the one before: 105 minutes at 276 steps a
minute, which two cores do. Settings and curve are of the last.
"""

CELLS_ATTRIBUTION = """
Simulated microtubules alone: independent ones first, then those of a cell, with an organising centre, a nucleus,
borders and bundles (`benchmarks/models/simulated_filaments.py --cells`). No experimental image was ever trained on. It
is meant to start other trainings from, not to generate images with.
It was trained in four stages of 12 000, 10 000, 8 000 and 7 000 steps, each from the one before. The third saw patches
of 512 pixels at high noise. Settings and curve are of the last.
"""


@dataclass(frozen=True)
class Look:
    """What simulated fields look like; each pair is a range that every field draws from."""

    together: tuple[int, int]  # simulated images in one field
    brightness: tuple[float, float]  # of each of them
    blur: tuple[float, float]  # pixels
    cut: tuple[float, float] | None  # standard deviations of the field: what is dimmer is left out
    labelling: float = 0.5
    organisation: str = "random"


CROWDED = Look((1, 4), (0.4, 1.0), (0.4, 1.3), None)
# As crowded as a cell's rim, on a dark background: dim localizations beside the filaments are cut off.
SPARSE = Look((1, 2), (0.4, 1.0), (0.6, 1.4), (0.1, 0.6))
# Without gaps, each filament of its own brightness, as STORM images show them.
CONTINUOUS = Look((1, 2), (0.15, 1.0), (0.7, 1.3), (0.05, 0.3), labelling=3.0)
# Whole cells. Two layers of them would lose the organisation.
CELLS = Look((1, 1), (1.0, 1.0), (0.5, 1.3), (0.05, 0.3), organisation="cell")


def fields(look: Look, count: int, size: int, first_seed: int, rng: np.random.Generator) -> Image:
    """Return simulated fields of filaments, each of standard deviation 1."""
    planes = []
    for k in range(count):
        together = int(rng.integers(look.together[0], look.together[1] + 1))
        seed = first_seed + 10 * k
        layers = simulate(
            "microtubules", together, size, PIXEL_SIZE, seed, look.labelling, organisation=look.organisation
        ).pixels
        plane = np.tensordot(rng.uniform(*look.brightness, together), layers, axes=1)
        plane = gaussian_filter(plane, rng.uniform(*look.blur))
        if look.cut is not None:
            plane = np.maximum(plane - rng.uniform(*look.cut) * plane.std(), 0)
        planes.append(plane / plane.std())
    return Image(np.stack(planes), PIXEL_SIZE, name="simulated filaments", provenance={"kind": "simulated"})


def crowded_fields() -> Image:
    """Return the fields of the first stage."""
    return fields(CROWDED, FIELDS, SIZE, 1000, np.random.default_rng(0))


def sparse_fields() -> Image:
    """Return the fields of the second stage."""
    return fields(SPARSE, 2 * FIELDS, SIZE, 5000, np.random.default_rng(1))


def continuous_fields(count: int = 2 * FIELDS, size: int = SIZE, seed: int = 0) -> Image:
    """Return the fields of the last stage, or others like them."""
    rng = np.random.default_rng([2, seed] if seed else 2)
    return fields(CONTINUOUS, count, size, 100_000 * seed + 9000, rng)


def cell_fields(count: int = 2 * FIELDS, size: int = SIZE) -> Image:
    """Return the fields of the stages with the organisation of a cell."""
    return fields(CELLS, count, size, 50_000, np.random.default_rng(3))


def finished(folder: Path) -> bool:
    """Tell whether the training in `folder` came to its end."""
    if not (folder / "model.json").exists():
        return False
    facts = DiffusionModel.load(folder).facts
    return bool(facts.steps == facts.total_steps)


def train(
    images: Image | dict[str, list[Image]],
    config: TrainConfig,
    out: Path,
    start: DiffusionModel | None = None,
    name: str = "simulated-filaments",
) -> DiffusionModel:
    """Train, or go on with a training that was cut; write down how long it took, all calls together.

    With the images of several structures by their names, it is a conditional model.
    """
    cut = (out / STATE).exists()
    began = time.monotonic()
    with stop_on_interrupt() as stop:
        steps = train_steps(
            [images] if isinstance(images, Image) else images,
            config,
            start=start,
            out=out,
            name=name,
            resume=cut,
            stop=stop,
        )
        model = run(steps, Reporter(60))
    times = seconds_of(out.parent)
    times[out.name] = round(times.get(out.name, 0.0) + time.monotonic() - began, 1)
    (out.parent / TIMES).write_text(json.dumps(times, indent=1) + "\n", encoding="utf-8")
    return model


def seconds_of(folder: Path) -> dict[str, float]:
    """Return how long each stage took in `folder`, but for what a call took that was killed."""
    path = folder / TIMES
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def large_config(steps: int = CELL_STEPS) -> TrainConfig:
    """Return the settings of the stage on large patches: mostly one of 512² in a step, at noise that hides texture.

    A step costs what sixteen patches of 128² do. The median noise is σ = e^1.0, and e^0.2 in the stage after it.
    """
    return TrainConfig(
        steps=steps, patch=256, batch=4, wide_fraction=0.75, log_sigma_mean=1.0, log_sigma_std=1.2, previews=0
    )


def train_cells(out: Path, start: DiffusionModel) -> None:
    """Train the two stages with the organisation of a cell, save the model, and write how long all stages took."""
    images, large = cell_fields(), out / "cells"
    if not finished(large):
        train(images, large_config(), large, start=start)
    config = TrainConfig(steps=CELL_FINE_STEPS, wide_fraction=0.9, log_sigma_mean=0.2, log_sigma_std=1.4, previews=0)
    model = train(images, config, out / "cells-fine", start=DiffusionModel.load(large))
    model = dataclasses.replace(model, facts=dataclasses.replace(model.facts, attribution=CELLS_ATTRIBUTION))
    model.save(out / "cells-model", bits=16)
    facts = {"seconds": seconds_of(out), "steps": model.facts.steps, "curve": model.facts.curve}
    save("simulated_filaments_cells", {"fields": 2 * FIELDS, "size": SIZE, "seed": 3, **facts})


def main() -> None:
    """Train, save in half precision, and write the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cells", action="store_true", help="the last stages with the organisation of a cell")
    options = parser.parse_args()
    # Most steps look at 256 pixels: it is the course of filaments that is to be learned.
    crowded = options.out / "crowded"
    if not finished(crowded):
        train(crowded_fields(), TrainConfig(steps=CROWDED_STEPS, wide_fraction=0.75, previews=0), crowded)
    sparse = options.out / "sparse"
    if not finished(sparse):
        config = TrainConfig(steps=SPARSE_STEPS, wide_fraction=0.9, log_sigma_mean=0.3, log_sigma_std=1.5, previews=0)
        train(sparse_fields(), config, sparse, start=DiffusionModel.load(crowded))
    if options.cells:
        train_cells(options.out, DiffusionModel.load(sparse))
        return
    config = TrainConfig(steps=CONTINUOUS_STEPS, wide_fraction=0.9, log_sigma_mean=0.2, log_sigma_std=1.4, previews=0)
    model = train(continuous_fields(), config, options.out / "continuous", start=DiffusionModel.load(sparse))
    model = dataclasses.replace(model, facts=dataclasses.replace(model.facts, attribution=ATTRIBUTION))
    model.save(FILAMENTS, bits=16)
    facts = {"seconds": seconds_of(options.out), "steps": model.facts.steps, "curve": model.facts.curve}
    save("simulated_filaments", {"fields": 2 * FIELDS, "size": SIZE, "seed": 0, **facts})


if __name__ == "__main__":
    main()
