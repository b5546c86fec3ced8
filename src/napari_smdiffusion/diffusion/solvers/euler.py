"""Euler's method in the noise level σ, which equals DDIM without new noise (Song et al. 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..solver import Plan, run_multistep
from . import SOLVERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from ..denoiser import Denoiser


@SOLVERS.register("euler")
def euler(denoiser: Denoiser, noise: torch.Tensor, levels: Sequence[float], **condition: Any) -> Iterator[torch.Tensor]:
    """Turn noise into images by Euler's method; see `Solver`."""
    return run_multistep(denoiser, noise, Plan(tuple(levels), ((),) * len(levels)), **condition)
