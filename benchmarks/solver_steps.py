"""How many steps of the solver an image needs: realism against the number of steps.

    python benchmarks/solver_steps.py [MODEL ...]

The same 400 patches (seed 5) are drawn with 4 to 64 steps. Told are the realism score with its 90 % interval, the AUC
of the classifier, and how far the patches are from those drawn with 64 steps: the root mean square over pixels,
relative to their standard deviation. The experimental patches are those of the part of the image that the model of its
structure saw, of microtubules where it has another name. Models that were measured before are kept.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from common import CELLS, PICTURES, RESULTS, microtubules, save
from napari_smdiffusion import load_diffusion_model
from napari_smdiffusion.assess import grid_patches, realism
from napari_smdiffusion.patches import draw_patches
from napari_smdiffusion.pictures import new_figure, save_figure
from napari_smdiffusion.two_sample import two_sample_test

STEPS = (4, 6, 8, 10, 12, 18, 32, 64)
PATCHES, SIZE = 400, 128


def judged(name: str) -> dict[str, Any]:
    """Draw the same patches of a model with each number of steps, and judge them."""
    saw = CELLS.get(name, microtubules)()[1]
    model = load_diffusion_model(name)
    real = grid_patches(list(saw.pixels), SIZE)
    windows = draw_patches(list(saw.pixels), SIZE, PATCHES, np.random.default_rng(0))
    best = None
    found: dict[str, Any] = {}
    for steps in reversed(STEPS):
        made = model.generate(PATCHES, size=SIZE, seed=5, steps=steps).pixels
        best = made if best is None else best
        said = realism(made, real, saw.pixel_size)
        found[str(steps)] = {
            **{key: said[key] for key in ("score", "score_low", "score_high")},
            "auc": two_sample_test(windows, made).auc,
            "difference": float(np.sqrt(np.mean((made - best) ** 2)) / best.std()),
        }
        print(name, steps, found[str(steps)], flush=True)
    return found


def draw(result: dict[str, Any]) -> None:
    """Draw all models' curves."""
    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2)
    for name, curve in result.items():
        steps = [int(one) for one in curve]
        scores, lows, highs, aucs = (
            np.array([one[key] for one in curve.values()]) for key in ("score", "score_low", "score_high", "auc")
        )
        left.errorbar(steps, scores, [scores - lows, highs - scores], label=name, capsize=3)
        right.plot(steps, aucs, marker="o", label=name)
    for axes, title in ((left, "realism score (0 is ideal), 90 % interval"), (right, "classifier (0.5 is ideal)")):
        axes.set(xscale="log", xticks=STEPS, xticklabels=STEPS, xlabel="steps of the solver", title=title)
        axes.minorticks_off()
    right.legend(frameon=False)
    save_figure(figure, PICTURES / "solver_steps.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["microtubules"])
    path = RESULTS / "solver_steps.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known.pop("machine", None)
    for name in parser.parse_args().models:
        known[name] = judged(name)
    draw(known)
    save("solver_steps", known)
