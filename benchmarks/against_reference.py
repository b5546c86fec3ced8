"""Our diffusion model against the paper's own code: speed, memory, and realism after the same time.

    python benchmarks/against_reference.py [--only speed|theirs|steps|ours|picture]

Makes `build/reference` with improved_diffusion_for_SMLM 0.3.0 and an MPI from PyPI the first time; its network,
training loop and sampler run unchanged, with its own defaults (batch of 10 in training and in drawing, learning rate
1e-4, 1000 diffusion steps). It draws an image in 1000 network evaluations; a few of them are timed. `speed` also times
the same network imported and drawn by our solver. All repeats are kept; the best counts.

`theirs` and `ours` train both on the microtubule columns 0 to 959, on patches of 128 pixels alone (at 256 the reference
would see no more than 60 batches in half an hour), for as many steps as `speed` says that fit into 10 and 30 minutes,
ours from scratch as well as from the bundled model of simulated filaments, which was trained for about two hours more.
Both are judged alike. The raw weights of the reference are imported, and drawn by our solver, for its own sampler would
take hours; its averaged weights are left out: after 300 steps with 0.9999 they are still 0.97 of the untrained network.
`steps` draws what `theirs` trained with 4 to 64 steps of the solver; `picture` shows what all of them generated. One
training each. Run `speed` with nothing beside
it; the others are counted in steps.
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

from common import MEGABYTES, PICTURES, RESULTS, ROOT, apart, environment, microtubules, save
from napari_smdiffusion import DiffusionModel, ImportConfig, TrainConfig, import_checkpoint, load_diffusion_model
from napari_smdiffusion.assess import grid_patches, realism
from napari_smdiffusion.diffusion_training import train_steps
from napari_smdiffusion.progress import run
from napari_smdiffusion.two_sample import two_sample_test

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

WORK = ROOT / "build" / "against_reference"
SIZES = (64, 128, 256)
MINUTES = (10, 30)
JUDGED, DRAWS = 400, range(3)  # patches, and how often others are drawn of the experimental image, and classifiers
STEPS, FEW = (4, 8, 12, 20, 32, 64), 64  # steps of the solver, and patches that are drawn with each
SHOWN = 8  # patches of each
SHOWN_MODELS = [
    f"{who}_{minutes}min" for who in ("reference", "scratch", "pretrained") for minutes in MINUTES
]  # as `_judged` names their images
STRETCHED = 99.9  # percentile of the training part that becomes 255
SPEED = (
    MEGABYTES
    + """
import json, os, sys, tempfile, time
os.environ["OPENAI_LOGDIR"] = tempfile.mkdtemp()
import torch
from improved_diffusion_for_SMLM.improved_diffusion import dist_util, logger
from improved_diffusion_for_SMLM.improved_diffusion.script_util import (
    create_model_and_diffusion, model_and_diffusion_defaults)
from improved_diffusion_for_SMLM.improved_diffusion.train_util import TrainLoop

size, what, kept = int(sys.argv[1]), sys.argv[2], sys.argv[3]
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
    torch.save(model.state_dict(), kept)
    for _ in range(3):
        began = time.monotonic()
        with torch.no_grad():
            diffusion.p_sample_loop(model, (10, 3, size, size), clip_denoised=True)
        seconds.append((time.monotonic() - began) / 10 / 4 * 1000)
print(json.dumps({"seconds": min(seconds[1:]), "all": seconds[1:], "megabytes": megabytes(),
                  "threads": torch.get_num_threads(), "parameters": sum(p.numel() for p in model.parameters())}))
"""
)
IMPORTED = (
    MEGABYTES
    + """
import json, sys, time
import torch
from napari_smdiffusion import ImportConfig, import_checkpoint

size, kept = int(sys.argv[1]), sys.argv[2]
model = import_checkpoint(kept, ImportConfig(image_size=size))
seconds = []
for _ in range(2):
    began = time.monotonic()
    # The first of a run is drawn alone.
    model.generate(10, size=size)
    seconds.append((time.monotonic() - began) / 10)
print(json.dumps({"seconds": min(seconds), "all": seconds, "megabytes": megabytes(),
                  "threads": torch.get_num_threads(), "evaluations": model.sampler.usual_steps}))
"""
)
OURS = (
    MEGABYTES
    + """
