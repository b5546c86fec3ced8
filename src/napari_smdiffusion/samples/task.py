"""The training task of a posterior sampler: denoising of sharp patches, given their widefield images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from ..base.devices import autocast, generator
from ..base.errors import InputError
from ..diffusion.denoiser import EdmDenoiser
from ..diffusion.noise import sample_sigmas
from ..enhance.examples import SimulatedPairs, finer_weight, varied_examples
from ..posterior.conditions import conditions
from ..posterior.empty_background import faintest, smallest
from ..posterior.facts import SamplerFacts, SampleScale
from ..posterior.sampling import EVALUATIONS, sample_window
from ..posterior.trust import structure_level
from ..training.task import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from ..diffusion.unet import UNet
    from ..enhance.examples import TrainingPairs
    from ..enhance.held_out import Region
    from ..enhance.network import EnhancerNetwork

_SCALE_STEPS = 12  # steps whose examples the scale is measured on
_SCALE_STEP = 2**31 + 2**20  # training never reaches these steps
_PREVIEW_STEP = 2**31
# ln of the noise levels, mean and standard deviation: the levels at which the conditions leave most undecided.
_LOG_MEAN, _LOG_STD = -0.4, 1.2


@dataclass(frozen=True, eq=False)
class SamplesTask:
    """Sharp patches with noise, their widefield images and the estimates of the enhancer.

    Parameters
    ----------
    pairs
        The training pairs of the enhancer.
    estimator
        The network of the enhancer, which is not trained, on the CPU.
    scale
        The network units.
    multiple
        Number of pixels that the sides of patches must be multiples of.
    """

    pairs: TrainingPairs
    estimator: EnhancerNetwork
    scale: SampleScale
    multiple: int

    def of(self, regions: Sequence[Region]) -> SamplesTask:
        """Return the task with patches from other regions of the planes."""
        return replace(self, pairs=self.pairs.of(regions))

    def with_empty_parts(self) -> SamplesTask:
        """Return the task in which some simulated patches end at the edge of a cell or are empty."""
        if not isinstance(self.pairs, SimulatedPairs):
            return self
        return replace(self, pairs=replace(self.pairs, empty_parts=True))

    @property
    def stage(self) -> str:
        """The name of the task in progress events."""
        return "training the samples"

    @torch.no_grad()
    def given(self, widefield: torch.Tensor) -> torch.Tensor:
        """Return the conditions of compressed widefield patches (B, 1, Y/f, X/f) in local units."""
        with autocast(widefield.device):
            estimate = self.estimator.eval()(widefield)
        return conditions(widefield, estimate.float().clamp(min=0), self.scale)

    def draw(self, step: int) -> Batch:
        """Return the noisy patches of a step.

        The tensors are the clean patches (B, 1, Y, X) in network units, their noise levels (B,), their noise and the
        conditions (B, 2, Y, X).
        """
        seed = self.pairs.config.seed
        widefield, sharp, gain, weight = varied_examples(self.pairs, step)
        given = self.given(widefield)
        clean = self.scale.to_network(sharp * gain)
        # Where nothing was measured, the estimate stands for the truth: the network learns nothing there.
        fine = finer_weight(weight, self.pairs.config.upscale)
        clean = torch.where(fine > 0, clean, given[:, 1:])
        side = clean.shape[-1] // self.multiple * self.multiple
        if not side:
            raise InputError(
                f"Samples need patches of {self.multiple} pixels or more, not {clean.shape[-1]}: give larger images or "
                "a larger patch.",
                "patch",
            )
        clean, given = clean[..., :side, :side], given[..., :side, :side]
        random = generator(seed, 11, step)
        sigma, quartile = sample_sigmas(len(clean), random, _LOG_MEAN, _LOG_STD)
        return Batch((clean, sigma, torch.randn(clean.shape, generator=random), given), quartile)

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the denoising loss of each example, (B,)."""
        clean, sigma, noise, given = tensors
        return EdmDenoiser(network).loss(clean, sigma, noise, given=given)

    @torch.no_grad()
    def preview(self, network: torch.nn.Module) -> Pixels | None:
        """Return one sample of each example, in intensities of the result; None without previews."""
        count = self.pairs.config.previews
        if not count:
            return None
        widefield = self.pairs.local.compressed(self.pairs.examples(_PREVIEW_STEP).widefield[:count])
        given = self.given(widefield)
        noise = torch.randn(given[:, :1].shape, generator=generator(self.pairs.config.seed, 12))
        *_, sample = sample_window(cast("UNet", network), given, noise, EVALUATIONS)
        return self.pairs.sharp_levels.unscale(self.scale.to_local(sample)[:, 0].cpu().numpy())


def measured_facts(pairs: TrainingPairs, started_from: str | None) -> SamplerFacts:
    """Return the facts of a sampler before its training: its microscope, and what is measured on sharp patches."""
    sharp = torch.cat([pairs.examples(_SCALE_STEP + k).sharp for k in range(_SCALE_STEPS)])
    planes = [np.asarray(patch) for patch in sharp[:, 0].numpy()]
    return SamplerFacts(
        SampleScale.of(sharp),
        structure_level(planes),
        started_from,
        faintest=faintest(planes),
        smallest=smallest(pairs.source.planes),
        microscope=pairs.microscope if isinstance(pairs, SimulatedPairs) else None,
        evaluations=EVALUATIONS,
    )
