"""Checkpoints of improved_diffusion_for_SMLM (0.3.0 to 0.4.8), the code of Saguy et al., as models of ours.

Its network is the UNetModel of OpenAI's improved-diffusion, which our U-Net computes exactly when each weight is
put into its place: nothing is approximated, and the model folder is one like any other.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..base.errors import InputError
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

Weights = Mapping[str, torch.Tensor]

_WIDTHS = {32: (1, 2, 2, 2), 64: (1, 2, 2, 2), 128: (1, 1, 2, 2, 2), 256: (1, 1, 2, 2, 2, 2)}  # by image size
_ATTENDED = (16, 8)  # sides of the grids that are attended to, unless it was changed in training
_RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = {"norm": "group_norm", "qkv": "qkv", "proj_out": "to_out.0"}
_NAME_ONE = "name an ema_0.9999_NNNNNN.pt or modelNNNNNN.pt of improved_diffusion_for_SMLM"


class CheckpointError(InputError):
    """A file is no checkpoint of the reference implementation, or one of a network that cannot be imported."""


@dataclass(frozen=True)
class Layout:
    """The shape of a network, as its weights show it.

    Parameters
    ----------
    channels
        Width at each resolution, the finest first.
    blocks
        Residual blocks at each resolution on the way down; one more on the way up.
    attention
        Whether each resolution is attended to.
    scale_shift
        Whether the time scales and shifts the features, rather than being added to them.
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
    """Make a diffusion model of an `ema_0.9999_NNNNNN.pt` or `modelNNNNNN.pt` of improved_diffusion_for_SMLM.

    The file is read with `weights_only=True`: nothing in it is executed.

    Parameters
    ----------
    path
        The checkpoint.
    config
        What its weights do not say.
    name
        What to call the model; by default the name of the file.

    Raises
    ------
    CheckpointError
        With a sentence that names the file and what to do, if it is something else.
    InputError
        If `config` does not suit the network.
    """
    path, config = Path(path), config or ImportConfig()
    low, high = config.intensity_range
    if not low < high:
        raise InputError(f"intensity_range must go from the smaller to the larger value, not {low:g} {high:g}.")
    weights = _read(path)
    with _strange_weights_named(path):
        layout = read_layout(weights)
    config = replace(config, image_size=_image_size(layout, config.image_size, path))
    if layout.channels[-1] % config.heads:
        raise InputError(f"heads must divide the width of the network, {layout.channels[-1]}, not {config.heads}.")
    with _strange_weights_named(path):
        unet = make_network(layout, config)
        unet.load_state_dict(converted(weights, layout, config.heads))
    middle = (low + high) / 2
    # From [-1, 1] to the range of intensities.
    scaling = Scaling(middle, sigma_data=1.0, std=high - middle, low=low, high=high)
    facts = _facts(path, config, layout, name or path.stem)
    known = TrainConfig(patch=config.image_size or 0, channels=layout.channels)
    unet = for_sampling(unet)
    return DiffusionModel(unet, scaling, config.pixel_size, known, facts)


def _read(path: Path) -> Weights:
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the file's age or origin: it is a checkpoint, or refused below
            content = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
    # Whatever is no checkpoint makes torch, pickle and zipfile raise errors of all kinds.
    except Exception as error:
        raise CheckpointError(f"{path} is damaged, or no checkpoint at all: {_NAME_ONE}.") from error
    if isinstance(content, Mapping) and {"state", "param_groups"} <= set(content):
        raise CheckpointError(f"{path} is the state of the optimizer, not the network: {_NAME_ONE}.")
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(f"{path} holds something else than the weights of a network: {_NAME_ONE}.")
    if any(str(key).startswith(("label_emb.", "cond_block.")) for key in content):
        raise CheckpointError(f"{path} was trained with conditions (classes or images): import one trained without.")
    if not all(bool(torch.isfinite(value).all()) for value in content.values()):
        raise CheckpointError(f"{path} has weights that are no numbers, its training failed: import an earlier one.")
    return {str(key): value.float() for key, value in content.items()}


