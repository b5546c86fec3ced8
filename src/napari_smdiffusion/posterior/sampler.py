"""A posterior sampler: the network that draws sharp images for one widefield image, with its facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..diffusion.network import BLOCK
from ..diffusion.unet import UNet, read_unet, write_unet
from .conditions import GIVEN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from ..base.stored_weights import Bits
    from .facts import SamplerFacts


@dataclass(frozen=True, eq=False)
class PosteriorSampler:
    """The part of an enhancer that draws posterior samples.

    Parameters
    ----------
    network
        The denoiser's network, on the CPU, in float32.
    facts
        Its units and its training.
    """

    network: UNet
    facts: SamplerFacts


def read_sampler(folder: Path, facts: SamplerFacts) -> PosteriorSampler:
    """Read the network of a sampler from a folder of weights.

    Raises
    ------
    InputError, ValueError, OSError, SafetensorError
        If files are missing or damaged, or the network has other inputs or outputs. See also `read_unet`.
    """
    network = read_unet(folder)
    if (network.config.in_channels, network.config.out_channels) != (BLOCK**2 * (1 + GIVEN), BLOCK**2):
        raise InputError("config.json states a network with other numbers of channels.")
    return PosteriorSampler(network, facts)


def write_sampler(
    folder: Path, sampler: PosteriorSampler, average: Sequence[torch.Tensor] | None, bits: Bits = 32
) -> None:
    """Write the network of a sampler into a folder of weights, with `bits` each; raises the errors of `write_unet`.

    `average` are the averaged weights of a training, in the order of the parameters; None for those of the network.
    """
    weights = sampler.network.state_dict()
    if average is not None:
        weights.update(zip(dict(sampler.network.named_parameters()), average, strict=True))
    write_unet(folder, sampler.network.config, weights, bits)
