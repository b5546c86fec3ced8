"""What the network makes of widefield pixels, seen in one of the 8 symmetries of the square."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.devices import autocast
from ..images.patches import inverse_symmetry, symmetry

if TYPE_CHECKING:
    from ..base.arrays import Pixels


@torch.no_grad()
def predicted(network: torch.nn.Module, device: torch.device, widefield: Pixels, k: int = 0) -> Pixels:
    """Return what the network makes of widefield images in symmetry `k`, turned back; all in network units.

    Parameters
    ----------
    network
        On `device`, in the state it predicts in.
    device
        Where to compute, in the precision that is quick there.
    widefield
        (B, 1, Y, X), dark about 0 and bright about 1.
    k
        0 to 7: the symmetry that the network sees; 0 leaves the image as it is.

    Returns
    -------
    (B, 1, Y·upscale, X·upscale) float32, at least 0: fluorescence is never negative.
    """
    batch = torch.from_numpy(np.ascontiguousarray(symmetry(widefield, k))).to(device)
    with autocast(device):
        output = network(batch)
    values: Pixels = np.maximum(inverse_symmetry(output.float().cpu().numpy(), k), 0)
    return values
