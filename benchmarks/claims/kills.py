"""Kill commands at random moments, and look at what is left: nothing half, nothing lost, nothing hidden.

    python -m benchmarks.claims.kills [number of kills, default 75] [seed, default 0]

Each command runs in a forked child with everything imported, and gets SIGKILL after a random time. Its output must be
whole or absent, the former output must be kept until then, and the same command with --resume must complete it to the
pixels or weights of an uninterrupted run. Nothing hidden may be left then. Checkpoints and marks are written at every
step here, so that kills fall into saving. Linux and macOS only.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from napari_smdiffusion import DiffusionModel, Enhancer, EnhancerConfig, Image, read_image, simulate, write_image
from napari_smdiffusion.cli import main
from napari_smdiffusion.images import unfinished
from napari_smdiffusion.recipes.job import run_job
from napari_smdiffusion.recipes.train_enhancer import TrainEnhancerJob
from napari_smdiffusion.training import loop

_TRAIN = "--steps 12 --patch 64 --batch 1 --channels 16 32 --start none"
COMMANDS = {
    "train": f"train {{0}}/storm.tif --out {{0}}/out/m {_TRAIN}",
    "train-enhancer": "train-enhancer {0}/storm.tif --out {0}/out/e --upscale 4 --steps 12 --batch 1 --channels 8",
    "generate": "generate {0}/model --out {0}/out/g.tif --count 12 --size 64 --steps 2 --batch 2",
    "enhance": "enhance {0}/enhancer {0}/cell.tif --out {0}/out/x.tif --uncertainty --tile 64",
    "enhance into stores": "enhance {0}/enhancer {0}/cell.zarr --out {0}/out/x.zarr --uncertainty --tile 64",
}


def _prepare(folder: Path) -> None:
    """Write the images and models that the commands need."""
    storm = simulate("microtubules", size=192, pixel_size=20.0, seed=3, organisation="random")
    write_image(folder / "storm.tif", storm)
    cell = Image(np.random.default_rng(0).gamma(0.5, 100, (200, 200)).astype(np.float32), 80.0)
    for name in ("cell.tif", "cell.zarr"):
        write_image(folder / name, cell)
    DiffusionModel.train([storm], steps=2, patch=64, batch=1, channels=(16, 32), start=None).save(folder / "model")
    settings = EnhancerConfig(upscale=4, steps=2, batch=1, channels=8, previews=0)
    run_job(TrainEnhancerJob(storm, settings)).save(folder / "enhancer")


def _run(arguments: list[str]) -> int:
    """Run a command without output, and return its exit code."""
    with open(os.devnull, "w") as null, contextlib.redirect_stderr(null), contextlib.redirect_stdout(null):
        return main(arguments)


def _killed(arguments: list[str], seconds: float) -> bool:
    """Run a command in a child, and kill it after a time; return whether it was still running."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _run(arguments)
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _content(command: str, out: Path) -> list[np.ndarray]:
    """Return all pixels or weights of a result, which must be whole."""
    if command == "train":
        return [w.detach().numpy() for w in DiffusionModel.load(out / "m").unet.parameters()]
    if command == "train-enhancer":
        return [w.detach().numpy() for w in Enhancer.load(out / "e").network.parameters()]
    files = [path for path in sorted(out.iterdir()) if path.suffix in (".tif", ".zarr") and path.name[0] != "."]
    return [np.asarray(read_image(path).pixels) for path in files]


def _complete(arguments: list[str], out: Path) -> int:
    """Resume a command; where a training had saved nothing yet, run it anew."""
    code = _run([*arguments, "--resume"])
    if code == 2 and not any(path.name in ("m", "e") for path in out.iterdir()):
        return _run(arguments)
    # A training may be complete already: the kill came between its last rename and its end.
    return 0 if code == 2 and arguments[0].startswith("train") else code


def kill_once(folder: Path, command: str, expected: list[np.ndarray], seconds: float) -> Counter[str]:
    """Kill a command once, resume it, and count what happened."""
    out, counts = folder / "out", Counter[str]()
    arguments = COMMANDS[command].format(folder).split()
    counts["killed"] += _killed(arguments, seconds)
    out.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError, ValueError):  # absent is right; half is an error of another kind
        _content(command, out)
    counts["hidden after the kill"] += any(path.name.startswith(".") for path in out.iterdir())
    counts["not completed"] += _complete(arguments, out) != 0
    got = _content(command, out)
    same = len(got) == len(expected) and all(map(np.array_equal, got, expected))
    counts["other pixels or weights"] += not same
    counts["hidden after the next run"] += any(path.name.startswith(".") for path in out.iterdir())
    return counts


def _emptied(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)


def kills(number: int, seed: int) -> dict[str, Counter[str]]:
    """Kill each command equally often, `number` times in all, and print and return the counts by command."""
    loop._CHECKPOINT_SECONDS = 0.0
    unfinished._SECONDS = 0.0
    torch.set_num_threads(1)
    moments = random.Random(seed)
    totals = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SMDIFFUSION_HOME"] = str(folder / "home")
        _prepare(folder)
        for command, flags in COMMANDS.items():
            began = time.monotonic()
            assert _run(flags.format(folder).split()) == 0
            whole, expected = time.monotonic() - began, _content(command, folder / "out")
            totals[command] = Counter[str]()
            for _ in range(number // len(COMMANDS)):
                _emptied(folder / "out")
                totals[command].update(kill_once(folder, command, expected, moments.random() * whole))
            _emptied(folder / "out")
            print(command, dict(totals[command]), flush=True)
    return totals


if __name__ == "__main__":
    given = [int(value) for value in sys.argv[1:3]]
    kills(*(given + [75, 0][len(given) :]))
