"""How noise becomes an image in a few steps, whatever the network is.

The noisy image is x = y + σ·noise. Between two noise levels it moves along a straight line towards the image that the
network sees in it, or towards where that image is heading to: the guess now, and its differences to the guesses before,
weighted. The weights are those of DPM-Solver++(2M) (Lu et al. 2022), by formula; others, and the noise levels, can be
fitted (benchmarks/realism/fitted_solver.py).
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

if TYPE_CHECKING:
    Denoise = Callable[[torch.Tensor, float], torch.Tensor]


@dataclass(frozen=True)
class Plan:
    """The steps of a solver.

    Parameters
    ----------
    levels
        Noise levels σ, falling: one evaluation of the network at each.
    weights
        For each step, those of the differences of the guesses before, the latest first, to the guess now.
    """

    levels: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]


def karras_levels(count: int, low: float, high: float, rho: float) -> tuple[float, ...]:
    """Return `count` noise levels from `high` to `low`, spread as in equation 5 of EDM (Karras et al. 2022)."""
    return tuple((np.linspace(high ** (1 / rho), low ** (1 / rho), count) ** rho).tolist())


def dpmpp_2m(levels: Sequence[float]) -> Plan:
    """Return the plan of DPM-Solver++(2M), whose last step ends at no noise.

    The guess is taken to be linear in ln σ, and its value in the middle of a step to hold for all of it.
    """
    spans = [math.log(before / after) for before, after in itertools.pairwise(levels)]
    ahead = [(-after / before / 2,) for before, after in itertools.pairwise(spans)]
    return Plan(tuple(levels), ((), *ahead, ())[: len(levels)])


def run_multistep(denoise: Denoise, noise: torch.Tensor, plan: Plan) -> Iterator[torch.Tensor]:
    """Turn noise into images.

    Parameters
    ----------
    denoise
        Returns the clean image that is seen in a noisy one at a noise level.
    noise
        Standard normal, of any shape.
    plan
        The noise levels and weights.

    Yields
    ------
    The present guess after each evaluation; the last one is the result.
    """
    x = noise * plan.levels[0]
    before: deque[torch.Tensor] = deque(maxlen=max(map(len, plan.weights)))  # more would fill the memory
    for sigma, following, weights in zip(plan.levels, (*plan.levels[1:], 0.0), plan.weights, strict=True):
        guess = denoise(x, sigma)
        ahead = guess
        for weight, old in zip(weights, reversed(before), strict=False):
            ahead = ahead + weight * (old - guess)
        left = following / sigma
        x = left * x + (1 - left) * ahead
        before.append(guess)
        yield guess if following else x
