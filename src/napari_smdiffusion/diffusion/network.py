"""The U-Net of the diffusion model, and its memory layout for training and sampling."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from ..base.devices import autocast
from .unet import UNet
from .unet_config import UNetConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK = 4  # pixels of a side that become channels


def make_unet(channels: Sequence[int]) -> UNet:
    """Return an untrained U-Net with one residual layer per resolution and attention at the lowest one."""
    deeper = len(channels) - 1
    config = UNetConfig(
        in_channels=BLOCK**2,
        out_channels=BLOCK**2,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * deeper + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * deeper,
        attention_head_dim=16,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
    )
    unet = UNet(config)
    # An output of zero is the best guess before anything is learned.
    torch.nn.init.zeros_(unet.conv_out.weight)
    return _laid_out(unet, torch.channels_last)


def _laid_out(unet: UNet, layout: torch.memory_format) -> UNet:
    laid_out: UNet = unet.to(memory_format=layout)  # type: ignore[call-overload]  # missing in torch's stubs
    return laid_out


def training_format(device: torch.device) -> torch.memory_format:
    """Return the memory format of training: channels first on a processor, by which a step takes 0.9 of the time.

    Drawing is quicker with channels last (`benchmarks/speed/limits.py --only formats`).
    """
    return torch.contiguous_format if device.type == "cpu" else torch.channels_last


def for_training(unet: UNet, device: torch.device) -> UNet:
    """Bring a network to where and to how it is trained."""
    return _laid_out(unet.to(device), training_format(device)).train()


def for_sampling(unet: UNet) -> UNet:
    """Bring a network that was trained to how images are drawn with it."""
    return _laid_out(unet, torch.channels_last).eval()


def clone_unet(unet: UNet) -> UNet:
    """Return a network of the same layers, which may be those of an older version, with the same weights."""
    return for_sampling(copy.deepcopy(unet))


def field_multiple(unet: UNet) -> int:
    """Return the number that the sides of a field must be multiples of."""
    return int(BLOCK * 2 ** (len(unet.config.block_out_channels) - 1))


def network_output(unet: torch.nn.Module, scaled: torch.Tensor, sigma: torch.Tensor, **condition: Any) -> torch.Tensor:
    """Evaluate the network: F(c_in x; c_noise) of EDM's equation 7.

    Parameters
    ----------
    unet
        The network.
    scaled
        c_in(σ)·x, (B, 1, Y, X) float32.
    sigma
        (B,) noise levels.
    **condition
        What the network is told besides.

    Returns
    -------
    (B, 1, Y, X) float32.
    """
    layout = training_format(scaled.device) if unet.training else torch.channels_last
    inside = F.pixel_unshuffle(scaled, BLOCK).contiguous(memory_format=layout)
    # The embedding was made for times up to 1000; 100 ln σ spans such a range.
    with autocast(scaled.device):
        output = unet(inside, 100 * torch.log(sigma), **condition)
    return F.pixel_shuffle(output.float(), BLOCK)
