"""Fit a solver of few steps: its noise levels, and how it looks ahead.

    python -m benchmarks.realism.fitted_solver [--steps 6 7 8] [--others FOLDER ...]

DPM-Solver++(2M) takes from the guess before, by a formula, where the denoised image is heading to. Here the weights of
the guesses before are fitted by least squares, so that the solver follows the way of 64 steps from the same noise, each
step after those before it; the noise levels are searched for, one moved at a time; then all weights are strengthened
together. (After Duan et al., "Optimal Linear Subspace Search", CIKM 2023, where the noisy image is weighted freely too.
Here noise is left as by the exact solution, so that an image which is the same at all noise levels is met exactly,
whatever was fitted.)

All models that ship are fitted to together. Told is how far images from other noise are from those of 64 steps,
relative to their standard deviation, as the median over images, for these models and for others (model folders) that
nothing was fitted to; the smallest and the largest amplitude of a band of spatial frequencies, relative to that of 64
steps; and the same of DPM-Solver++(2M). Whether such images can be told from those of 64 steps is asked by
`realism/solver_steps.py`. The JSON holds the plans; the package draws by the formula.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.common import FILAMENTS, save_entry
from napari_smdiffusion import load_diffusion_model
from napari_smdiffusion.diffusion.intensities import to_numpy
from napari_smdiffusion.diffusion.noise import start_noise
from napari_smdiffusion.diffusion.sampler import RHO, SIGMA_MAX, SIGMA_MIN, denoiser_of
from napari_smdiffusion.diffusion.solver import Plan, karras_levels, run_multistep
from napari_smdiffusion.diffusion.solvers.dpmpp_2m import second_order_plan
from napari_smdiffusion.measure.spectrum import radial_spectrum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_smdiffusion import DiffusionModel

FINE = 64  # steps of the way that is followed; the noise levels are chosen from its own
SIZE, IMAGES = 128, 12
BEFORE = 2  # guesses that a step looks back to
MODELS = ("microtubules", "mitochondria", FILAMENTS.name)
FITTED_ON, TESTED_ON = 11, 12  # seeds of the noise
FACTORS = (1.0, 1.05, 1.1, 1.15, 1.2)
BANDS = 8  # of spatial frequencies
LEVELS = karras_levels(FINE, SIGMA_MIN, SIGMA_MAX, RHO)


@dataclass(frozen=True)
class Way:
    """What 64 steps pass through from some noise: the noisy images at each level, and the result."""

    unet: torch.nn.Module
    noise: torch.Tensor
    noisy: list[torch.Tensor]
    result: torch.Tensor


@torch.no_grad()
def way(model: DiffusionModel, seed: int) -> Way:
    """Follow a model from the noise of one seed."""
    noise, noisy = start_noise(seed, range(IMAGES), (SIZE, SIZE)), []

    def denoise(x: torch.Tensor, sigma: float | torch.Tensor, /, **_: object) -> torch.Tensor:
        noisy.append(x)
        return denoiser_of(model.unet)(x, sigma)

    *_, result = run_multistep(denoise, noise, second_order_plan(LEVELS))
    return Way(model.unet, noise, noisy, result)


def distance(images: torch.Tensor, result: torch.Tensor) -> float:
    """Return how far images are from a result: the median of their root mean square, relative to its deviation."""
    return float((images - result).square().mean((1, 2, 3)).sqrt().median() / result.std())


@torch.no_grad()
def fitted(ways: Sequence[Way], places: Sequence[int]) -> tuple[Plan, float]:
    """Fit the weights for noise levels, and return how far the ends of all ways are then, on average."""
    levels = [LEVELS[place] for place in places]
    now = [one.noisy[0] for one in ways]
    guesses: list[list[torch.Tensor]] = [[] for _ in ways]
    weights: list[tuple[float, ...]] = []
    for k, sigma in enumerate(levels):
        last = k + 1 == len(levels)
        left = 0.0 if last else levels[k + 1] / sigma
        differences, wanted = [], []
        for one, x, seen in zip(ways, now, guesses, strict=True):
            guess = denoiser_of(one.unet)(x, sigma)
            target = one.result if last else one.noisy[places[k + 1]]
            differences.append([(old - guess).flatten() for old in seen[: -BEFORE - 1 : -1]])
            wanted.append(((target - left * x) / (1 - left) - guess).flatten())
            seen.append(guess)
        columns = [torch.cat(column) for column in zip(*differences, strict=True)]
        found: list[float] = []
        if columns:
            matrix = torch.stack(columns, 1).double()
            found = torch.linalg.lstsq(matrix, torch.cat(wanted).double()[:, None]).solution[:, 0].tolist()
        weights.append(tuple(round(weight, 4) for weight in found))
        for i, seen in enumerate(guesses):
            ahead = seen[-1] + sum(
                weight * (old - seen[-1]) for weight, old in zip(weights[-1], seen[-2::-1], strict=False)
            )
            now[i] = left * now[i] + (1 - left) * ahead
    plan = Plan(tuple(float(f"{level:.5g}") for level in levels), tuple(weights))
    return plan, float(np.mean([distance(x, one.result) for x, one in zip(now, ways, strict=True)]))


def searched(ways: Sequence[Way], steps: int) -> Plan:
    """Search for noise levels: of all that could be moved, but the first and the last, the best is, again and again."""
    places = [round(place) for place in np.linspace(0, FINE - 1, steps)]
    plan, best = fitted(ways, places)
    by = 4
    while by:
        moved = [[*places[:k], places[k] + step, *places[k + 1 :]] for k in range(1, steps - 1) for step in (-by, by)]
        found = [(*fitted(ways, one), one) for one in moved if one == sorted(set(one))]
        nearest = min(found, key=lambda one: one[1], default=(plan, best, places))
        if nearest[1] < best:
            plan, best, places = nearest
        else:
            by //= 2
    return plan


def strengthened(ways: Sequence[Way], plan: Plan) -> Plan:
    """Multiply all weights by what brings the ends nearest.

    Least squares from what is not exact itself finds weights that are too small, and images of too little contrast.
    """
    plans = [
        Plan(plan.levels, tuple(tuple(round(factor * weight, 4) for weight in some) for some in plan.weights))
        for factor in FACTORS
    ]
    return min(plans, key=lambda one: np.mean([ended(way, one)[0] for way in ways]))


@torch.no_grad()
def ended(one: Way, plan: Plan) -> tuple[float, list[float]]:
    """Return the distance that a plan leaves, and the smallest and largest share of the amplitude of a band."""
    *_, images = run_multistep(denoiser_of(one.unet), one.noise, plan)
    amplitude, wanted = (_amplitudes(some) for some in (images, one.result))
    return distance(images, one.result), [float((amplitude / wanted).min()), float((amplitude / wanted).max())]


def _amplitudes(images: torch.Tensor) -> Any:
    """Return the root mean square amplitude in each band of spatial frequencies."""
    return np.sqrt(np.mean([radial_spectrum(image, BANDS) for image in to_numpy(images)], 0))


def told(ways: dict[str, Way], plan: Plan) -> dict[str, dict[str, Any]]:
    """Return what a plan leaves on each way."""
    found = {}
    for name, one in ways.items():
        distant, amplitudes = ended(one, plan)
        found[name] = {"distance": round(distant, 4), "amplitudes": [round(value, 3) for value in amplitudes]}
    return found


def main() -> None:
    """Fit each number of steps, and test it on other noise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[6, 7, 8])
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="models that are tested only")
    options = parser.parse_args()
    models = {name: load_diffusion_model(FILAMENTS if name == FILAMENTS.name else name) for name in MODELS}
    ways = [way(model, FITTED_ON) for model in models.values()]
    tested = {name: way(model, TESTED_ON) for name, model in models.items()}
    tested |= {one.name: way(load_diffusion_model(str(one)), TESTED_ON) for one in options.others}
    for steps in (*options.steps, 10, 12):
        by_formula = second_order_plan(karras_levels(steps, SIGMA_MIN, SIGMA_MAX, RHO))
        entry: dict[str, Any] = {"formula": told(tested, by_formula)}
        if steps in options.steps:
            plan = strengthened(ways, searched(ways, steps))
            entry |= {"fitted": told(tested, plan), "levels": plan.levels, "weights": plan.weights}
        save_entry("fitted_solver", str(steps), entry)


if __name__ == "__main__":
    main()
