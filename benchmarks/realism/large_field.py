"""A field of 4096² of each structure: time, memory, whether there are seams, and whether anything repeats.

    python -m benchmarks.realism.large_field [--size 4096]

Fields above 1024 pixels are denoised in overlapping windows. Seams may show in two ways. Lines: the mean difference of
neighbouring pixels across each line where a window ends or begins, relative to the lines around it; 1 where there is no
seam, and the spread of all lines tells how far from 1 chance reaches. Overlaps: windows that disagree there are
averaged, and variance is lost; told is the variance where windows overlap over that of the rest, relative to a field
that is made from the same noise in one window (which takes some GB), and beside it what windows give that have nothing
to do with each other: of that field turned and mirrored. Repetition: the highest correlation of patches of the field
with any other place of all of it, in all symmetries, against that of patches of the experimental image with itself,
which has fewer places to be alike.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch

from benchmarks.common import CELLS, save
from napari_smdiffusion import GenerateConfig, Image, generate_steps, load_diffusion_model, run, write_image
from napari_smdiffusion.base.terminal import Reporter
from napari_smdiffusion.diffusion.windows import WINDOW, Windowed, window_starts
from napari_smdiffusion.images.patches import SYMMETRIES, averaged, symmetry
from napari_smdiffusion.measure.nearest import nearest_matches

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

PATCH, LOOKED_UP = 128, 64


def made(structure: str, size: int, window: int = WINDOW) -> Image:
    """Return a field, made in windows of this size."""
    with mock.patch("napari_smdiffusion.diffusion.windows.WINDOW", window):
        config = GenerateConfig(count=1, height=size, width=size)
        return run(generate_steps(load_diffusion_model(structure), config), Reporter())


def overlaps(plane: Pixels, whole: Pixels, starts: list[int]) -> dict[str, float]:
    """Compare the variance where windows overlap with that of the rest, relative to a field made in one window."""
    place = np.arange(len(plane))
    covered = np.sum([(place >= start) & (place < start + WINDOW) for start in starts], axis=0)
    twice = (covered > 1)[:, None] | (covered > 1)

    def kept(field: Pixels) -> float:
        squared = (field - field.mean()) ** 2
        return float(squared[twice].mean() / squared[~twice].mean())

    return {
        "variance_kept": kept(plane) / kept(whole),
        "variance_kept_by_strangers": kept(strangers(whole, starts)) / kept(whole),
        "share_of_area": float(twice.mean()),
    }


def strangers(whole: Pixels, starts: list[int]) -> Pixels:
    """Return what windows blend to that were not denoised together: neighbours are of the field turned otherwise."""
    turned = [symmetry(whole, k) for k in SYMMETRIES]
    corners = itertools.product(enumerate(starts), repeat=2)
    parts = (turned[(3 * i + j) % len(turned)][y : y + WINDOW, x : x + WINDOW] for (i, y), (j, x) in corners)

    def finished(x: torch.Tensor, _sigma: object, /, **_: object) -> torch.Tensor:
        return torch.stack([torch.from_numpy(next(parts).copy())[None] for _ in range(len(x))])

    empty = torch.zeros(1, 1, *whole.shape)
    field = Windowed(finished, WINDOW)(empty, 1.0)
    return np.asarray(field[0, 0].numpy(), np.float32)


def seams(plane: Pixels, starts: list[int]) -> dict[str, float]:
    """Compare the differences across window borders with those across all lines of pixels."""
    edges = sorted({edge for start in starts for edge in (start, start + WINDOW) if 0 < edge < len(plane)})
    ratios = []
    for axis in (0, 1):
        across = np.abs(np.diff(plane, axis=axis)).mean(axis=1 - axis)
        # The amount of structure changes slowly over a field: a line is compared with its neighbours.
        usual = np.convolve(across, np.ones(65) / 65, mode="same")
        ratios.append(across / usual)
    relative = np.concatenate(ratios)
    at_seams = np.concatenate([one[np.array(edges) - 1] for one in ratios])
    inner = np.concatenate([one[64:-64] for one in ratios])
    return {
        "at_borders_mean": float(at_seams.mean()),
        "at_borders_most": float(at_seams.max()),
        "all_lines_99": float(np.quantile(inner, 0.99)),
        "lines": len(relative),
        "borders": len(at_seams),
    }


def repetition(plane: Pixels) -> dict[str, float]:
    """Look for patches of a plane elsewhere in it."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(LOOKED_UP):
        y, x = (int(rng.integers(length - PATCH + 1)) for length in plane.shape)
        hidden = plane.copy()
        # The patch itself is covered by noise of the same brightness, with its surroundings that overlap it.
        area = (slice(max(0, y - PATCH), y + 2 * PATCH), slice(max(0, x - PATCH), x + 2 * PATCH))
        hidden[area] = rng.choice(plane.ravel()[::97], hidden[area].shape)
        patch = plane[np.newaxis, y : y + PATCH, x : x + PATCH]
        match = nearest_matches(averaged(patch, 2), [averaged(hidden, 2)])[0]
        found.append(match.correlation)
    return {"median": float(np.median(found)), "highest": float(np.max(found))}


def measured(structure: str, size: int) -> dict[str, Any]:
    """Make a field in windows, and judge it."""
    began = time.monotonic()
    field = made(structure, size)
    seconds = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # Linux counts in kB
    path = Path("build") / f"large_field_{structure}.tif"
    path.parent.mkdir(exist_ok=True)
    write_image(path, field)
    plane, starts = field.pixels[0], window_starts(size, WINDOW)
    return {
        "model_steps": load_diffusion_model(structure).facts.steps,
        "seconds": round(seconds, 1),
        "peak_memory_gb": round(memory, 2),
        "seams": seams(plane, starts),
        "overlaps": overlaps(plane, made(structure, size, size).pixels[0], starts),
        "repetition": {
            "generated": repetition(plane),
            "experimental": repetition(CELLS[structure]()[0].pixels[0]),
        },
    }


def main() -> None:
    """Measure each structure in turn, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096)
    size = parser.parse_args().size
    result: dict[str, Any] = {"size": size, "looked_up": LOOKED_UP}
    # That of the first alone: later the highest is that of the field made in one window.
    result["fields"] = {structure: measured(structure, size) for structure in CELLS}
    result["fields"]["mitochondria"].pop("peak_memory_gb")
    save("large_field", result)


if __name__ == "__main__":
    main()
