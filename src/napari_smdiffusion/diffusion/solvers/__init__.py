"""Solvers by name: how a denoiser turns noise into images. Each file registers one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ...base.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from ..denoiser import Denoiser


class Solver(Protocol):
    """The call that all solvers have."""

    def __call__(
        self, denoiser: Denoiser, noise: torch.Tensor, levels: Sequence[float], **condition: Any
    ) -> Iterator[torch.Tensor]:
        """Turn noise into images.

        Parameters
        ----------
        denoiser
            See `Denoiser`.
        noise
            Standard normal, (B, C, Y, X), on the device to compute on.
        levels
            Noise levels σ, falling; the result has none.
        **condition
            Passed on to the denoiser.

        Yields
        ------
        The clean image that is seen at each noise level, (B, C, Y, X); the last one is the result.
        """


SOLVERS: Registry[Solver] = Registry("solver", "SOLVERS", "napari_smdiffusion.diffusion.solvers")
