"""The network units of posterior samples, and the images that the network receives beside the noisy one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Le

from ..diffusion.denoiser import SIGMA_DATA

GIVEN = 2  # images: the widefield image, and the estimate
_TYPICAL = 0.7  # local units: about the mean of structure in a widefield image


@dataclass(frozen=True)
class SampleScale:
    """The linear map between the output of an enhancer, in local units, and the network units of the denoiser.

    In network units the training images have mean 0 and the standard deviation that EDM's preconditioning assumes.

    Parameters
    ----------
    mean, spread
        Mean and standard deviation of sharp training patches, in local units.
    """

    mean: Annotated[float, Ge(-1e3), Le(1e3)]
    spread: Annotated[float, Gt(1e-6), Le(1e3)]

    @classmethod
    def of(cls, sharp: torch.Tensor) -> SampleScale:
        """Return the scale of sharp training patches (B, 1, Y, X)."""
        return cls(float(sharp.mean()), max(float(sharp.std()), 1e-5))

    def to_network(self, sharp: torch.Tensor) -> torch.Tensor:
        """Return sharp images in network units."""
        return (sharp - self.mean) * (SIGMA_DATA / self.spread)

    def to_local(self, values: torch.Tensor) -> torch.Tensor:
        """Return images of the denoiser in local units, at least 0, because fluorescence is never negative."""
        return (values * (self.spread / SIGMA_DATA) + self.mean).clamp(min=0)


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
