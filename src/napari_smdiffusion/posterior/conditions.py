"""The images that the network of a posterior sampler receives beside the noisy one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from ..diffusion.settings import SIGMA_DATA

if TYPE_CHECKING:
    from .facts import SampleScale

GIVEN = 2  # images: the widefield image, and the estimate
_TYPICAL = 0.7  # local units: about the mean of structure in a widefield image


def conditions(widefield: torch.Tensor, estimate: torch.Tensor, scale: SampleScale) -> torch.Tensor:
    """Return the images that the network receives beside the noisy one, (B, GIVEN, Y, X).

    Parameters
    ----------
    widefield
        (B, 1, Y/f, X/f) input of the enhancer, in local units.
    estimate
        (B, 1, Y, X) output of the enhancer for it.
    scale
        The network units.
    """
    size = estimate.shape[-2:]
    fine = F.interpolate(widefield, size=size, mode="bilinear", align_corners=False)
    return torch.cat([SIGMA_DATA * (fine - _TYPICAL), scale.to_network(estimate)], 1)
