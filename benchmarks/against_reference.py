"""Our diffusion model against the paper's own code: speed, memory, and realism after the same time.

    python benchmarks/against_reference.py [--only speed|theirs|ours]

Makes `build/reference` with improved_diffusion_for_SMLM 0.3.0 and an MPI from PyPI the first time; its network,
training loop and sampler run unchanged, with its own defaults (batch of 10, learning rate 1e-4, 1000 diffusion steps).
It draws an image in 1000 network evaluations; a few of them are timed.

`theirs` and `ours` train both on the microtubule columns 0 to 959, on patches of 128 pixels, for as many steps as
`speed` says that fit into 10 and 30 minutes, ours from scratch as well as from the bundled model of simulated
filaments, which was trained for two hours before. The checkpoints of the reference are imported, and drawn with 32
steps of DDIM, for 1000 would take hours. One seed. Run `speed` with nothing beside it; the others are counted in steps.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from common import RESULTS, ROOT, environment, microtubules, save
from napari_smdiffusion import DiffusionModel, TrainConfig, import_checkpoint, load_diffusion_model
from napari_smdiffusion.assess import grid_patches, realism
from napari_smdiffusion.diffusion_training import train_steps
from napari_smdiffusion.patches import draw_patches
from napari_smdiffusion.progress import run
from napari_smdiffusion.two_sample import two_sample_test

if TYPE_CHECKING:
    from pathlib import Path

WORK = ROOT / "build" / "against_reference"
SIZES = (64, 128, 256)
MINUTES = (10, 30)
JUDGED = 96  # patches
SPEED = """
import json, os, resource, sys, tempfile, time
os.environ["OPENAI_LOGDIR"] = tempfile.mkdtemp()
import torch
from improved_diffusion_for_SMLM.improved_diffusion import dist_util, logger
from improved_diffusion_for_SMLM.improved_diffusion.script_util import (
    create_model_and_diffusion, model_and_diffusion_defaults)
from improved_diffusion_for_SMLM.improved_diffusion.train_util import TrainLoop

size, what = int(sys.argv[1]), sys.argv[2]
dist_util.setup_dist()
logger.configure(format_strs=[])
respacing = {"timestep_respacing": "4"} if what == "generate" else {}
model, diffusion = create_model_and_diffusion(
    **{**model_and_diffusion_defaults(), "diffusion_steps": 1000, "image_size": size, **respacing})
seconds = []
if what == "train":
    def data():
        while True:
            yield torch.rand(10, 3, size, size) * 2 - 1, {}
    loop = TrainLoop(model=model, diffusion=diffusion, data=data(), batch_size=10, microbatch=-1, lr=1e-4,
                     ema_rate="0.9999", log_interval=500, save_interval=10**9, resume_checkpoint="")
    for _ in range(5):
        began = time.monotonic()
        loop.run_step(*next(loop.data))
        seconds.append((time.monotonic() - began) / 10)
else:
    model.eval()
    for _ in range(3):
        began = time.monotonic()
        with torch.no_grad():
            diffusion.p_sample_loop(model, (4, 3, size, size), clip_denoised=True)
        seconds.append((time.monotonic() - began) / 4 / 4 * 1000)
