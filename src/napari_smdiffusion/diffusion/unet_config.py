"""The shape of the U-Net of a diffusion model: config.json in the format of the library diffusers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Keys that diffusers requires in config.json, with the version whose format it has.
_HEADER = {"_class_name": "UNet2DModel", "_diffusers_version": "0.42.1"}
_VARIABLE = {
    "sample_size", "in_channels", "out_channels", "down_block_types", "up_block_types", "block_out_channels",
    "layers_per_block", "attention_head_dim", "norm_num_groups", "attn_norm_num_groups", "norm_eps",
    "resnet_time_scale_shift",
}  # fmt: skip
_MOST_LAYERS = 8  # residual layers at one resolution; known models have 1 to 3
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
            if field.name not in _VARIABLE and value != field.default:
                raise UnknownNetworkError(f"{field.name} must be {field.default!r} in the U-Net, not {value!r}.")
        choices = (
            ("down_block_types", self.down_block_types, DOWN_BLOCKS),
            ("up_block_types", self.up_block_types, UP_BLOCKS),
            ("resnet_time_scale_shift", (self.resnet_time_scale_shift,), ("default", "scale_shift")),
        )
        for name, values, known in choices:
            if unknown := set(values) - set(known):
                raise UnknownNetworkError(f"{name} must be {' or '.join(known)} in the U-Net, not {min(unknown)}.")
        if not len(self.block_out_channels) == len(self.down_block_types) == len(self.up_block_types) > 0:
            raise UnknownNetworkError("block_out_channels, down_block_types and up_block_types must be equally long.")
        # A damaged or hostile file must not fill the memory.
        if not (isinstance(self.layers_per_block, int) and 1 <= self.layers_per_block <= _MOST_LAYERS):
            raise UnknownNetworkError(
                f"layers_per_block must be from 1 to {_MOST_LAYERS} in the U-Net, not {self.layers_per_block!r}."
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> UNetConfig:
        """Return the configuration in config.json; raises UnknownNetworkError if it is unsupported."""
        if values.get("_class_name", _HEADER["_class_name"]) != _HEADER["_class_name"]:
            raise UnknownNetworkError(f"The network must be a {_HEADER['_class_name']}, not a {values['_class_name']}.")
        # Keys with an underscore state the origin of the file.
        fields = {key: _frozen(value) for key, value in values.items() if not key.startswith("_")}
        if unknown := sorted(fields.keys() - {field.name for field in dataclasses.fields(cls)}):
            raise UnknownNetworkError(f"{', '.join(unknown)} is not supported in the U-Net.")
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """Return the content of config.json."""
        return {**_HEADER, **dataclasses.asdict(self)}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
