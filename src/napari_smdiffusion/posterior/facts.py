"""The facts of a posterior sampler: its units and its training, as stored in the model.json of its enhancer."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le

from ..diffusion.settings import SIGMA_DATA
from ..diffusion.specks import LARGEST
from ..microscope.settings import MicroscopeConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


@dataclass(frozen=True)
class SampleScale:
    """The linear map between the output of an enhancer, in local units, and the network units of the denoiser.

    In network units the training images have mean 0 and the standard deviation that EDM's preconditioning assumes.

    Parameters
    ----------
    mean, spread
        Mean and standard deviation of sharp training patches, in local units.
    """

    mean: Annotated[float, Ge(-1e3), Le(1e3)] = 0.0
    spread: Annotated[float, Gt(1e-6), Le(1e3)] = SIGMA_DATA

    @classmethod
    def of(cls, sharp: "torch.Tensor") -> "SampleScale":
        """Return the scale of sharp training patches (B, 1, Y, X)."""
        return cls(float(sharp.mean()), max(float(sharp.std()), 1e-5))

    def to_network(self, sharp: "torch.Tensor") -> "torch.Tensor":
        """Return sharp images in network units."""
        return (sharp - self.mean) * (SIGMA_DATA / self.spread)

    def to_local(self, values: "torch.Tensor") -> "torch.Tensor":
        """Return images of the denoiser in local units, at least 0, because fluorescence is never negative."""
        return (values * (self.spread / SIGMA_DATA) + self.mean).clamp(min=0)


@dataclass(frozen=True)
class SamplerFacts:
    """The facts of a posterior sampler.

    Parameters
    ----------
    scale
        Its network units.
    structure
        Intensity in local units, at the resolution of the map of trust, from which on a sample shows structure.
    started_from
        Name of the diffusion model whose weights the training began with; None for random weights.
    curve
        Rows of the training step and the mean loss, also in each noise quartile.
    steps, total_steps
        Number of training steps, and the planned number; None if the plan was not known.
    faintest
        Intensity in local units below which the sharp training images show nothing; 0 if their background is not
        empty.
    smallest
        Area in pixels of the smallest structure in the sharp training images; None if they show single pixels.
    microscope
        The microscope that was simulated for the samples; None for that of the best estimate, or for real pairs.
    evaluations
        Evaluations of the network for a sample. The calibration holds for this number alone.
    calibrated_on
        Names of the pairs that the samples were calibrated on after the training; see `EnhancerFacts`.
    """

    scale: SampleScale = SampleScale()
    structure: Annotated[float, Gt(0), Le(1e3)] = 0.01
    started_from: str | None = None
    curve: tuple[tuple[float, ...], ...] = ()
    steps: Annotated[int, Ge(0), Le(2**53)] = 0
    total_steps: Annotated[int, Ge(0), Le(2**53)] | None = None
    faintest: Annotated[float, Ge(0), Le(1e3)] = 0.0
    smallest: Annotated[int, Ge(2), Le(LARGEST)] | None = None
    microscope: MicroscopeConfig | None = None
    evaluations: Annotated[int, Ge(2), Le(200)] = 10  # of the samplers that do not state it
    calibrated_on: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the training has reached its planned end."""
        return self.total_steps is not None and self.steps >= self.total_steps

    def after(self, curve: "Sequence[Sequence[float]]", steps: int, total_steps: int | None) -> "SamplerFacts":
        """Return the facts after `steps` training steps with this loss curve."""
        rows = tuple(tuple(float(value) for value in row) for row in curve)
        return replace(self, curve=rows, steps=steps, total_steps=total_steps)
