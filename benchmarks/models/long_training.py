"""Train a diffusion model for long, and follow what it gains, and whether it begins to copy.

    python -m benchmarks.models.long_training {microtubules,mitochondria} [--steps 12000] [--parts 6]

The training begins from `start-any`. A part of its patches has four times the usual side, so that the network sees
fields of 10 µm. After each part of the steps, the averaged weights are judged on the columns or rows that nothing was
trained on. That is the loss at several noise levels, for patches of 128 and of 256 pixels, with the same noise each
time. Beside it stand the same losses of the part that it sees. The realism score is of 200 generated patches, and 64 of
them are compared with the training image to find copies.

The training goes on where it stopped. What was judged is written at once, and not judged again.
"""

from __future__ import annotations

import argparse
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import CELLS, TESTED, entries, save_entry
from benchmarks.models.bundled_models import PARTS
from benchmarks.models.fine_tuning import held_out_loss
from napari_smdiffusion import DiffusionModel, TrainConfig, load_diffusion_model, run, train_steps
from napari_smdiffusion.base.events import Progress
from napari_smdiffusion.base.terminal import Reporter
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.copies import copy_report
from napari_smdiffusion.measure.realism import realism
from napari_smdiffusion.store.folder import STATE

if TYPE_CHECKING:
    from napari_smdiffusion import Image

START = "start-any"
NOISE = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0)
MOST = 24  # patches of a loss
COUNT, LOOKED_UP = 200, 64


def config_of(steps: int) -> TrainConfig:
    """Return the settings: more high noise and wider patches than a short training, as both decide about layout."""
    return TrainConfig(
        steps=steps, wide_fraction=0.35, widest_fraction=0.3, log_sigma_mean=-0.3, log_sigma_std=1.5, previews=0
    )


def trained(train: Image, steps: int, until: int, out: Path, name: str) -> float:
    """Train in the folder `out` until a step, going on with what is there; return the time in s."""
    reached = threading.Event()
    report = Reporter()

    def listen(event: Any) -> None:
        report(event)
        if isinstance(event, Progress) and event.step >= until:
            reached.set()

    begun = (out / STATE).exists()
    start = None if begun else load_diffusion_model(START)
    began = time.monotonic()
    work = train_steps([train], config_of(steps), start=start, out=out, resume=begun, name=name, stop=reached.is_set)
    run(work, listen)
    return time.monotonic() - began


def judged(model: DiffusionModel, structure: str) -> dict[str, Any]:
    """Return the losses on both parts of the image, the realism score, and the number of copies."""
    storm, train, _ = CELLS[structure]()
    held_out = storm.crop(*TESTED[structure])
    losses = {}
    for part, image in (("held out", held_out), ("seen", train)):
        for size, every in ((128, 4), (256, 1)):
            patches = grid_patches(list(image.pixels), size)[::every][:MOST]
            losses[f"{part} {size}"] = held_out_loss(model, patches, NOISE)
    made = model.generate(COUNT, size=128, seed=2).pixels
    looked_up = copy_report(made[:LOOKED_UP], list(train.pixels), grid_patches(list(held_out.pixels), 128)[:LOOKED_UP])
    score = realism(made, grid_patches(list(train.pixels), 128), storm.pixel_size)
    return {
        "loss": losses,
        "realism": {"score": score.score, "low": score.score_low, "high": score.score_high},
        "copies": {"looked_up": LOOKED_UP, "copies": looked_up.copies},
    }


def main() -> None:
    """Train and judge part by part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structure", choices=sorted(CELLS))
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--parts", type=int, default=6)
    parser.add_argument("--out", type=Path, help="folder of the training (build/long/STRUCTURE)")
    options = parser.parse_args()
    structure = options.structure
    out = options.out or Path("build") / "long" / structure
    train = CELLS[structure]()[1]
    train = replace(train, name=f"{structure}, STORM, {PARTS[structure]}")
    name = f"long_training_{structure}"
    for part in range(1, options.parts + 1):
        step = round(options.steps * part / options.parts)
        if f"{step}" in entries(name):
            continue
        seconds = trained(train, options.steps, step, out, structure)
        result = judged(DiffusionModel.load(out), structure)
        print(step, round(seconds), result, flush=True)
        save_entry(name, f"{step}", {"seconds": round(seconds, 1), "steps_in_all": options.steps, **result})


if __name__ == "__main__":
    main()
