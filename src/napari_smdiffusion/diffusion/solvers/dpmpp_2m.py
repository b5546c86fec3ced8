"""DPM-Solver++(2M) (Lu et al. 2022): it extrapolates the clean image from two noise levels."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from ..solver import Plan, run_multistep
from . import SOLVERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from ..denoiser import Denoiser


def second_order_plan(levels: Sequence[float]) -> Plan:
    """Return the weights of DPM-Solver++(2M), whose last step ends at σ = 0.

    The clean image is assumed to be linear in ln σ. Its value in the middle of a step is used for the whole step.
    """
    spans = [math.log(before / after) for before, after in itertools.pairwise(levels)]
    weights = [(-after / before / 2,) for before, after in itertools.pairwise(spans)]
    return Plan(tuple(levels), ((), *weights, ())[: len(levels)])


@SOLVERS.register("dpmpp-2m")
def dpmpp_2m(
    denoiser: Denoiser, noise: torch.Tensor, levels: Sequence[float], **condition: Any
) -> Iterator[torch.Tensor]:
    """Turn noise into images by DPM-Solver++(2M); see `Solver`."""
    return run_multistep(denoiser, noise, second_order_plan(levels), **condition)
