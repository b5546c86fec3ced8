"""Import of checkpoints of improved_diffusion_for_SMLM (0.3.0 to 0.4.8), the code of Saguy et al.

Their network is the UNetModel of OpenAI's improved-diffusion. `UNet` computes the same output exactly once the weights
are renamed and reshaped. The model folder has the usual format.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ..base.errors import InputError
from ..base.folders import user_path
from ..base.regular_files import open_regular
from ..base.tensors import TensorFileError, check_plain, check_weights, load_torch_file
from ..store.facts import training_facts
from .facts import DiffusionFacts, ImportFacts, ScheduleFacts
from .intensities import Scaling
from .model import DiffusionModel
from .network import for_sampling
from .settings import NOISE, ImportConfig, TrainConfig
from .unet import UNet
from .unet_config import UNetConfig

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

Weights = Mapping[str, torch.Tensor]

_WIDTHS = {32: (1, 2, 2, 2), 64: (1, 2, 2, 2), 128: (1, 1, 2, 2, 2), 256: (1, 1, 2, 2, 2, 2)}  # by image size
_ATTENDED = (16, 8)  # sides of the grids that have attention by default, in pixels
_RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = {"norm": "group_norm", "qkv": "qkv", "proj_out": "to_out.0"}
_CHOOSE_CHECKPOINT = "choose an ema_0.9999_NNNNNN.pt or modelNNNNNN.pt of improved_diffusion_for_SMLM"


class CheckpointError(InputError):
    """A file is no checkpoint of the reference implementation, or its network cannot be imported."""


@dataclass(frozen=True)
class Layout:
    """The shape of a network, derived from its weights.

    Parameters
    ----------
    channels
        Width at each resolution, the finest first.
    blocks
        Residual blocks at each resolution of the encoder; the decoder has one more.
    attention
        Whether each resolution has attention.
    scale_shift
        True if the time embedding scales and shifts the features, False if it is added to them.
    images
        Channels of the images.
    """

    channels: tuple[int, ...]
    blocks: int
    attention: tuple[bool, ...]
    scale_shift: bool = True
    images: int = 3


def import_checkpoint(
    path: str | os.PathLike[str], config: ImportConfig | None = None, *, name: str | None = None
) -> DiffusionModel:
    """Import an `ema_0.9999_NNNNNN.pt` or `modelNNNNNN.pt` of improved_diffusion_for_SMLM as a diffusion model.

    The file is read with `weights_only=True`, so that no code in it is executed.

    Parameters
    ----------
    path
        The checkpoint.
    config
        Settings that the checkpoint does not state.
    name
        Name of the model; by default the name of the file.

    Raises
    ------
    CheckpointError
        If the file is something else. The message names the file and a remedy.
    InputError
        If `config` does not suit the network.
    """
    path, config = user_path(path), config or ImportConfig()
    low, high = config.intensity_range
    if not low < high:
        raise InputError(f"intensity_range must go from the smaller to the larger value, not {low:g} {high:g}.")
    weights = _read(path)
    with _other_network_errors(path):
        layout = read_layout(weights)
    config = replace(config, image_size=_image_size(layout, config.image_size, path))
    if layout.channels[-1] % config.heads:
        raise InputError(f"heads must divide the width of the network, {layout.channels[-1]}, not {config.heads}.")
    with _other_network_errors(path):
        # The device "meta" allocates nothing, so that the shapes are compared before memory is taken.
        with torch.device("meta"):
            unet = make_network(layout, config)
        converted = convert_weights(weights, layout, config.heads)
        # Each tensor gets memory of its own, as in a network that was made here.
        unet.load_state_dict(
            {name: value.clone(memory_format=torch.contiguous_format) for name, value in converted.items()}, assign=True
        )
    middle = (low + high) / 2
    # From [-1, 1] to the range of intensities.
    scaling = Scaling(middle, sigma_data=1.0, std=high - middle, low=low, high=high)
    facts = _facts(path, config, layout, name or path.stem)
    settings = TrainConfig(patch=config.image_size or 0, channels=layout.channels)
    unet = for_sampling(unet)
    return DiffusionModel(unet, scaling, config.pixel_size, settings, facts)


def _read(path: Path) -> Weights:
    if not path.exists() or path.is_dir():
        raise CheckpointError(f"There is no file {path}.")
    try:
        content = load_torch_file(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
    except TensorFileError as error:
        raise CheckpointError(f"{path} is damaged, or no checkpoint ({error}): {_CHOOSE_CHECKPOINT}.") from error
    except InputError as error:
        raise CheckpointError(str(error)) from error
    # On other files torch, pickle and zipfile raise errors of many kinds.
    except Exception as error:
        raise CheckpointError(f"{path} is damaged, or no checkpoint: {_CHOOSE_CHECKPOINT}.") from error
    if isinstance(content, Mapping) and {"state", "param_groups"} <= set(content):
        raise CheckpointError(f"{path} is the state of the optimizer, not the network: {_CHOOSE_CHECKPOINT}.")
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(f"{path} does not hold the weights of a network: {_CHOOSE_CHECKPOINT}.")
    if any(str(key).startswith(("label_emb.", "cond_block.")) for key in content):
        raise CheckpointError(f"{path} was trained with conditions (classes or images): import a checkpoint without.")
    weights = {str(key): value.detach() for key, value in content.items()}
    try:
        for name, value in weights.items():
            check_plain(name, value)
    except TensorFileError as error:
        raise CheckpointError(
            f"{path} does not hold the weights of a network ({error}): {_CHOOSE_CHECKPOINT}."
        ) from error
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise CheckpointError(
            f"{path} has weights that are not finite, because its training failed: import an earlier checkpoint."
        )
    try:
        check_weights(weights)
    except TensorFileError as error:
        raise CheckpointError(f"{path} cannot be used ({error}): import an earlier checkpoint.") from error
    return {name: value.float() for name, value in weights.items()}


@contextmanager
def _other_network_errors(path: Path) -> Iterator[None]:
    """Turn any error that the weights of another network cause into one sentence that names the file."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from error
    except Exception as error:
        raise CheckpointError(f"{path} holds the weights of another network: {_CHOOSE_CHECKPOINT}.") from error


