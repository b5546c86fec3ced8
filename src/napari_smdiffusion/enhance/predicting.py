"""One pass of the network over widefield pixels, in one of the 8 symmetries of the square."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.devices import autocast
from ..images.patches import inverse_symmetry, symmetry

if TYPE_CHECKING:
    from ..base.arrays import Pixels


@torch.no_grad()
def predict(network: torch.nn.Module, device: torch.device, widefield: Pixels, k: int = 0) -> Pixels:
    """Enhance widefield patches in symmetry `k` and turn the result back; all values are in network units.

    Parameters
    ----------
    network
        On `device`, in evaluation mode.
    device
        Device to compute on, in its fast precision.
    widefield
        (B, 1, Y, X), dark about 0 and bright about 1.
    k
        The symmetry of the network's input, 0 to 7; 0 is the identity.

    Returns
    -------
    (B, 1, Y·upscale, X·upscale) float32, at least 0, because fluorescence is never negative.
    """
    batch = torch.from_numpy(np.ascontiguousarray(symmetry(widefield, k))).to(device)
    with autocast(device):
        output = network(batch)
    values: Pixels = np.maximum(inverse_symmetry(output.float().cpu().numpy(), k), 0)
    return values