print(json.dumps({"seconds": min(seconds[1:]), "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                  "parameters": sum(p.numel() for p in model.parameters())}))
"""
OURS = """
import json, resource, sys, time
from napari_smdiffusion import TrainConfig, load_diffusion_model, simulate
from napari_smdiffusion.diffusion_training import train_steps

size, what = int(sys.argv[1]), sys.argv[2]
seconds = []
if what == "train":
    image, config = simulate("microtubules", size=1280, seed=0), TrainConfig(patch=size, steps=60, previews=0)
    marks = [time.monotonic() for _ in train_steps([image], config)]
    seconds = [(marks[-1] - marks[20]) / (len(marks) - 21) / config.batch]
else:
    model = load_diffusion_model("microtubules")
    for _ in range(3):
        began = time.monotonic()
        model.generate(16, size=size)
        seconds.append((time.monotonic() - began) / 16)
print(json.dumps({"seconds": min(seconds), "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""
TRAIN = """
import sys
from improved_diffusion_for_SMLM.scripts.image_train import main
main(model_name="trained", logdir=sys.argv[1], data_dir=sys.argv[2], image_size=128,
     num_steps=int(sys.argv[3]), save_interval=int(sys.argv[4]))
"""


def reference_python() -> Path:
    """Return the Python that has the reference, and make its environment the first time."""
    # torch first, the same as ours; mpich brings the MPI that mpi4py looks for.
    return environment(
        "reference",
        (f"torch=={version('torch').split('+')[0]}",),
        ("improved_diffusion_for_SMLM==0.3.0",),
        ("mpi4py", "mpich", "pillow", "scikit-image", "numpy"),
    )


def _run(python: Path | str, code: str, *arguments: object) -> dict[str, Any]:
    command = [str(python), "-W", "ignore", "-c", code, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return dict(json.loads(result.stdout.splitlines()[-1]))


def speed() -> None:
    """Time training steps and generated images of both, in a fresh process each."""
    result: dict[str, Any] = {}
    for size in SIZES:
        for what in ("train", "generate"):
            pair = {
                "reference": _run(reference_python(), SPEED, size, what),
                "ours": _run(sys.executable, OURS, size, what),
            }
            ratio = pair["reference"]["seconds"] / pair["ours"]["seconds"]
            result[f"{what}_{size}"] = {**pair, "ratio": round(ratio, 1)}
            print(size, what, result[f"{what}_{size}"], flush=True)
    save(
        "against_reference_speed", {"solver_steps": load_diffusion_model("microtubules").sampler.usual_steps, **result}
    )


def _steps(program: str, batch: int) -> dict[int, int]:
    """Return how many steps fit into each of the times, by what `speed` measured."""
    measured = json.loads((RESULTS / "against_reference_speed.json").read_text(encoding="utf-8"))
    seconds = measured["train_128"][program]["seconds"] * batch
    return {minutes: round(60 * minutes / seconds) for minutes in MINUTES}


def _judged(model: DiffusionModel, steps: int, network_evaluations: int | None = None) -> dict[str, Any]:
    """Compare patches of a model with experimental ones: of the columns it saw, and by the classifier of the image."""
    storm, train, _ = microtubules()
    made = model.generate(JUDGED, size=128, seed=1, steps=network_evaluations).pixels
    real = grid_patches(list(train.pixels), 128)
    drawn = draw_patches(list(storm.pixels), 128, JUDGED, np.random.default_rng(1))
    halves = [draw_patches([rows], 128, JUDGED, np.random.default_rng(2)) for rows in np.split(storm.pixels[0], 2)]
    tifffile.imwrite(WORK / f"{model.name}.tif", made)
    return {
        "steps": steps,
        "realism": realism(made, real, storm.pixel_size),
        "auc": two_sample_test(drawn, made).auc,
        "auc_two_halves": two_sample_test(*halves).auc,
        "evaluations": network_evaluations or model.sampler.usual_steps,
    }


def theirs() -> None:
    """Train the reference for the longest of the times, and judge its raw and averaged weights at each."""
    from PIL import Image as Picture

    data = WORK / "patches"
    data.mkdir(parents=True, exist_ok=True)
    train = microtubules()[1].pixels[0]
    # Overlapping by a quarter and flipped, as its notebook does; in full gray levels, which is better for it than the
    # JPEG stretched patch by patch that the notebook makes.
    for y in range(0, train.shape[0] - 127, 96):
        for x in range(0, train.shape[1] - 127, 96):
            for k, patch in enumerate((train[y : y + 128, x : x + 128], train[y : y + 128, x : x + 128][:, ::-1])):
                Picture.fromarray(patch.astype(np.uint8)).convert("RGB").save(data / f"{y}_{x}_{k}.png")
    steps = _steps("reference", 10)
    arguments = [WORK, data, max(steps.values()), min(steps.values())]
    if not list((WORK / "trained").glob(f"model{max(steps.values()):06d}.pt")):
        command = [str(reference_python()), "-W", "ignore", "-c", TRAIN, *map(str, arguments)]
        subprocess.run(command, check=True, env={**os.environ, "DIFFUSION_TRAINING_TEST": ""})
    result: dict[str, Any] = {}
    for minutes, count in steps.items():
        nearest = min(
            (WORK / "trained").glob("model*.pt"), key=lambda path, count=count: abs(int(path.stem[5:]) - count)
        )
        for kind in ("model", "ema_0.9999_"):
            model = import_checkpoint(nearest.with_name(f"{kind}{nearest.stem[5:]}.pt"))
            result[f"{kind.strip('_')}_{minutes}min"] = _judged(model, int(nearest.stem[5:]), 32)
    save("against_reference_theirs", result)


def ours() -> None:
    """Train our model for the same times, from scratch and from the model of simulated filaments, and judge it."""
    WORK.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {}
    for start in (None, "simulated-filaments"):
        for minutes, count in _steps("ours", TrainConfig().batch).items():
            config = TrainConfig(steps=count, previews=0)
            name = f"{'scratch' if start is None else 'pretrained'}_{minutes}min"
            begin = None if start is None else load_diffusion_model(start)
            model = run(train_steps([microtubules()[1]], config, start=begin, name=name))
            result[name] = _judged(model, count)
    save("against_reference_ours", result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("speed", "theirs", "ours"))
    options = parser.parse_args()
    for stage in (speed, theirs, ours):
        if options.only in (None, stage.__name__):
            stage()
