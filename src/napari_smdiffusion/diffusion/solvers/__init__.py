"""The registry of solvers, which turn noise into images with a denoiser. Each file registers one solver."""

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
            Standard normal noise, (B, C, Y, X), on the device to compute on.
        levels
            Noise levels σ > 0 in falling order; the result has σ = 0.
        **condition
            Passed on to the denoiser.

        Yields
        ------
        The estimate of the clean image at each noise level, (B, C, Y, X); the last one is the result.
        """


SOLVERS: Registry[Solver] = Registry("solver", "SOLVERS", "napari_smdiffusion.diffusion.solvers")
