"""What every benchmark shares: the real data and their split, the machine, and where results go."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import venv
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_smdiffusion import STRUCTURES, Image, read_image
from napari_smdiffusion.base.whole_files import atomic_file
from napari_smdiffusion.diffusion.intensities import to_intensities, to_numpy
from napari_smdiffusion.diffusion.noise import start_noise
from napari_smdiffusion.diffusion.sampler import denoiser_of
from napari_smdiffusion.diffusion.solver import run_multistep
from napari_smdiffusion.images.patches import draw_patches
from napari_smdiffusion.images.samples import sfsrm_pair
from napari_smdiffusion.measure.classifier import FOLDS

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_smdiffusion import DiffusionModel
    from napari_smdiffusion.diffusion.solver import Plan

    Pixels = npt.NDArray[np.float32]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# The former default start: the bundled models of microtubules and mitochondria began from it.
FILAMENTS = ROOT / "benchmarks" / "models" / "simulated-filaments"
PICTURES = ROOT / "docs" / "images"
TRAIN_COLUMNS = 960  # of the 1280 of the microtubule image; the rest is for testing
TRAIN_ROWS = 1920  # of the 2560 of the mitochondria image
FACTOR = 5
# Python for a process of its own: its highest resident set. That of resource.getrusage begins, on Linux, with the
# memory of the process that started it.
MEGABYTES = """
def megabytes():
    import resource
    try:
        lines = open("/proc/self/status").read().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20  # bytes on macOS
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024
"""
FACTORS = {"microtubules": FACTOR, "mitochondria": 4}


def sfsrm(structure: str) -> tuple[Image, Image]:
    """Return the whole STORM and the whole widefield image of SFSRM, of "microtubule" or "mitochondria".

    They are read from `sfsrm/` in the folder that $SMDIFFUSION_DATA names. Without it they are fetched once and kept.

    Raises
    ------
    SystemExit
        With a sentence, if they are in neither place.
    """
    names = [f"{structure}_{kind}.tif" for kind in ("STORM", "widefield")]
    if folder := os.environ.get("SMDIFFUSION_DATA"):
        paths = [Path(folder) / "sfsrm" / name for name in names]
        if missing := [path for path in paths if not path.exists()]:
            raise SystemExit(
                f"There is no image {missing[0]}: put the TIFF files of https://github.com/crrayna/SFSRM there, or "
                "unset SMDIFFUSION_DATA to have them fetched."
            )
        storm = read_image(paths[0], None if structure == "microtubule" else 20.0)
        factor = FACTORS["microtubules" if structure == "microtubule" else structure]
        return storm, read_image(paths[1], (storm.pixel_size or 0) * factor)
    try:
        pair = sfsrm_pair(structure)
    except OSError as error:
        raise SystemExit(
            f"The SFSRM images cannot be fetched: set SMDIFFUSION_DATA to a folder that holds them in sfsrm/. ({error})"
        ) from error
    # Named as their files are, and each in its own coordinates.
    storm, widefield = (
        replace(image, name=name, origin=(0.0, 0.0), provenance={}) for image, name in zip(pair, names, strict=True)
    )
    return storm, widefield


def microtubules() -> tuple[Image, Image, Image]:
    """Return the microtubule STORM image, its training columns, and the widefield image that lies exactly over it."""
    storm, widefield = sfsrm("microtubule")
    return storm, storm.crop(slice(None), slice(0, TRAIN_COLUMNS)), widefield.crop(slice(50, 306), slice(48, 304))


def mitochondria() -> tuple[Image, Image, Image]:
    """Return the mitochondria STORM image, its training rows, and the widefield image of the same field."""
    storm, widefield = sfsrm("mitochondria")
    return storm, storm.crop(slice(0, TRAIN_ROWS), slice(None)), widefield


CELLS = {"microtubules": microtubules, "mitochondria": mitochondria}
# Rows and columns of the STORM images that nothing was trained on.
TESTED = {
    "microtubules": (slice(None), slice(TRAIN_COLUMNS, None)),
    "mitochondria": (slice(TRAIN_ROWS, None), slice(None)),
}


@torch.no_grad()
def drawn(model: DiffusionModel, plan: Plan, count: int, size: int, seed: int) -> Pixels:
    """Generate images as `DiffusionModel.generate` does, (count, size, size), by the steps of a plan."""
    together = max(1, 1024**2 // size**2)
    made = []
    for first in range(0, count, together):
        noise = start_noise(seed, range(first, min(first + together, count)), (size, size))
        *_, last = run_multistep(denoiser_of(model.unet.eval()), noise, plan)
        made.append(to_intensities(to_numpy(last), model.scaling))
    return np.concatenate(made)


def earlier_drawing(structure: str) -> dict[str, Any]:
    """Return the settings by which `simulate` draws a structure as it did when the figures of docs were measured.

    Microtubules were independent curves then. They still are in the unit of the realism score.
    """
    return dict(STRUCTURES[structure].unit_settings)


def no_options(doc: str | None) -> None:
    """Read the command line of a script that takes no options but --help."""
    argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()


def machine() -> dict[str, Any]:
    """Return what a figure depends on besides the code."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("napari-smdiffusion", "torch", "numpy")},
    }


