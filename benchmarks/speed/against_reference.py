"""Our diffusion model against the paper's own code: speed, memory, and realism after the same time.

    python -m benchmarks.speed.against_reference [--only speed|theirs|steps|ours|picture] [--sizes 64 128 256]
        [--minutes 10 30]

Makes `build/reference` with improved_diffusion_for_SMLM 0.3.0 and an MPI from PyPI the first time; its network,
training loop and sampler run unchanged, with its own defaults (batch of 10 in training and in drawing, learning rate
1e-4, 1000 diffusion steps). It draws an image in 1000 network evaluations; a few of them are timed. `speed` also times
the same network imported and drawn by our solver. All repeats are kept; the best counts.

`theirs` and `ours` train both on the microtubule columns 0 to 959, on patches of each size, for as many steps as
`speed` says that fit into 10 and 30 minutes; at 128 pixels and 10 minutes ours also from the bundled model of simulated
filaments, which was trained for an hour and three quarters more. Both are judged alike: of 256 pixels in quarters, for
there are no more than 15 experimental patches of that size. The raw weights of the reference are imported, and drawn by
our solver, for its own sampler would take hours; its averaged weights are left out: after 300 steps with 0.9999 they
are still 0.97 of the untrained network. `steps` draws what `theirs` trained longest at 64 pixels, where it comes
furthest, with 4 to 64 steps of the solver; `picture` shows what all of them generated. One training each; what was
judged is written at once and not done again. `--only theirs --sizes 64 --minutes 100` goes on with a training for
longer.
Run `speed` with nothing beside it; the others are counted in steps: about three hours and a half on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from benchmarks.common import (
    FILAMENTS,
    MEGABYTES,
    PICTURES,
    RESULTS,
    ROOT,
    apart,
    entries,
    environment,
    microtubules,
    save,
    save_entry,
)
from napari_smdiffusion import (
    DiffusionModel,
    ImportConfig,
    TrainConfig,
    import_checkpoint,
    load_diffusion_model,
    run,
    train_steps,
)
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.classifier import two_sample_test
from napari_smdiffusion.measure.realism import realism

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

WORK = ROOT / "build" / "against_reference"
SIZES = (64, 128, 256)
MINUTES = (10, 30)
JUDGED = {64: 400, 128: 400, 256: 48}  # patches of each size
JUDGED_SIZE = {64: 64, 128: 128, 256: 128}  # into which they are cut
DRAWS = range(3)  # how often others are drawn of the experimental image, and classifiers
STEPS, FEW = (4, 8, 12, 18, 20, 32, 64), 64  # steps of the solver, and patches that are drawn with each
STEPS_SIZE = 64
SHOWN = 1024  # pixels in a row of the picture, at most
REFERENCE, SCRATCH, PRETRAINED, HALVES = "reference", "scratch", "pretrained", "two halves"
TRAINED = "against_reference_trained"  # result that holds an entry for each training
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
from napari_smdiffusion import train_steps

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
size = int(sys.argv[3])
main(model_name=f"trained_{size}", logdir=sys.argv[1], data_dir=sys.argv[2], image_size=size,
     num_steps=int(sys.argv[4]), save_interval=int(sys.argv[5]), resume_checkpoint=sys.argv[6])
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


def speed(*_: Sequence[int]) -> None:
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


def _steps(program: str, size: int, minutes: Sequence[int]) -> dict[int, int]:
    """Return how many steps fit into each of the times, by what `speed` measured."""
    measured = json.loads((RESULTS / "against_reference_speed.json").read_text(encoding="utf-8"))
    batch = TrainConfig().batch if program == "ours" else 10
    seconds = measured[f"train_{size}"][program]["seconds"] * batch
    return {one: round(60 * one / seconds) for one in minutes}


def _name(who: str, size: int, minutes: int) -> str:
    return f"{who}, {size} px, {minutes} min"


def _images(who: str, size: int, minutes: int) -> Path:
    """Return where the images of a model are kept that was trained so long."""
    return WORK / f"{who}_{size}px_{minutes}min.tif"


def _judge(model: DiffusionModel, who: str, size: int, minutes: int, steps: int) -> None:
    """Compare patches of a model with those of the columns it saw, as the halves of these are compared."""
    train, side = microtubules()[1], JUDGED_SIZE[size]
    # What comes of the imported network are fractions of gray levels, by which it could be known.
    made = np.round(model.generate(JUDGED[size], size=size, seed=1).pixels)
    tifffile.imwrite(_images(who, size, minutes), made)
    parts = grid_patches(list(made), side)
    found = {
        "realism": asdict(realism(parts, grid_patches(list(train.pixels), side), train.pixel_size)),
        "auc": [two_sample_test(apart(train, side, len(parts), draw), parts, seed=10 * draw).auc for draw in DRAWS],
    }
    setting = {"who": who, "size": size, "minutes": minutes, "steps": steps, "patches": JUDGED[size]}
    save_entry(TRAINED, _name(who, size, minutes), {**setting, "evaluations": model.sampler.usual_steps, **found})


def _judge_halves(size: int) -> None:
    """Tell the upper from the lower half of the columns that were trained on, as the models are told from them."""
    key, side = f"{HALVES}, {size} px", JUDGED_SIZE[size]
    if key in entries(TRAINED):
        return
    train, count = microtubules()[1], JUDGED[size] * (size // side) ** 2
    rows = train.size[0] // 2
    halves = [train.crop(part, slice(None)) for part in (slice(0, rows), slice(rows, None))]
    auc = [
        two_sample_test(*(apart(half, side, count, 100 * k + draw) for k, half in enumerate(halves)), seed=10 * draw)
        for draw in DRAWS
    ]
    save_entry(TRAINED, key, {"who": HALVES, "size": size, "patches": count, "auc": [one.auc for one in auc]})


def _top(train: Pixels) -> float:
    return float(np.percentile(train, STRETCHED))


def _write_patches(train: Pixels, data: Path, size: int) -> None:
    """Write patches as the reference takes them: overlapping by a quarter and flipped, as its notebook does.

    The notebook stretches the contrast of each patch, which cannot be undone. Here all are stretched alike, so that one
    pixel in a thousand is above 255, or the network would see little of its range [-1, 1].
    """
    from PIL import Image as Picture

    data.mkdir(parents=True, exist_ok=True)
    stretched = np.round(np.clip(train / _top(train), 0, 1) * 255).astype(np.uint8)
    for y in range(0, train.shape[0] - size + 1, 3 * size // 4):
        for x in range(0, train.shape[1] - size + 1, 3 * size // 4):
            patch = stretched[y : y + size, x : x + size]
            for k, one in enumerate((patch, patch[:, ::-1])):
                Picture.fromarray(one).convert("RGB").save(data / f"{y}_{x}_{k}.png")


def _checkpoint(size: int, count: int) -> Path:
    return WORK / f"trained_{size}" / f"model{count:06d}.pt"


def _saved(size: int) -> list[int]:
    """Return after how many steps the reference saved its network."""
    return [int(path.stem[5:]) for path in _checkpoint(size, 0).parent.glob("model*.pt")]


def _trained(size: int, wanted: int) -> tuple[DiffusionModel, int]:
    """Return the network that was saved nearest to so many steps, in the units of the image, and after how many."""
    nearest = min(_saved(size), key=lambda count: abs(count - wanted))
    config = ImportConfig(image_size=size, intensity_range=(0.0, _top(microtubules()[1].pixels[0])))
    return import_checkpoint(_checkpoint(size, nearest), config), nearest


def theirs(sizes: Sequence[int], minutes: Sequence[int]) -> None:
    """Train the reference for the longest of the times, and judge its raw weights at each.

    A training that was cut goes on where it saved last.
    """
    for size in sizes:
        data, steps = WORK / f"patches_{size}", _steps(REFERENCE, size, minutes)
        _write_patches(microtubules()[1].pixels[0], data, size)
        done, most = max(_saved(size), default=0), max(steps.values())
        if done < most:
            every = _steps(REFERENCE, size, MINUTES)[min(MINUTES)]
            told = [WORK, data, size, most - done, every, _checkpoint(size, done) if done else ""]
            command = [str(part) for part in (reference_python(), "-W", "ignore", "-c", TRAIN, *told)]
            subprocess.run(command, check=True, env={**os.environ, "DIFFUSION_TRAINING_TEST": ""})
        _judge_halves(size)
        for one in minutes:
            if _name(REFERENCE, size, one) not in entries(TRAINED):
                model, count = _trained(size, steps[one])
                _judge(model, REFERENCE, size, one, count)


def steps(*_: Sequence[int]) -> None:
    """Draw the same patches of the longest trained network with each number of steps, and judge them."""
    model, count = _trained(STEPS_SIZE, max(_saved(STEPS_SIZE)))
    train = microtubules()[1]
    real = grid_patches(list(train.pixels), STEPS_SIZE)
    best, found = None, {}
    for number in reversed(STEPS):
        made = model.generate(FEW, size=STEPS_SIZE, seed=2, steps=number).pixels
        best = made if best is None else best
        found[str(number)] = {
            "realism": asdict(realism(np.round(made), real, train.pixel_size)),
            "difference": float(np.sqrt(np.mean((made - best) ** 2)) / best.std()),
        }
        print(number, found[str(number)], flush=True)
    save("against_reference_steps", {"size": STEPS_SIZE, "patches": FEW, "steps": count, "curve": found})


def ours(sizes: Sequence[int], minutes: Sequence[int]) -> None:
    """Train our model for the same times, and judge it."""
    WORK.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        _judge_halves(size)
        asked = [(SCRATCH, one) for one in minutes]
        for who, one in [*asked, (PRETRAINED, min(MINUTES))] if size == 128 else asked:
            if _name(who, size, one) in entries(TRAINED):
                continue
            config = TrainConfig(patch=size, steps=_steps("ours", size, [one])[one], previews=0)
            begin = load_diffusion_model(FILAMENTS) if who == PRETRAINED else None
            model = run(train_steps([microtubules()[1]], config, start=begin))
            _judge(model, who, size, one, model.facts.steps)


def picture(sizes: Sequence[int], minutes: Sequence[int]) -> None:
    """Show the first generated patches of all that was judged, beside those of the experiment, at one contrast."""
    from napari_smdiffusion.report.pictures import contact_sheet, contrast, new_figure, save_figure, show

    train = microtubules()[1]
    for size in sizes:
        count = min(8, SHOWN // size)
        rows = {"experimental": apart(train, size, count, 0)}
        for who in (REFERENCE, SCRATCH, PRETRAINED):
            told = f"{who}, imported" if who == REFERENCE else f"ours, {who}"
            for one in minutes:
                if (path := _images(who, size, one)).exists():
                    rows[f"{told}, {one} minutes"] = tifffile.imread(path)[:count].astype(np.float32)
        limits = contrast([rows["experimental"]])
        figure = new_figure(9, (9 / count + 0.3) * len(rows))
        for axes, (title, patches) in zip(figure.subplots(len(rows), 1), rows.items(), strict=True):
            show(axes, contact_sheet(patches, count, fill=limits[1]), limits, title, train.pixel_size, size)
        save_figure(figure, PICTURES / f"against_reference_{size}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("speed", "theirs", "steps", "ours", "picture"))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, choices=SIZES)
    parser.add_argument("--minutes", type=int, nargs="+", default=MINUTES)
    options = parser.parse_args()
    for stage in (speed, theirs, steps, ours, picture):
        if options.only in (None, stage.__name__):
            stage(options.sizes, options.minutes)
