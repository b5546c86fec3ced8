"""How many steps of the solver an image needs: realism against the number of steps.

    python -m benchmarks.realism.solver_steps [--repeat] [MODEL ...]

400 patches are drawn with 4 to 64 steps, from the same noise. Told are

- the realism score with its 90 % interval, and the AUC of the classifier, against the part of the experimental image
  that the model of this structure saw (of microtubules where it has another name); windows of it that are in different
  folds of the classifier do not overlap;
- how far the patches are from those drawn with 64 steps: the root mean square over pixels, relative to their standard
  deviation;
- what is asked in the end, whether they can be told from patches that are drawn with 64 steps from other noise: the AUC
  of two classifiers of different seeds. Of 64 steps against 64 it is what chance gives.

With `--repeat` the few numbers of steps among which the choice is are judged once more, on patches from other noise:
three classifiers against windows of the experimental image that are drawn anew for each, and three against patches of
64 steps.

The same of the steps that `realism/fitted_solver.py` fitted, where it was run. Models that were measured before are
kept, each with its machine, date and commit, and its steps of training.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.common import CELLS, PICTURES, apart, drawn, entries, microtubules, save_entry
from napari_smdiffusion import load_diffusion_model
from napari_smdiffusion.diffusion.sampler import noise_levels
from napari_smdiffusion.diffusion.solver import Plan
from napari_smdiffusion.diffusion.solvers.dpmpp_2m import second_order_plan
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.classifier import two_sample_test
from napari_smdiffusion.measure.realism import realism
from napari_smdiffusion.report.pictures import new_figure, save_figure

STEPS = (4, 6, 7, 8, 9, 10, 12, 18, 32, 64)
PATCHES, SIZE = 400, 128
CLASSIFIERS = range(2)  # seeds
NEAR, JUDGES = (8, 9, 10, 12, 64), range(3)  # of the repetition: steps, and classifiers


def judged(name: str) -> dict[str, Any]:
    """Draw the same patches of a model with each number of steps, and judge them."""
    saw = CELLS.get(name, microtubules)()[1]
    model = load_diffusion_model(name)
    real = grid_patches(list(saw.pixels), SIZE)
    windows = apart(saw, SIZE, PATCHES, seed=0)
    other = model.generate(PATCHES, size=SIZE, seed=6, steps=STEPS[-1]).pixels
    best = model.generate(PATCHES, size=SIZE, seed=5, steps=STEPS[-1]).pixels
    found: dict[str, Any] = {}
    plans = {str(steps): second_order_plan(noise_levels(steps)) for steps in reversed(STEPS)} | fitted()
    for steps, one in plans.items():
        made = drawn(model, one, PATCHES, SIZE, seed=5)
        scores = realism(made, real, saw.pixel_size)
        found[steps] = {
            **{key: getattr(scores, key) for key in ("score", "score_low", "score_high")},
            "auc": two_sample_test(windows, made).auc,
            "auc_of_64_steps": [two_sample_test(other, made, seed=10 * seed).auc for seed in CLASSIFIERS],
            "difference": float(np.sqrt(np.mean((made - best) ** 2)) / best.std()),
        }
        print(name, steps, found[steps], flush=True)
    return {"model_steps": model.facts.steps, "curve": found}


def repeated(name: str) -> dict[str, Any]:
    """Judge the numbers of steps among which the choice is once more, on other noise and by more classifiers."""
    saw = CELLS.get(name, microtubules)()[1]
    model = load_diffusion_model(name)
    windows = [apart(saw, SIZE, PATCHES, seed=1 + judge) for judge in JUDGES]
    other = model.generate(PATCHES, size=SIZE, seed=8, steps=STEPS[-1]).pixels
    found: dict[str, Any] = {}
    for steps in NEAR:
        made = drawn(model, second_order_plan(noise_levels(steps)), PATCHES, SIZE, seed=7)
        found[str(steps)] = {
            "auc": [two_sample_test(windows[judge], made, seed=100 + 10 * judge).auc for judge in JUDGES],
            "auc_of_64_steps": [two_sample_test(other, made, seed=100 + 10 * judge).auc for judge in JUDGES],
        }
        print(name, steps, found[str(steps)], flush=True)
    return {"model_steps": model.facts.steps, "curve": found}


def fitted() -> dict[str, Plan]:
    """Return the plans that were fitted, by the number of their steps and the word."""
    return {
        f"{steps} fitted": Plan(tuple(one["levels"]), tuple(map(tuple, one["weights"])))
        for steps, one in entries("fitted_solver").items()
        if "levels" in one
    }


def order(steps: str) -> tuple[int, str]:
    """Return what numbers of steps are sorted by."""
    count, _, word = steps.partition(" ")
    return int(count), word


def curve_of(measured: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the figures of a model by the number of steps; at first they were all that was written of it."""
    return measured.get("curve") or {key: one for key, one in measured.items() if key.isdigit()}


def draw(result: dict[str, Any]) -> None:
    """Draw all models' curves."""
    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2)
    for name, measured in result.items():
        curve = {steps: one for steps, one in curve_of(measured).items() if steps.isdigit()}
        steps = [int(one) for one in curve]
        scores, lows, highs, aucs = (
            np.array([one[key] for one in curve.values()]) for key in ("score", "score_low", "score_high", "auc")
        )
        left.errorbar(steps, scores, [scores - lows, highs - scores], label=name, capsize=3)
        right.plot(steps, aucs, marker="o", label=name)
    for axes, title in ((left, "realism score (0 is ideal), 90 % interval"), (right, "classifier (0.5 is ideal)")):
        labels = ["" if steps == 9 else steps for steps in STEPS]  # there is no room for it before 10
        axes.set(xscale="log", xticks=STEPS, xticklabels=labels, xlabel="steps of the solver", title=title)
        axes.minorticks_off()
    right.legend(frameon=False)
    save_figure(figure, PICTURES / "solver_steps.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["microtubules"])
    parser.add_argument("--repeat", action="store_true")
    options = parser.parse_args()
    for name in options.models:
        if options.repeat:
            save_entry("solver_steps_repeated", name, repeated(name))
        else:
            save_entry("solver_steps", name, judged(name))
    draw(entries("solver_steps"))
