"""The shape of the U-Net of a diffusion model: config.json in the format of the library diffusers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..base.errors import InputError
from ..base.printable import printable

# Keys that diffusers requires in config.json, with the version whose format it has.
_HEADER = {"_class_name": "UNet2DModel", "_diffusers_version": "0.42.1"}
_VARIABLE = {
    "sample_size", "in_channels", "out_channels", "down_block_types", "up_block_types", "block_out_channels",
    "layers_per_block", "attention_head_dim", "norm_num_groups", "attn_norm_num_groups", "norm_eps",
    "resnet_time_scale_shift", "num_class_embeds",
}  # fmt: skip
# A damaged or hostile file must not fill the memory, nor make a network whose every step takes hours.
_MOST_LAYERS = 8  # residual layers at one resolution; known models have 1 to 3
_MOST_LEVELS = 8  # resolutions; known models have 3 to 6
_MOST_WIDTH = 4096  # channels; known models have up to 1280
_LIMITS = {  # smallest and largest whole number of each field
    "in_channels": (1, 64),
    "out_channels": (1, 64),
    "layers_per_block": (1, _MOST_LAYERS),
    "norm_num_groups": (1, _MOST_WIDTH),
    "attn_norm_num_groups": (1, _MOST_WIDTH),
    "attention_head_dim": (1, _MOST_WIDTH),
    "sample_size": (1, 2**16),
    "num_class_embeds": (1, 1024),
}
_OPTIONAL = {"attn_norm_num_groups", "attention_head_dim", "sample_size", "num_class_embeds"}
DOWN_BLOCKS, UP_BLOCKS = ("DownBlock2D", "AttnDownBlock2D"), ("UpBlock2D", "AttnUpBlock2D")


class UnknownNetworkError(InputError):
    """A network has an unsupported shape; the message names the field of config.json."""


@dataclass(frozen=True)
class UNetConfig:
    """The shape of a U-Net: the fields and defaults of diffusers' `UNet2DModel`.

    Only the parameters described here can be chosen. All other fields are part of config.json and must have their
    defaults.

    Parameters
    ----------
    sample_size
        Side of the training images in pixels, for information; None if it is unknown.
    in_channels, out_channels
        Channels of the input and of the output.
    down_block_types, up_block_types
        One name per resolution, from the input to the output; names with `Attn` have attention.
    block_out_channels
        Width at each resolution, the finest first.
    layers_per_block
        Residual layers at each resolution of the encoder; the decoder has one more.
    attention_head_dim
        Channels of an attention head; None for a single head.
    norm_num_groups
        Groups of the group normalization.
    attn_norm_num_groups
        The same in the attention of the lowest resolution. None for no normalization with "scale_shift", else for
        `norm_num_groups`.
    norm_eps
        Added to the variances of the group normalization.
    resnet_time_scale_shift
        "scale_shift" if the time embedding scales and shifts the features, "default" if it is added to them.
    num_class_embeds
        Number of classes of a conditional network, with the last one for "no class"; None for a network without.

    Raises
    ------
    UnknownNetworkError
        If the shape is unsupported; the message names the field.
    """

    sample_size: int | None = None
    in_channels: int = 3
    out_channels: int = 3
    center_input_sample: bool = False
    time_embedding_type: str = "positional"
    time_embedding_dim: int | None = None
    freq_shift: int = 0
    flip_sin_to_cos: bool = True
    down_block_types: tuple[str, ...] = ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")
    mid_block_type: str | None = "UNetMidBlock2D"
    up_block_types: tuple[str, ...] = ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    block_out_channels: tuple[int, ...] = (224, 448, 672, 896)
    layers_per_block: int = 2
    mid_block_scale_factor: float = 1
    downsample_padding: int = 1
    downsample_type: str = "conv"
    upsample_type: str = "conv"
    dropout: float = 0.0
    act_fn: str = "silu"
    attention_head_dim: int | None = 8
    norm_num_groups: int = 32
    attn_norm_num_groups: int | None = None
    norm_eps: float = 1e-5
    resnet_time_scale_shift: str = "default"
    add_attention: bool = True
    class_embed_type: str | None = None
    num_class_embeds: int | None = None
    num_train_timesteps: int | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in _VARIABLE and not _same(value, field.default):
                raise UnknownNetworkError(f"{field.name} must be {field.default!r} in the U-Net, not {_short(value)}.")
        self._check_texts()
        self._check_numbers()

    def _check_texts(self) -> None:
        """Raise an UnknownNetworkError unless the names of blocks and methods are known."""
        choices = (
            ("down_block_types", self.down_block_types, DOWN_BLOCKS),
            ("up_block_types", self.up_block_types, UP_BLOCKS),
            ("resnet_time_scale_shift", (self.resnet_time_scale_shift,), ("default", "scale_shift")),
        )
        for name, values, known in choices:
            if not isinstance(values, tuple) or (unknown := [value for value in values if value not in known]):
                wrong = unknown[0] if isinstance(values, tuple) else values
                raise UnknownNetworkError(
                    f"{name} must be {' or '.join(known)} in the U-Net, not {printable(wrong, 80)}."
                )

    def _check_numbers(self) -> None:
        """Raise an UnknownNetworkError unless all numbers are within limits, and fit each other."""
        widths = self.block_out_channels
        if not isinstance(widths, tuple) or not all(_is_whole(width, 1, _MOST_WIDTH) for width in widths):
            raise UnknownNetworkError(
                f"block_out_channels must be whole numbers from 1 to {_MOST_WIDTH} in the U-Net, not {_short(widths)}."
            )
        if len(widths) > _MOST_LEVELS:
            raise UnknownNetworkError(f"The U-Net must have at most {_MOST_LEVELS} resolutions, not {len(widths)}.")
        if not len(self.block_out_channels) == len(self.down_block_types) == len(self.up_block_types) > 0:
            raise UnknownNetworkError("block_out_channels, down_block_types and up_block_types must be equally long.")
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not (_is_whole(value, low, high) or (value is None and name in _OPTIONAL)):
                raise UnknownNetworkError(f"{name} must be from {low} to {high} in the U-Net, not {_short(value)}.")
        if isinstance(self.norm_eps, bool) or not isinstance(self.norm_eps, (int, float)) or not 0 < self.norm_eps <= 1:
            raise UnknownNetworkError(f"norm_eps must be from 0 to 1 in the U-Net, not {_short(self.norm_eps)}.")
        if any(width % self.norm_num_groups for width in widths) or widths[-1] % (self.attn_norm_num_groups or 1):
            raise UnknownNetworkError("The widths of the U-Net must be multiples of its numbers of groups.")
        kinds = ((self.down_block_types, widths), (self.up_block_types, widths[::-1]), ((DOWN_BLOCKS[1],), widths[-1:]))
        attended = [width for types, row in kinds for kind, width in zip(types, row, strict=True) if "Attn" in kind]
        if (self.attention_head_dim or 1) > min(attended):
            raise UnknownNetworkError("attention_head_dim must be at most the widths that have attention in the U-Net.")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> UNetConfig:
        """Return the configuration in config.json; raises UnknownNetworkError if it is unsupported."""
        if not isinstance(values, Mapping):
            raise UnknownNetworkError("The content of config.json must be an object.")
        if values.get("_class_name", _HEADER["_class_name"]) != _HEADER["_class_name"]:
            name = printable(values["_class_name"], 80)
            raise UnknownNetworkError(f"The network must be a {_HEADER['_class_name']}, not a {name}.")
        # Keys with an underscore state the origin of the file.
        fields = {key: _frozen(value) for key, value in values.items() if not key.startswith("_")}
        if unknown := sorted(fields.keys() - {field.name for field in dataclasses.fields(cls)}):
            raise UnknownNetworkError(f"{printable(', '.join(unknown), 80)} is not supported in the U-Net.")
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """Return the content of config.json."""
        return {**_HEADER, **dataclasses.asdict(self)}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _is_whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high  # True is no number here


def _same(value: Any, default: Any) -> bool:
    """Return whether a value equals the default, and is a truth value only where the default is one."""
    return isinstance(value, bool) == isinstance(default, bool) and bool(value == default)


def _short(value: Any) -> str:
    return printable(repr(value), 80)
