"""The U-Net of the diffusion model, and its memory format for training and sampling."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from ..base.devices import autocast
from .unet import UNet
from .unet_config import UNetConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLASSES, _TIME_BIAS = "class_embedding.weight", "time_embedding.linear_2.bias"
BLOCK = 4  # pixels; each block of BLOCK × BLOCK pixels becomes BLOCK² channels of one position


def make_unet(channels: Sequence[int], given: int = 0, classes: int = 0) -> UNet:
    """Return an untrained U-Net with one residual layer per resolution, and attention at the lowest resolution.

    Parameters
    ----------
    channels
        Width at each resolution, the finest first.
    given
        Number of images that the network receives beside the noisy one; see `network_output`.
    classes
        Number of classes; 0 for a network without. It then has one more class, "no class".
    """
    plain = len(channels) - 1
    config = UNetConfig(
        in_channels=BLOCK**2 * (1 + given),
        out_channels=BLOCK**2,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * plain + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
        attention_head_dim=16,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        num_class_embeds=classes + 1 if classes else None,
    )
    unet = UNet(config)
    # Before the training, an output of zero has the smallest expected loss.
    torch.nn.init.zeros_(unet.conv_out.weight)
    if unet.class_embedding is not None:
        torch.nn.init.zeros_(unet.class_embedding.weight)
    return _in_format(unet, torch.channels_last)


def with_given_images(unet: UNet, given: int) -> UNet:
    """Return a network with the weights of `unet` that receives `given` images more beside the noisy one.

    The weights of the new inputs are 0, so that it computes what `unet` does until it is trained.
    """
    config = dataclasses.replace(unet.config, in_channels=unet.config.in_channels + BLOCK**2 * given)
    wider = UNet(config)
    weights = dict(unet.state_dict())
    known = weights["conv_in.weight"]
    weights["conv_in.weight"] = torch.cat([known, known.new_zeros(len(known), BLOCK**2 * given, *known.shape[2:])], 1)
    wider.load_state_dict(weights)
    return _in_format(wider, torch.channels_last)


def with_classes(unet: UNet, former: Sequence[int | None]) -> UNet:
    """Return a network with classes that begins with the weights of `unet`, with or without classes.

    Until it is trained, it computes for each class what `unet` does for the former class.

    Parameters
    ----------
    unet
        The network that it begins with.
    former
        For each class, the class of `unet`; None for "no class", or for a network without classes.
    """
    known = unet.state_dict().get(_CLASSES)
    if known is None:
        rows = torch.zeros(len(former) + 1, 4 * unet.config.block_out_channels[0])
    else:
        rows = torch.stack([known[-1 if index is None else index] for index in (*former, None)])
    classes = UNet(dataclasses.replace(unet.config, num_class_embeds=len(rows)))
    classes.load_state_dict({**unet.state_dict(), _CLASSES: rows})
    return _in_format(classes, torch.channels_last)


def without_classes(unet: UNet) -> UNet:
    """Return a network without classes that computes what `unet` does for "no class"."""
    if unet.class_embedding is None:
        return unet
    weights = dict(unet.state_dict())
    no_class = weights.pop(_CLASSES)[-1]
    # The embeddings of the time and of the class are added.
    weights[_TIME_BIAS] = weights[_TIME_BIAS] + no_class
    single = UNet(dataclasses.replace(unet.config, num_class_embeds=None))
    single.load_state_dict(weights)
    return _in_format(single, torch.channels_last)


def _in_format(unet: UNet, layout: torch.memory_format) -> UNet:
    converted: UNet = unet.to(memory_format=layout)  # type: ignore[call-overload]  # missing in torch's stubs
    return converted


def training_format(device: torch.device) -> torch.memory_format:
    """Return the memory format for training.

    On a CPU a training step takes 0.9 of the time with channels first. Sampling is faster with channels last
    (`benchmarks/speed/limits.py --only formats`).
    """
    return torch.contiguous_format if device.type == "cpu" else torch.channels_last


def for_training(unet: UNet, device: torch.device) -> UNet:
    """Return the network on `device`, in the memory format and the mode for training."""
    return _in_format(unet.to(device), training_format(device)).train()


def for_sampling(unet: UNet) -> UNet:
    """Return the network in the memory format and the mode for sampling."""
    return _in_format(unet, torch.channels_last).eval()


def clone_unet(unet: UNet) -> UNet:
    """Return a copy of a network, for sampling; its layers may be those of an older version."""
    return for_sampling(copy.deepcopy(unet))


def field_multiple(unet: UNet) -> int:
    """Return the number of pixels that the sides of a field must be multiples of."""
    return int(BLOCK * 2 ** (len(unet.config.block_out_channels) - 1))


def network_output(
    unet: torch.nn.Module,
    scaled: torch.Tensor,
    sigma: torch.Tensor,
    *,
    given: torch.Tensor | None = None,
    **condition: Any,
) -> torch.Tensor:
    """Evaluate the network: F(c_in x; c_noise) of EDM's equation 7.

    Parameters
    ----------
    unet
        The network.
    scaled
        c_in(σ)·x, (B, 1, Y, X) float32.
    sigma
        Noise levels, (B,).
    given
        Images of the same field that the network receives beside the noisy one, (B, C, Y, X); None for no image.
    **condition
        Further inputs of the network; see `Denoiser`.

    Returns
    -------
    (B, 1, Y, X) float32.
    """
    layout = training_format(scaled.device) if unet.training else torch.channels_last
    images = scaled if given is None else torch.cat([scaled, given], 1)
    blocks = F.pixel_unshuffle(images, BLOCK).contiguous(memory_format=layout)
    # The time embedding is designed for a range of about 1000, which 100 ln σ has.
    with autocast(scaled.device):
        output = unet(blocks, 100 * torch.log(sigma), **condition)
    return F.pixel_shuffle(output.float(), BLOCK)
