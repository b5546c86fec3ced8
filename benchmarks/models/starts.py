"""Compare what trainings on few images begin from: nothing, `simulated-filaments`, and `start-any`.

    python -m benchmarks.models.starts [--minutes 2 10] [--windows 1 4] [--seeds 5]
        [--structures microtubules mitochondria endoplasmic-reticulum]

The images are one or four windows of 256² of the training part of a real STORM image, or of simulated endoplasmic
reticulum. For the latter, `start-any` is a training that never saw endoplasmic reticulum
(`benchmarks.models.start_any --without endoplasmic-reticulum`). All networks have the same shape, and the steps are
those that two cores do in these minutes, so equal steps are equal times. The loss on images that nothing was trained on
is measured at five noise levels, with the same noise for all. The realism score compares 400 generated patches with the
whole STORM image, or with other simulated fields.

What was measured is written at once and not measured again.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import CELLS, FILAMENTS, ROOT, TESTED, entries, save_entry
from benchmarks.models import start_any
from benchmarks.models.fine_tuning import COUNT, SIZE, STEPS_A_MINUTE, few_of, held_out_loss
from napari_smdiffusion import DiffusionModel, TrainConfig, load_diffusion_model, run, train_steps
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.realism import realism

if TYPE_CHECKING:
    from napari_smdiffusion import Image

NAME, SIDE = "starts", 256
NOISE = (0.05, 0.2, 0.5, 2.0, 5.0)
UNSEEN = "endoplasmic-reticulum"
NOTHING, ANY = "nothing", start_any.NAME
STARTS = (NOTHING, FILAMENTS.name, ANY)
WITHOUT = ROOT / "build" / "start-any" / f"without-{UNSEEN}-model"


def images_of(structure: str) -> tuple[Image, Image, Image]:
    """Return the images to train on, those of the held-out loss, and those that generated patches are compared with."""
    if structure == UNSEEN:
        train, held_out = (start_any.fields(UNSEEN, 16, 512, seed) for seed in (101, 102))
        return train, held_out, held_out
    storm, train, _ = CELLS[structure]()
    return train, storm.crop(*TESTED[structure]), storm


def begun(start: str, structure: str, without: Path) -> DiffusionModel | None:
    """Return the model that a training begins from."""
    if start == NOTHING:
        return None
    if start == FILAMENTS.name:
        return load_diffusion_model(FILAMENTS)
    return DiffusionModel.load(without) if structure == UNSEEN else load_diffusion_model(start)


def measured(structure: str, start: str, windows: int, minutes: float, seed: int, without: Path) -> dict[str, Any]:
    """Train on so many windows, and judge."""
    train, held_out, known = images_of(structure)
    config = TrainConfig(steps=round(minutes * STEPS_A_MINUTE), seed=seed, previews=0)
    model = run(
        train_steps([few_of(train, windows, seed, SIDE)], config, start=begun(start, structure, without)),
    )
    made = model.generate(COUNT, size=SIZE, seed=seed).pixels
    result = realism(made, grid_patches(list(known.pixels), SIZE), known.pixel_size, seed)
    return {
        "loss": held_out_loss(model, grid_patches(list(held_out.pixels), SIZE)[::2], NOISE),
        "realism": result.score,
        "realism_low": result.score_low,
        "realism_high": result.score_high,
    }


def main() -> None:
    """Measure what is missing: all settings with one seed, then with the next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2.0, 10.0])
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--structures", nargs="+", choices=(*CELLS, UNSEEN), default=[*CELLS, UNSEEN])
    parser.add_argument("--without", type=Path, default=WITHOUT, help=f"the start that never saw {UNSEEN}")
    options = parser.parse_args()
    for seed, minutes, windows, structure, start in product(
        range(options.seeds), options.minutes, options.windows, options.structures, STARTS
    ):
        setting = {"structure": structure, "start": start, "windows": windows, "minutes": minutes, "seed": seed}
        key = f"{structure}, {windows} windows of {SIDE}², {minutes:g} minutes from {start}, seed {seed}"
        if key not in entries(NAME):
            save_entry(NAME, key, {**setting, **measured(structure, start, windows, minutes, seed, options.without)})


if __name__ == "__main__":
    main()