@contextmanager
def _strange_weights_named(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with the weights of another network into one sentence that names the file."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from error
    except Exception as error:
        raise CheckpointError(f"{path} holds the weights of another network: {_NAME_ONE}.") from error


def read_layout(weights: Weights) -> Layout:
    """Deduce the shape of the network from its weights; raises errors of all kinds if it is another network."""
    count = 1 + max(int(key.split(".")[1]) for key in weights if key.startswith("input_blocks."))
    levels: list[list[str]] = [[]]
    for block in (f"input_blocks.{place}" for place in range(1, count)):
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


def _image_size(layout: Layout, given: int | None, path: Path) -> int:
    """Return the side of the training images: the one given, or what the network is like."""
    base = layout.channels[0]
    fitting = [size for size, widths in _WIDTHS.items() if tuple(base * width for width in widths) == layout.channels]
    if not fitting:
        raise CheckpointError(f"{path} holds the weights of another network: {_NAME_ONE}.")
    sizes = " or ".join(map(str, fitting))
    if given is not None and given not in fitting:
        raise InputError(f"image_size must be {sizes} for the network in {path.name}, not {given}.", "image_size")
    if given is not None:
        return given
    # 32 and 64 have networks of the same shape, which attend to different places of it.
    scales = {2**level for level, attends in enumerate(layout.attention) if attends}
    usual = [size for size in fitting if {size // side for side in _ATTENDED} == scales]
    if len(usual or fitting) == 1:
        return (usual or fitting)[0]
    raise InputError(f"image_size must be given for the network in {path.name}: it is {sizes}.", "image_size")


def make_network(layout: Layout, config: ImportConfig) -> UNet:
    """Return an untrained network that computes what the reference's of this layout does."""
    attended = {width for width, attends in zip(layout.channels, layout.attention, strict=True) if attends}
    if attended - {layout.channels[-1]}:
        raise CheckpointError(
            "attends to grids of different widths, which is not supported: import one that attends at 16 and 8 pixels."
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


def parts(layout: Layout) -> Iterator[tuple[str, str]]:
    """Yield the name of each layer in the checkpoint and in `UNet`; qkv is three layers there."""
    yield "time_embed.0", "time_embedding.linear_1"
    yield "time_embed.2", "time_embedding.linear_2"
    yield "input_blocks.0.0", "conv_in"
    yield from _inside("middle_block.0", "mid_block.resnets.0", _RESIDUAL)
    yield from _inside("middle_block.1", "mid_block.attentions.0", _ATTENTION)
    yield from _inside("middle_block.2", "mid_block.resnets.1", _RESIDUAL)
    yield "out.0", "conv_norm_out"
    yield "out.2", "conv_out"
    deepest = len(layout.channels) - 1
    for level, attends in enumerate(layout.attention):
        there, here = level * (layout.blocks + 1) + 1, f"down_blocks.{level}"
        for i in range(layout.blocks):
            yield from _inside(f"input_blocks.{there + i}.0", f"{here}.resnets.{i}", _RESIDUAL)
            if attends:
                yield from _inside(f"input_blocks.{there + i}.1", f"{here}.attentions.{i}", _ATTENTION)
        if level < deepest:
            yield f"input_blocks.{there + layout.blocks}.0.op", f"{here}.downsamplers.0.conv"
    for level, attends in enumerate(reversed(layout.attention)):
        there, here = level * (layout.blocks + 1), f"up_blocks.{level}"
        for i in range(layout.blocks + 1):
            yield from _inside(f"output_blocks.{there + i}.0", f"{here}.resnets.{i}", _RESIDUAL)
            if attends:
                yield from _inside(f"output_blocks.{there + i}.1", f"{here}.attentions.{i}", _ATTENTION)
        if level < deepest:
            yield f"output_blocks.{there + layout.blocks}.{1 + attends}.conv", f"{here}.upsamplers.0.conv"


def _inside(there: str, here: str, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for theirs, ours in names.items():
        yield f"{there}.{theirs}", f"{here}.{ours}"


def converted(weights: Weights, layout: Layout, heads: int) -> dict[str, torch.Tensor]:
    """Return the weights under the names and in the shapes that `UNet` has for them."""
    names = dict(parts(layout))
    result = {}
    for key, value in weights.items():
        layer, _, leaf = key.rpartition(".")
        name = names[layer]
        if layer == "out.2":
            # Where the variance was learned too, it comes after the noise; the solver has no use for it.
            # Three channels of condition beside three of image, with the variance learned, look like images of six.
            if len(value) not in (layout.images, 2 * layout.images) or len(value) == layout.images == 6:
                raise CheckpointError("was trained with conditioning images: import one trained without.")
            value = value[: layout.images]
        value = value[..., 0] if value.ndim == 3 else value  # a convolution over places of size 1 is a matrix
        if name.endswith(".qkv"):
            # Head by head: its queries, its keys, its values.
            split = value.reshape(heads, 3, -1, *value.shape[1:]).unbind(1)
            for letter, part in zip("qkv", split, strict=True):
                result[f"{name.removesuffix('qkv')}to_{letter}.{leaf}"] = part.flatten(0, 1)
        else:
            result[f"{name}.{leaf}"] = value
    return result


def _facts(path: Path, config: ImportConfig, layout: Layout, name: str) -> DiffusionFacts:
    """Return what an imported model knows of itself."""
    found = re.search(r"(\d+)$", path.stem)
    imported = ImportFacts(
        path.name,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        layout.channels[0],
        layout.blocks,
        **vars(config),
    )
    return training_facts(
        DiffusionFacts,
        [],
        name,
        steps=int(found.group(1)) if found else 0,
        parameterization=NOISE,
        noise_schedule=ScheduleFacts(config.schedule, config.diffusion_steps),
        imported=imported,
    )