def environment(name: str, *installs: tuple[str, ...]) -> Path:
    """Return the Python of `build/name`, an environment of its own for another program, made the first time.

    Each of `installs` is one call of pip, in this order.
    """
    place = ROOT / "build" / name
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    # Written last: an environment that was cut while it was made is made again.
    ready = place / "ready"
    if not ready.exists():
        if not python.exists():
            venv.create(place, with_pip=True)
        for packages in installs:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        ready.touch()
    return python


def commit() -> str:
    """Return the commit that the code is at, with a + where it was changed since."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stdout.strip() or "unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def stamp() -> dict[str, Any]:
    """Return the machine and the commit that something was measured with."""
    return {**machine(), "commit": commit()}


def save(name: str, result: dict[str, Any]) -> None:
    """Write a result that was measured in one go as JSON beside the scripts, with the machine, and print it."""
    _write(name, {**result, "machine": stamp()})


def loaded(name: str) -> dict[str, Any] | None:
    """Return a result, or None where it was not measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def where(*results: dict[str, Any]) -> str:
    """Say on which machines, when and at which commits: each machine and day once."""
    days: dict[str, dict[str, dict[str, None]]] = {}
    for result in results:
        m = result["machine"]
        name = f"{m['processor']}, {m['cores']} cores, Python {m['python']}, torch {m['torch']}"
        commits = days.setdefault(name, {}).setdefault(m["date"], {})
        if "commit" in m:
            commits[m["commit"]] = None
    said = []
    for name, of in days.items():
        told = (f"{day} (commit {', '.join(of[day])})" if of[day] else day for day in sorted(of))
        said.append(f"{name}, {' and '.join(told)}")
    return "; ".join(said) + "."


def entries(name: str) -> dict[str, dict[str, Any]]:
    """Return what was measured before of a result whose entries are measured one by one, each with its machine."""
    path = RESULTS / f"{name}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    # As it was written at first, of the whole file.
    machine_of_all = known.pop("machine", None)
    return {key: {"machine": machine_of_all, **entry} for key, entry in known.items()}


def save_entry(name: str, key: str, entry: dict[str, Any]) -> None:
    """Write one entry of such a result, with the machine, and leave the others as they are."""
    _write(name, {**entries(name), key: {**entry, "machine": stamp()}})


def _write(name: str, result: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1)
    with atomic_file(RESULTS / f"{name}.json") as path:  # a run that is cut loses no entry
        path.write_text(text + "\n", encoding="utf-8")
    print(text)


def apart(image: Image, size: int, count: int, seed: int) -> Pixels:
    """Return random windows of an image none of which overlaps one that is in another fold of the classifier.

    The plane is cut into cells a quarter larger than a window or more, which go to the folds in turn. So the classifier
    knows no place again; it has also seen fewer places, and is a weaker one.
    """
    rng, plane = np.random.default_rng(seed), image.pixels[0]
    rows, columns = (max(1, 4 * length // (5 * size)) for length in plane.shape)
    cells: list[list[Pixels]] = [[] for _ in range(FOLDS)]
    for i, band in enumerate(np.array_split(plane, rows)):
        for j, cell in enumerate(np.array_split(band, columns, axis=1)):
            cells[(i + j) % FOLDS].append(cell)
    drawn = np.empty((count, size, size), np.float32)
    for fold, of_it in enumerate(cells):
        part = drawn[fold::FOLDS]
        part[...] = draw_patches(of_it, size, len(part), rng)
    return drawn
