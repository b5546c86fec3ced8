"""One field of 4096²: how long it takes, how much memory, whether there are seams, and whether anything repeats.

    python benchmarks/large_field.py [--size 4096]

Fields above 1024 pixels are denoised in overlapping windows. Seams: the mean difference of neighbouring pixels across
each line where a window ends or begins, relative to all lines; 1 where there is no seam, and the spread of all lines
tells how far from 1 chance reaches. Repetition: the highest correlation of patches of the field with any other place of
it, in all symmetries, against that of patches of an experimental image with itself.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common import microtubules, save
from napari_smdiffusion import GenerateConfig, load_diffusion_model, write_image
from napari_smdiffusion.denoiser import WINDOW, window_starts
from napari_smdiffusion.diffusion import generate_steps
from napari_smdiffusion.memorization import nearest_matches
from napari_smdiffusion.patches import halved
from napari_smdiffusion.progress import Reporter, run

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

PATCH, LOOKED_UP = 128, 32


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
        match = nearest_matches(halved(patch), [halved(hidden[np.newaxis])[0]])[0]
        found.append(match.correlation)
    return {"median": float(np.median(found)), "highest": float(np.max(found))}


def main() -> None:
    """Generate, measure, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096)
    options = parser.parse_args()
    model = load_diffusion_model("microtubules")
    began = time.monotonic()
    config = GenerateConfig(count=1, height=options.size, width=options.size)
    field = run(generate_steps(model, config), Reporter())
    seconds = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # Linux counts in kB
    write_image(Path("build") / "large_field.tif", field)
    plane = field.pixels[0]
    result: dict[str, Any] = {"size": options.size, "seconds": round(seconds, 1), "peak_memory_gb": round(memory, 2)}
    result["seams"] = seams(plane, window_starts(options.size, WINDOW))
    result["repetition"] = {
        "generated": repetition(plane[:2048, :2048]),
        "experimental": repetition(microtubules()[0].pixels[0]),
    }
    save("large_field", result)


if __name__ == "__main__":
    main()
