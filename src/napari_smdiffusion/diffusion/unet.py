"""The U-Net of a diffusion model, and the folder that it is stored in.

The network computes the same output as `UNet2DModel` of the library diffusers, bit for bit in float32. Its parameters
have the same names, order and initial values. Its folder has the same files, and each library opens those of the other.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn

from ..base.json_values import read_json
from ..base.regular_files import read_text
from ..base.stored_weights import stored_weights
from ..base.tensors import read_weights, shapes_of
from .unet_config import DOWN_BLOCKS, UP_BLOCKS, UNetConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..base.stored_weights import Bits

_CONFIG_FILE, _WEIGHTS_FILE = "config.json", "diffusion_pytorch_model.safetensors"


class UNet(nn.Module):
    """A U-Net whose inputs are an image, a time and perhaps a class, with attention at chosen resolutions.

    The parameters are created in the order of diffusers, so that a seed gives the same network.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.block_out_channels
        deepest = len(widths) - 1
        self.conv_in = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.time_embedding = _TimeEmbedding(widths[0])
        self.class_embedding: nn.Embedding | None = None
        if config.num_class_embeds is not None:
            self.class_embedding = nn.Embedding(config.num_class_embeds, 4 * widths[0])
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        for level, kind in enumerate(config.down_block_types):
            before = widths[max(0, level - 1)]
            self.down_blocks.append(_Down(config, before, widths[level], kind == DOWN_BLOCKS[1], level == deepest))
        self.mid_block = _Middle(config)
        for level, kind in zip(range(deepest, -1, -1), config.up_block_types, strict=True):
            before, skip = widths[min(level + 1, deepest)], widths[max(0, level - 1)]
            self.up_blocks.append(_Up(config, before, skip, widths[level], kind == UP_BLOCKS[1], level == 0))
        self.conv_norm_out = nn.GroupNorm(config.norm_num_groups, widths[0], config.norm_eps)
        self.conv_out = nn.Conv2d(widths[0], config.out_channels, 3, padding=1)

    def forward(self, x: torch.Tensor, time: torch.Tensor, class_labels: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the output of the network.

        Parameters
        ----------
        x
            Images, (B, in_channels, Y, X). Their sides are multiples of 2 ** (number of resolutions - 1).
        time
            Times, (B,) or (), from 0 to about 1000.
        class_labels
            Class of each image, (B,) whole numbers, for a network with classes. None: the last class, "no class".

        Returns
        -------
        (B, out_channels, Y, X).

        Raises
        ------
        ValueError
            If classes are given to a network without.
        """
        embedded = self.time_embedding(_waves(time.expand(len(x)), self.conv_in.out_channels).to(self.dtype))
        if self.class_embedding is not None:
            labels = class_labels
            if labels is None:
                labels = torch.full((len(x),), self.class_embedding.num_embeddings - 1, device=x.device)
            embedded = embedded + self.class_embedding(labels.to(x.device)).to(self.dtype)
        elif class_labels is not None:
            raise ValueError("The network has no classes.")
        x = self.conv_in(x)
        skips = [x]
        for down in self.down_blocks:
            x = down(x, embedded, skips)
        x = self.mid_block(x, embedded)
        for up in self.up_blocks:
            x = up(x, embedded, skips)
        output: torch.Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return output

    @property
    def dtype(self) -> torch.dtype:
        """The data type of the parameters."""
        return self.conv_in.weight.dtype


def _waves(time: torch.Tensor, channels: int) -> torch.Tensor:
    """Return cosines and sines of times (B,), with periods from 2π to nearly 2π · 10⁴: (B, channels) float32."""
    half = channels // 2
    exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=time.device) / half
    angles = time[:, None].float() * torch.exp(exponent)
    return F.pad(torch.cat([angles.cos(), angles.sin()], dim=1), (0, channels % 2))


class _TimeEmbedding(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, 4 * channels)
        self.linear_2 = nn.Linear(4 * channels, 4 * channels)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.linear_2(F.silu(self.linear_1(waves)))
        return embedded


class _Residual(nn.Module):
    def __init__(self, config: UNetConfig, before: int, after: int) -> None:
        super().__init__()
        groups, eps = config.norm_num_groups, config.norm_eps
        self.scale_shift = config.resnet_time_scale_shift == "scale_shift"
        self.norm1 = nn.GroupNorm(groups, before, eps)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.time_emb_proj = nn.Linear(4 * config.block_out_channels[0], (1 + self.scale_shift) * after)
        self.norm2 = nn.GroupNorm(groups, after, eps)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(before, after, 1) if before != after else None

    def forward(self, x: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        inner = self.conv1(F.silu(self.norm1(x)))
        time = self.time_emb_proj(F.silu(embedded))[:, :, None, None]
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            inner = self.norm2(inner) * (1 + scale) + shift
        else:
            inner = self.norm2(inner + time)
        inner = self.conv2(F.silu(inner))
        if self.conv_shortcut is not None:
            # A convolution is rounded differently in each memory format. This one reproduces trainings with diffusers.
            x = self.conv_shortcut(x.contiguous() if self.training else x)
        return torch.add(x, inner)


class _Attention(nn.Module):
    def __init__(self, config: UNetConfig, channels: int, groups: int | None) -> None:
        super().__init__()
        self.head = config.attention_head_dim or channels
        inner = channels // self.head * self.head
        self.group_norm = nn.GroupNorm(groups, channels, config.norm_eps) if groups else None
        self.to_q = nn.Linear(channels, inner)
        self.to_k = nn.Linear(channels, inner)
        self.to_v = nn.Linear(channels, inner)
        self.to_out = nn.ModuleList([nn.Linear(inner, channels)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        positions = (flat if self.group_norm is None else self.group_norm(flat)).transpose(1, 2)
        q, k, v = (
            layer(positions).unflatten(2, (-1, self.head)).transpose(1, 2)
            for layer in (self.to_q, self.to_k, self.to_v)
        )
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        change: torch.Tensor = self.to_out[0](attended).transpose(1, 2).reshape(x.shape)
        return change + x


class _Down(nn.Module):
    """Residual layers at one resolution, and the step to the next one; features for `_Up` are appended to `skips`."""

    def __init__(self, config: UNetConfig, before: int, width: int, attends: bool, last: bool) -> None:
        super().__init__()
        self.attentions, self.resnets = nn.ModuleList(), nn.ModuleList()
        for layer in range(config.layers_per_block):
            self.resnets.append(_Residual(config, width if layer else before, width))
            if attends:
                self.attentions.append(_Attention(config, width, config.norm_num_groups))
        self.downsamplers = nn.ModuleList([] if last else [_Resampling(width, stride=2)])

    def forward(self, x: torch.Tensor, embedded: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        for layer, residual in enumerate(self.resnets):
            x = residual(x, embedded)
            x = self.attentions[layer](x) if self.attentions else x
            skips.append(x)
        for downsampling in self.downsamplers:
            x = downsampling(x)
            skips.append(x)
        return x


class _Middle(nn.Module):
    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        width, groups = config.block_out_channels[-1], config.attn_norm_num_groups
        if groups is None and config.resnet_time_scale_shift == "default":
            groups = config.norm_num_groups
        self.attentions, self.resnets = nn.ModuleList(), nn.ModuleList()
        self.resnets.append(_Residual(config, width, width))
        self.attentions.append(_Attention(config, width, groups))
        self.resnets.append(_Residual(config, width, width))

    def forward(self, x: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        x = self.attentions[0](self.resnets[0](x, embedded))
        output: torch.Tensor = self.resnets[1](x, embedded)
        return output


class _Up(nn.Module):
    """Residual layers at one resolution, and the step to the next finer one; each layer takes the last of `skips`."""

    def __init__(self, config: UNetConfig, before: int, skip: int, width: int, attends: bool, last: bool) -> None:
        super().__init__()
        self.attentions, self.resnets = nn.ModuleList(), nn.ModuleList()
        for layer in range(config.layers_per_block + 1):
            skip_width = skip if layer == config.layers_per_block else width
            self.resnets.append(_Residual(config, (width if layer else before) + skip_width, width))
            if attends:
                self.attentions.append(_Attention(config, width, config.norm_num_groups))
        self.upsamplers = nn.ModuleList([] if last else [_Resampling(width, stride=1)])

    def forward(self, x: torch.Tensor, embedded: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        for layer, residual in enumerate(self.resnets):
            x = residual(torch.cat([x, skips.pop()], dim=1), embedded)
            x = self.attentions[layer](x) if self.attentions else x
        for upsampling in self.upsamplers:
            # With channels last, torch's interpolation fails on more than 2³¹ values.
            x = x.contiguous() if len(x) >= 64 or 2 * x.numel() > 2**31 else x
            x = upsampling(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return x


class _Resampling(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.conv(x)
        return output


def write_unet(folder: Path, config: UNetConfig, weights: Mapping[str, torch.Tensor], bits: Bits = 32) -> None:
    """Write a network to an existing folder, with weights of `bits` each; raises the errors of safetensors."""
    text = json.dumps(config.to_json(), indent=2, sort_keys=True)
    (folder / _CONFIG_FILE).write_text(f"{text}\n", encoding="utf-8")
    content = save(stored_weights(weights, bits), metadata={"format": "pt"})
    # Python's own file names the reason of an error, and takes paths of any bytes.
    (folder / _WEIGHTS_FILE).write_bytes(content)


def read_unet(folder: Path) -> UNet:
    """Return the network in a folder, in float32 and in evaluation mode.

    Raises
    ------
    UnknownNetworkError
        If the network has an unsupported shape.
    TensorFileError
        If a tensor is missing, superfluous, or has another shape or impossible values.
    InputError, ValueError, OSError, SafetensorError
        If files are missing or damaged.
    """
    config = UNetConfig.from_json(read_json(read_text(folder / _CONFIG_FILE)))
    # The device "meta" allocates nothing, so that a damaged configuration costs no memory.
    with torch.device("meta"):
        unet = UNet(config)
    unet.load_state_dict(read_weights(folder / _WEIGHTS_FILE, shapes_of(unet)), assign=True)
    return unet.eval()