def read_layout(weights: Weights) -> Layout:
    """Derive the shape of the network from its weights; raises errors of many kinds for another network."""
    count = 1 + max(int(key.split(".")[1]) for key in weights if key.startswith("input_blocks."))
    if count > len(weights):  # the number of a block is text, of any size
        raise ValueError("There are blocks without weights.")
    levels: list[list[str]] = [[]]
    for block in (f"input_blocks.{index}" for index in range(1, count)):
        if f"{block}.0.op.weight" in weights:
            levels.append([])
        else:
            levels[-1].append(block)
    channels = tuple(len(weights[f"{level[-1]}.0.in_layers.2.weight"]) for level in levels)
    embedded = len(weights[f"{levels[0][0]}.0.emb_layers.1.weight"])
    return Layout(
        channels,
        blocks=len(levels[0]),
        attention=tuple(f"{level[-1]}.1.qkv.weight" in weights for level in levels),
        scale_shift=embedded == 2 * channels[0],
        images=weights["input_blocks.0.0.weight"].shape[1],
    )


def _image_size(layout: Layout, wanted: int | None, path: Path) -> int:
    """Return the side of the training images in pixels: `wanted`, or the side that the shape of the network implies."""
    base = layout.channels[0]
    fitting = [size for size, widths in _WIDTHS.items() if tuple(base * width for width in widths) == layout.channels]
    if not fitting:
        raise CheckpointError(f"{path} holds the weights of another network: {_CHOOSE_CHECKPOINT}.")
    sizes = " or ".join(map(str, fitting))
    if wanted is not None and wanted not in fitting:
        raise InputError(f"image_size must be {sizes} for the network in {path.name}, not {wanted}.", "image_size")
    if wanted is not None:
        return wanted
    # Networks for 32 and 64 pixels have the same widths, and attention at different resolutions.
    scales = {2**level for level, attends in enumerate(layout.attention) if attends}
    usual = [size for size in fitting if {size // side for side in _ATTENDED} == scales]
    if len(usual or fitting) == 1:
        return (usual or fitting)[0]
    raise InputError(f"image_size must be stated for the network in {path.name}: it is {sizes}.", "image_size")


def make_network(layout: Layout, config: ImportConfig) -> UNet:
    """Return an untrained network that computes the same as the reference network of this layout."""
    attended = {width for width, attends in zip(layout.channels, layout.attention, strict=True) if attends}
    if attended - {layout.channels[-1]}:
        raise CheckpointError(
            "has attention at grids of different widths, which is not supported: import a checkpoint with attention at "
            "16 and 8 pixels."
        )
    plain, attending = ("DownBlock2D", "UpBlock2D"), ("AttnDownBlock2D", "AttnUpBlock2D")
    types = [attending if attends else plain for attends in layout.attention]
    shape = UNetConfig(
        sample_size=config.image_size,
        in_channels=layout.images,
        out_channels=layout.images,
        block_out_channels=layout.channels,
        layers_per_block=layout.blocks,
        down_block_types=tuple(down for down, _ in types),
        up_block_types=tuple(up for _, up in reversed(types)),
        attention_head_dim=layout.channels[-1] // config.heads,
        norm_num_groups=32,
        attn_norm_num_groups=32,
        resnet_time_scale_shift="scale_shift" if layout.scale_shift else "default",
    )
    return UNet(shape)


def layer_names(layout: Layout) -> Iterator[tuple[str, str]]:
    """Yield the name of each layer in the checkpoint and in `UNet`, where qkv becomes three layers."""
    yield "time_embed.0", "time_embedding.linear_1"
    yield "time_embed.2", "time_embedding.linear_2"
    yield "input_blocks.0.0", "conv_in"
    yield from _inner_names("middle_block.0", "mid_block.resnets.0", _RESIDUAL)
    yield from _inner_names("middle_block.1", "mid_block.attentions.0", _ATTENTION)
    yield from _inner_names("middle_block.2", "mid_block.resnets.1", _RESIDUAL)
    yield "out.0", "conv_norm_out"
    yield "out.2", "conv_out"
    deepest = len(layout.channels) - 1
    for level, attends in enumerate(layout.attention):
        first, ours = level * (layout.blocks + 1) + 1, f"down_blocks.{level}"
        for i in range(layout.blocks):
            yield from _inner_names(f"input_blocks.{first + i}.0", f"{ours}.resnets.{i}", _RESIDUAL)
            if attends:
                yield from _inner_names(f"input_blocks.{first + i}.1", f"{ours}.attentions.{i}", _ATTENTION)
        if level < deepest:
            yield f"input_blocks.{first + layout.blocks}.0.op", f"{ours}.downsamplers.0.conv"
    for level, attends in enumerate(reversed(layout.attention)):
        first, ours = level * (layout.blocks + 1), f"up_blocks.{level}"
        for i in range(layout.blocks + 1):
            yield from _inner_names(f"output_blocks.{first + i}.0", f"{ours}.resnets.{i}", _RESIDUAL)
            if attends:
                yield from _inner_names(f"output_blocks.{first + i}.1", f"{ours}.attentions.{i}", _ATTENTION)
        if level < deepest:
            yield f"output_blocks.{first + layout.blocks}.{1 + attends}.conv", f"{ours}.upsamplers.0.conv"


def _inner_names(theirs: str, ours: str, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for their_layer, our_layer in names.items():
        yield f"{theirs}.{their_layer}", f"{ours}.{our_layer}"


def convert_weights(weights: Weights, layout: Layout, heads: int) -> dict[str, torch.Tensor]:
    """Return the weights with the names and shapes of `UNet`."""
    names = dict(layer_names(layout))
    result = {}
    for key, value in weights.items():
        layer, _, leaf = key.rpartition(".")
        name = names[layer]
        if layer == "out.2":
            # A learned variance follows the noise, and the solver does not use it. A network with three channels of
            # condition and a learned variance has the same shapes as one for images of six channels.
            if len(value) not in (layout.images, 2 * layout.images) or len(value) == layout.images == 6:
                raise CheckpointError("was trained with conditioning images: import a checkpoint without.")
            value = value[: layout.images]
        value = value[..., 0] if value.ndim == 3 else value  # a convolution of size 1 is a matrix
        if name.endswith(".qkv"):
            # The rows are stored by head: queries, keys and values of the first head, then of the next.
            split = value.reshape(heads, 3, -1, *value.shape[1:]).unbind(1)
            for letter, matrix in zip("qkv", split, strict=True):
                result[f"{name.removesuffix('qkv')}to_{letter}.{leaf}"] = matrix.flatten(0, 1)
        else:
            result[f"{name}.{leaf}"] = value
    return result


def _facts(path: Path, config: ImportConfig, layout: Layout, name: str) -> DiffusionFacts:
    """Return the facts of an imported model."""
    step = re.search(r"(\d+)$", path.stem)
    imported = ImportFacts(
        path.name,
        _digest(path),
        layout.channels[0],
        layout.blocks,
        **vars(config),
    )
    return training_facts(
        DiffusionFacts,
        [],
        name,
        steps=int(step.group(1)) if step else 0,
        parameterization=NOISE,
        noise_schedule=ScheduleFacts(config.schedule, config.diffusion_steps),
        imported=imported,
    )


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, which may be larger than memory."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while part := file.read(2**22):
            digest.update(part)
    return digest.hexdigest()