import json, sys, time
import torch
from napari_smdiffusion import TrainConfig, load_diffusion_model, simulate
from napari_smdiffusion.diffusion_training import train_steps

size, what = int(sys.argv[1]), sys.argv[2]
seconds = []
if what == "train":
    image, config = simulate("microtubules", size=1280, seed=0), TrainConfig(patch=size, steps=60, previews=0)
    marks = [time.monotonic() for _ in train_steps([image], config)][20:]
    seconds = [(marks[k + 10] - marks[k]) / 10 / config.batch for k in range(0, len(marks) - 10, 10)]
else:
    model = load_diffusion_model("microtubules")
    for _ in range(3):
        began = time.monotonic()
        model.generate(16, size=size)
        seconds.append((time.monotonic() - began) / 16)
# Training goes on without a pause: the median of ten steps each is what it takes.
took = sorted(seconds)[len(seconds) // 2] if what == "train" else min(seconds)
print(json.dumps({"seconds": took, "all": seconds, "megabytes": megabytes(), "threads": torch.get_num_threads()}))
"""
)
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
    """Time training steps and generated images of both, in a fresh process each, and of the imported network."""
    WORK.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"solver_steps": load_diffusion_model("microtubules").sampler.usual_steps}
    for size in SIZES:
        for what in ("train", "generate"):
            kept = WORK / f"untrained_{size}.pt"
            found = {
                "reference": _run(reference_python(), SPEED, size, what, kept),
                "ours": _run(sys.executable, OURS, size, what),
            }
            if what == "generate":
                found["imported"] = _run(sys.executable, IMPORTED, size, kept)
            took = {name: one["seconds"] for name, one in found.items()}
            result[f"{what}_{size}"] = {
                **found,
                "ratio": round(took["reference"] / took["ours"], 1),
                "ratio_imported": round(took["reference"] / took["imported"], 1) if "imported" in took else None,
            }
            print(size, what, result[f"{what}_{size}"], flush=True)
    save("against_reference_speed", result)


def _steps(program: str, batch: int) -> dict[int, int]:
    """Return how many steps fit into each of the times, by what `speed` measured."""
    measured = json.loads((RESULTS / "against_reference_speed.json").read_text(encoding="utf-8"))
    seconds = measured["train_128"][program]["seconds"] * batch
    return {minutes: round(60 * minutes / seconds) for minutes in MINUTES}


def _judged(model: DiffusionModel, steps: int) -> dict[str, Any]:
    """Compare patches of a model with those of the columns it saw, as the halves of these are compared."""
    train = microtubules()[1]
    # What comes of the imported network are fractions of gray levels, by which it could be known.
    made = np.round(model.generate(JUDGED, size=128, seed=1).pixels)
    tifffile.imwrite(WORK / f"{model.name}.tif", made)
    return {
        "steps": steps,
        "evaluations": model.sampler.usual_steps,
        "realism": realism(made, grid_patches(list(train.pixels), 128), train.pixel_size),
        "auc": [two_sample_test(apart(train, 128, JUDGED, draw), made, seed=10 * draw).auc for draw in DRAWS],
    }


def _floor() -> list[float]:
    """Return the AUC of the upper against the lower half of the columns that were trained on."""
    train = microtubules()[1]
    rows = train.size[0] // 2
    halves = [train.crop(part, slice(None)) for part in (slice(0, rows), slice(rows, None))]
    return [
        two_sample_test(
            *(apart(half, 128, JUDGED, 100 * k + draw) for k, half in enumerate(halves)), seed=10 * draw
        ).auc
        for draw in DRAWS
    ]


def _top(train: Pixels) -> float:
    return float(np.percentile(train, STRETCHED))


def _write_patches(train: Pixels, data: Path) -> None:
    """Write patches as the reference takes them: overlapping by a quarter and flipped, as its notebook does.

    The notebook stretches the contrast of each patch, which cannot be undone. Here all are stretched alike, so that one
    pixel in a thousand is above 255, or the network would see little of its range [-1, 1].
    """
    from PIL import Image as Picture

    data.mkdir(parents=True, exist_ok=True)
    stretched = np.round(np.clip(train / _top(train), 0, 1) * 255).astype(np.uint8)
    for y in range(0, train.shape[0] - 127, 96):
        for x in range(0, train.shape[1] - 127, 96):
            patch = stretched[y : y + 128, x : x + 128]
            for k, one in enumerate((patch, patch[:, ::-1])):
                Picture.fromarray(one).convert("RGB").save(data / f"{y}_{x}_{k}.png")


def _trained(minutes: int) -> tuple[DiffusionModel, int]:
    """Return the network that the reference trained for so long, in the units of the image, and its steps."""
    wanted = _steps("reference", 10)[minutes]
    counts = [int(path.stem[5:]) for path in (WORK / "trained").glob("model*.pt")]
    nearest = min(counts, key=lambda count: abs(count - wanted))
    config = ImportConfig(image_size=128, intensity_range=(0.0, _top(microtubules()[1].pixels[0])))
    path = WORK / "trained" / f"model{nearest:06d}.pt"
    return import_checkpoint(path, config, name=f"reference_{minutes}min"), nearest


def theirs() -> None:
    """Train the reference for the longest of the times, and judge its raw weights at each."""
    data, steps = WORK / "patches", _steps("reference", 10)
    _write_patches(microtubules()[1].pixels[0], data)
    if not list((WORK / "trained").glob(f"model{max(steps.values()):06d}.pt")):
        command = [
            reference_python(),
            "-W",
            "ignore",
            "-c",
            TRAIN,
            WORK,
            data,
            max(steps.values()),
            min(steps.values()),
        ]
        environ = {**os.environ, "DIFFUSION_TRAINING_TEST": ""}
        subprocess.run([str(part) for part in command], check=True, env=environ)
    found = {f"reference_{minutes}min": _judged(*_trained(minutes)) for minutes in MINUTES}
    save("against_reference_theirs", {"patches": JUDGED, "two_halves": _floor(), "models": found})


def steps() -> None:
    """Draw the same patches of the longest trained network with each number of steps, and judge them."""
    model, count = _trained(max(MINUTES))
    train = microtubules()[1]
    real = grid_patches(list(train.pixels), 128)
    best, found = None, {}
    for number in reversed(STEPS):
        made = model.generate(FEW, size=128, seed=2, steps=number).pixels
        best = made if best is None else best
        found[str(number)] = {
            "realism": realism(np.round(made), real, train.pixel_size),
            "difference": float(np.sqrt(np.mean((made - best) ** 2)) / best.std()),
        }
        print(number, found[str(number)], flush=True)
    save("against_reference_steps", {"patches": FEW, "steps": count, "curve": found})


def ours() -> None:
    """Train our model for the same times, from scratch and from the model of simulated filaments, and judge it.

    Each training is written down when it is judged, and not done again.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "against_reference_ours.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    result = {"patches": JUDGED, "two_halves": result.get("two_halves") or _floor(), "models": result.get("models", {})}
    for minutes, count in _steps("ours", TrainConfig().batch).items():
        for kind, start in (("scratch", None), ("pretrained", "simulated-filaments")):
            name = f"{kind}_{minutes}min"
            if result["models"].get(name, {}).get("steps") == count:
                continue
            config = TrainConfig(steps=count, previews=0)
            begin = None if start is None else load_diffusion_model(start)
            model = run(train_steps([microtubules()[1]], config, start=begin, name=name))
            result["models"][name] = _judged(model, count)
            save("against_reference_ours", result)


def picture() -> None:
    """Show the first generated patches of all that was judged, beside those of the experiment, at one contrast."""
    from napari_smdiffusion.pictures import contact_sheet, contrast, new_figure, save_figure, show

    train = microtubules()[1]
    rows = {"experimental": apart(train, 128, SHOWN, 0)}
    for name in SHOWN_MODELS:
        path = WORK / f"{name}.tif"
        if path.exists():
            who, minutes = name.split("_")
            told = "reference, imported" if who == "reference" else f"ours, {who}"
            rows[f"{told}, {minutes.removesuffix('min')} minutes"] = tifffile.imread(path)[:SHOWN].astype(np.float32)
    limits = contrast([rows["experimental"]])
    figure = new_figure(9, 1.4 * len(rows))
    for axes, (title, patches) in zip(figure.subplots(len(rows), 1), rows.items(), strict=True):
        show(axes, contact_sheet(patches, SHOWN, fill=limits[1]), limits, title, train.pixel_size)
    save_figure(figure, PICTURES / "against_reference.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("speed", "theirs", "steps", "ours", "picture"))
    options = parser.parse_args()
    for stage in (speed, theirs, steps, ours, picture):
        if options.only in (None, stage.__name__):
            stage()
