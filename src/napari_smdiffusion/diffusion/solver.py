"""Multistep solvers: from noise to an image in a few sampling steps, with any denoiser.

The noisy image is x = y + σ · noise. In one step it moves along a straight line. The line leads to the clean image that
the denoiser estimates, plus weighted differences to the clean images of earlier steps. A solver is defined by its
weights. Those in `solvers/` follow formulas; weights can also be fitted (benchmarks/realism/fitted_solver.py).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from .denoiser import Denoiser


@dataclass(frozen=True)
class Plan:
    """The steps of a solver.

    Parameters
    ----------
    levels
        Noise levels σ in falling order; the denoiser is called once at each.
    weights
        For each step, the weights of the differences to the clean images of earlier steps, the latest first.
    """

    levels: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]


def karras_levels(count: int, low: float, high: float, rho: float) -> tuple[float, ...]:
    """Return `count` noise levels from `high` to `low` by equation 5 of EDM (Karras et al. 2022)."""
    return tuple((np.linspace(high ** (1 / rho), low ** (1 / rho), count) ** rho).tolist())


def run_multistep(denoiser: Denoiser, noise: torch.Tensor, plan: Plan, **condition: Any) -> Iterator[torch.Tensor]:
    """Turn noise into images.

    Parameters
    ----------
    denoiser
        See `Denoiser`.
    noise
        Standard normal noise, (B, C, Y, X), on the device to compute on.
    plan
        The noise levels and weights.
    **condition
        Passed on to the denoiser.

    Yields
    ------
    The estimate of the clean image at each noise level, (B, C, Y, X); the last one is the result.
    """
    x = noise * plan.levels[0]
    earlier: deque[torch.Tensor] = deque(maxlen=max(map(len, plan.weights)))  # more images would waste memory
    for sigma, following, weights in zip(plan.levels, (*plan.levels[1:], 0.0), plan.weights, strict=True):
        clean = denoiser(x, sigma, **condition)
        target = clean
        for weight, former in zip(weights, reversed(earlier), strict=False):
            target = target + weight * (former - clean)
        keep = following / sigma
        x = keep * x + (1 - keep) * target
        earlier.append(clean)
        yield clean if following else x
