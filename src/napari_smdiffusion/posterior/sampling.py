"""Posterior samples of a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from ..diffusion.denoiser import EdmDenoiser
from ..diffusion.network import field_multiple
from ..diffusion.solver import karras_levels
from ..diffusion.solvers import SOLVERS
from ..diffusion.windows import Windowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..diffusion.unet import UNet

# Evaluations of the network per sample, of new samplers. With 10, samples of the bundled enhancer of microtubules
# resemble each other more than the truth, and take longer; with 5, they are as good (docs/results.md).
EVALUATIONS = 7
_HIGHEST, _LOWEST, _SPACING = 20.0, 0.02, 4.0  # noise levels, and their spacing; see `karras_levels`


@torch.no_grad()
def sample_window(
    network: UNet, given: torch.Tensor, noise: torch.Tensor, steps: int, solver: str = "dpmpp-2m"
) -> Iterator[torch.Tensor]:
    """Draw posterior samples of one window.

    Parameters
    ----------
    network
        On the device to compute on, in evaluation mode.
    given
        The conditions of the window, (1, C, Y, X), or one for each sample, (S, C, Y, X); see `conditions`.
    noise
        Standard normal noise of the samples, (S, 1, Y, X).
    steps
        Evaluations of the network.
    solver
        A name in `SOLVERS`.

    Yields
    ------
    The estimate of the samples at each noise level, (S, 1, Y, X) in network units; the last one is the result.
    """
    device = next(network.parameters()).device
    height, width = noise.shape[-2:]
    multiple = field_multiple(network)
    # The network takes sides of whole multiples alone. Mirrored pixels continue the structure.
    margin = (0, -width % multiple, 0, -height % multiple)
    start, whole = (F.pad(values.to(device), margin, mode="reflect") for values in (noise, given))
    levels = karras_levels(steps, _LOWEST, _HIGHEST, _SPACING)
    denoiser = Windowed(EdmDenoiser(network))
    for clean in SOLVERS[solver](denoiser, start, levels, given=whole.expand(len(noise), -1, -1, -1)):
        yield clean[..., :height, :width]
