"""Converts napari layers to images and back: pixels, pixel size and place. Without Qt."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...base.errors import InputError
from ...images.axes import CHANNEL, axes_to_json
from ...images.pixel_size import are_anisotropic
from ...images.provenance import GENERATED_PATCH, METADATA, PREVIEW, RESULT_KINDS, SYNTHETIC, TRAINING_PATCH, Provenance
from ...images.reading import read_metadata
from ...images.tiff import write_image
from .layer_axes import channel_in_words, check_channel, choose_channel, chosen_channel, layer_axes
from .layer_pixels import (
    known_pixels,
    layer_pixel_size,
    length_in_nm,
    pixel_edges,
    pixel_sides,
    typed_pixel_size,
    unit_in_nm,
)
from .layer_source import LayerSource
from .own_metadata import STRETCHED, own_metadata
from .shown import with_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

    from ...images.axes import Channel
    from ...images.image import Image

Factor: TypeAlias = float | tuple[float, float]  # pixels of one image per pixel of another, or (y, x) of them
_KINDS_MADE_HERE = (SYNTHETIC, *RESULT_KINDS, PREVIEW, GENERATED_PATCH, TRAINING_PATCH)
_OUR_NAMES = {entry.name for entry in dataclasses.fields(Provenance)}


def image_layers(viewer: ViewerModel) -> list[ImageLayer]:
    """Return the image layers of the viewer, topmost first; without labels, points and shapes."""
    from napari.layers import Image as ImageLayer

    return [layer for layer in reversed(viewer.layers) if type(layer) is ImageLayer]


def made_here(layer: ImageLayer) -> bool:
    """Return whether this program made the image of a layer, so that it is not experimental."""
    return kind(layer) in _KINDS_MADE_HERE or kind(layer).startswith(("uncertainty", "error"))


def kind(layer: ImageLayer) -> str:
    """Return the recorded kind of a layer's image; "experimental" if there is no record."""
    return layer_provenance(layer).kind


def layer_provenance(layer: ImageLayer) -> Provenance:
    """Return the provenance of a layer's image: the record of this program, and metadata of other programs.

    Metadata of other programs are left out if they use our names, which mean something else there, or if JSON cannot
    hold them. Scripts for an earlier version of this program put its record beside `METADATA`; the program's name in
    `made_by` identifies it.
    """
    record = own_metadata(layer).get("provenance")
    others = {key: value for key, value in layer.metadata.items() if key != METADATA}
    if record is None and str(others.get("made_by", "")).startswith("napari-smdiffusion "):
        record = others
    others = {key: value for key, value in others.items() if key not in _OUR_NAMES}
    values = {**others, **(record or {})}
    return Provenance.from_json(
        {key: value for key, value in values.items() if isinstance(key, str) and _is_plain(value)}
    )


def add_file_facts(layer: ImageLayer) -> None:
    """Add the facts in the file of a layer that napari's own reader does not read: provenance, pixel size and axes.

    The pixel size counts as entered by the user, so that the user can correct it. Pixels that are not square get their
    ratio as the scale of the layer.
    """
    path = layer.source.path
    if path is None or METADATA in layer.metadata:
        return
    facts = read_metadata(Path(path))
    ours: dict[str, Any] = {"provenance": dict(facts.provenance)} if facts.provenance else {}
    if unit_in_nm(layer) is None and facts.pixel_size:
        ours |= {"pixel_size_nm": float(facts.pixel_size), "typed": True}
    elif unit_in_nm(layer) is None and facts.sides:
        ours |= {"pixel_size_nm": float(facts.sides[1]), "typed": True}
        ours |= _stretched(layer, facts.sides)
    elif unit_in_nm(layer) is None and facts.problem:
        ours["problem"] = facts.problem
    if facts.axes:
        ours |= {"axes": axes_to_json(facts.axes), "channels": list(facts.channels)}
    if ours:
        layer.metadata = {**layer.metadata, METADATA: ours}


def _stretched(layer: ImageLayer, sides: tuple[float, float]) -> dict[str, float]:
    """Give a layer with a scale of square pixels the scale of pixels with these (y, x) sides; return our metadata."""
    scale, ratio = np.array(layer.scale, float), sides[0] / sides[1]
    row, column = layer_axes(layer).plane_axes
    if are_anisotropic((abs(scale[row]), abs(scale[column]))):
        return {}
    scale[row] *= ratio
    layer.scale = scale
    return {STRETCHED: ratio}


def write_tiff(path: str, layer_data: Sequence[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Write an image layer as a TIFF with its pixel size, place and provenance. This is a napari writer.

    8 and 16 bits stay 8 and 16 bits, fractions are float32.

    napari's own writer leaves all of that out, and with it that an image is synthetic. It still has to be napari's
    first choice for a TIFF, because it writes every image. Manifests have no priority. npe2 ranks a writer by how many
    of its layer types may be absent, so the manifest lists labels as optional here; they are refused.

    Raises
    ------
    InputError
        If `layer_data` is not exactly one image layer, or the layer has several channels.
    """
    from napari.layers import Image as ImageLayer

    if [kind_of_layer for _, _, kind_of_layer in layer_data] != ["image"]:
        raise InputError("A TIFF with pixel size and origin holds one image layer: select one image layer.")
    ((data, attributes, _),) = layer_data
    options = ("name", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels", "metadata", "rgb")
    layer = ImageLayer(data, **{key: attributes[key] for key in (*options, "multiscale") if key in attributes})
    axes = layer_axes(layer)
    if any(name == CHANNEL and n > 1 for name, n in zip(axes.names, axes.lengths, strict=True)):
        raise InputError(
            f"{layer.name} has several channels, and this type of TIFF holds one: split the stack into layers first."
        )
    own = np.dtype(layer.dtype)
    dtype = own if own in (np.uint8, np.uint16) else np.float32 if own.kind == "f" else None
    image = layer_image(layer)
    write_image(path, replace(image, provenance=with_shown(image.provenance, attributes)), dtype)
    return [path]


def layer_source(layer: ImageLayer) -> LayerSource:
    """Return a copy of a layer as a source for a worker thread.

    Raises
    ------
    InputError
        If the layer is RGB, has several channels of which none is chosen, or has pixels that are not square.
    """
    return live_source(layer).copied()


def live_source(layer: ImageLayer, *, anisotropic: bool = False) -> LayerSource:
    """Return the same as `layer_source` without a copy of the pixels.

    With `anisotropic`, the pixels need not be square, if their sides are known: the source then states both of them.
    """
    if layer.rgb:
        raise InputError(f"{layer.name} is a color (RGB) image: split it, or convert it to grayscale first.")
    data = layer.data[0] if layer.multiscale else layer.data
    if own_metadata(layer).get("unfinished"):
        raise InputError(f"{layer.name} is still being computed: wait until it is finished.")
    axes = check_channel(layer)
    # A projection of a growing layer has its metadata too, but is a finished 2-D image.
    finished = own_metadata(layer).get("finished") if data.ndim == 3 else None
    if finished == 0:
        raise InputError(f"The first image of {layer.name} is still being generated: wait until it is finished.")
    if finished:
        data = data[:finished]
    pixels = known_pixels(layer) if anisotropic else None
    sides = pixels if isinstance(pixels, tuple) else None
    size, provenance = layer_pixel_size(layer) if sides is None else sides[1], layer_provenance(layer)
    if (words := channel_in_words(axes)) is not None:
        provenance = replace(provenance, channel=words)
    channel_axis, channel = chosen_channel(layer) or (None, None)
    return LayerSource(
        layer.name,
        data,
        size,
        _corner(layer, size),
        provenance,
        layer.name,
        axes=() if finished else axes.axes,
        index=axes.index,
        behind=axes.behind,
        channel=channel,
        channel_axis=channel_axis,
        sides=sides,
    )


def _is_plain(value: Any) -> bool:
    """Return whether JSON can hold a value of other readers' metadata."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _corner(layer: ImageLayer, pixel_size: float | None) -> tuple[float, float]:
    """Return the corner (y, x) of the first pixel in nm."""
    axes = layer_axes(layer).plane_axes
    place = np.zeros(layer.ndim)
    place[list(axes)] = -0.5  # napari's origin is the centre of the first pixel
    corner = layer.data_to_world(place)
    # Without a unit of length, one pixel of the layer's scale has the known pixel size.
    step = 1.0 if unit_in_nm(layer) or not pixel_size else pixel_size / pixel_edges(layer)[1]
    y, x = (float(corner[axis]) * (length_in_nm(layer.units[axis]) or 1.0) * step for axis in axes)
    return y, x


def layer_image(layer: ImageLayer, channel: Channel = None, channel_axis: int | None = None) -> Image:
    """Return a layer as an `Image`: its pixels, its axes, its pixel size in nm, and its place.

    Parameters
    ----------
    layer
        An image layer.
    channel
        Index or name of the channel of a layer with several, or "all" if its planes are of one kind. The layer keeps
        the choice. None: the choice that it keeps.
    channel_axis
        Index of the axis of channels, if neither labels nor the file of the layer name it.
    """
    if channel is not None:
        choose_channel(layer, channel, channel_axis)
    return layer_source(layer).read()


def size_text(layer: ImageLayer) -> str:
    """Return the size and pixel size of a layer as text."""
    data = layer.data[0] if layer.multiscale else layer.data
    shape = " × ".join(str(n) for n in data.shape[: layer.ndim])
    try:
        size = pixel_sides(layer)
    except ValueError:
        return f"{shape}, pixel size not usable"
    if size is None:
        return f"{shape}, pixel size unknown"
    return f"{shape}, {size[0]:.4g} by {size[1]:.4g} nm" if are_anisotropic(size) else f"{shape}, {size[1]:.4g} nm"


def refined_place(layer: ImageLayer, factor: Factor, start: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """Return scale, translate, rotate, shear, affine and units of an image `factor` times finer than `layer`.

    The factor may differ along Y and X.

    The corners of both images match. napari's origin is the centre of a pixel, so the first fine pixel is offset from
    the first coarse pixel by (1 / factor - 1) / 2 coarse pixels. With a factor below 1, the image is coarser. An image
    of a part of the layer starts at its pixel `start` (row, column). Of a layer with channels, the image shows the
    chosen one, at its place.
    """
    from napari.utils.transforms import Affine

    axes = layer_axes(layer)
    offset = np.zeros(layer.ndim)
    offset[list(axes.plane_axes)] = (1 / np.array(factor) - 1) / 2 + np.array(start)
    if axes.channel_axis is not None and axes.channel:
        offset[axes.channel_axis] = axes.channel
    place = Affine(scale=layer.scale, rotate=layer.rotate, shear=layer.shear, translate=layer.translate)
    scale = np.array(layer.scale, float)
    scale[list(axes.plane_axes)] /= np.array(factor)
    return {
        "scale": scale,
        "translate": place(offset),
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine.affine_matrix.copy(),
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def free_place(viewer: ViewerModel, pixel_size: float | None, ndim: int) -> dict[str, Any]:
    """Return scale, translate, units and labels of a new image beside the visible layers, at the same scale.

    The image gets the unit of length of the layers. Among layers in pixels it is placed in pixels too.
    """
    layers = image_layers(viewer)
    # A layer without a unit of length has a scale too once the user has entered its pixel size.
    measured = sorted(filter(_world_unit, layers), key=lambda layer: unit_in_nm(layer) is None)
    step, unit = 1.0, "pixel"
    if pixel_size and measured:
        unit = str(measured[0].units[-1])
        step = pixel_size / (_world_unit(measured[0]) or 1.0)
    elif pixel_size and not layers:
        step, unit = pixel_size, "nm"
    corner = [0.0, 0.0]
    if layers:
        shown = [layer for layer in layers if layer.visible] or layers
        extents = [drawn_extent(viewer, layer, unit) for layer in shown]
        top, right = min(extent[0, 0] for extent in extents), max(extent[1, 1] for extent in extents)
        left = min(extent[0, 1] for extent in extents)
        corner = [float(top), float(right + 0.05 * (right - left) + step)]
    steps, starts, units = _planes(viewer, ndim - 2)
    place: dict[str, Any] = {
        "scale": (*steps, step, step),
        "translate": (*starts, *corner),
        "units": (*units, unit, unit),
    }
    return place | {"axis_labels": ("image", "y", "x")} if ndim == 3 else place  # the slider's label


def _planes(viewer: ViewerModel, count: int) -> tuple[list[float], list[float], list[str]]:
    """Return steps, starts and units of `count` axes before Y and X: those of the stacks in the viewer.

    So the slider moves both stacks by one plane, and the units of an axis match: otherwise napari ignores all units.
    """
    units = [str(unit) for unit in getattr(viewer.layers.extent, "units", None) or ()]
    ranges = viewer.dims.range
    if min(len(units), len(ranges)) < count + 2 or not viewer.layers:
        return [1.0] * count, [0.0] * count, ["pixel"] * count
    axes = slice(-2 - count, -2)
    return [float(r.step) for r in ranges[axes]], [float(r.start) for r in ranges[axes]], units[axes]


def drawn_extent(viewer: ViewerModel, layer: ImageLayer, unit: str) -> Any:
    """Return ((top, left), (bottom, right)) of a layer in the drawn world, in numbers of `unit`.

    napari converts units if all layers have units of length, or none has. Otherwise it draws the bare numbers.
    """
    extent = layer.extent.world[:, -2:]
    own = layer.units[-2:]
    has_units = getattr(viewer.layers.extent, "units", None) is not None
    converted = has_units and all(each.is_compatible_with(unit) for each in own)
    return extent * [float((1 * each).to(unit).magnitude) for each in own] if converted else extent


def _world_unit(layer: ImageLayer) -> float | None:
    """Return the length in nm of one unit of the layer's scale and place, or None if unknown."""
    size = typed_pixel_size(layer)
    if unit_in_nm(layer) or not size:
        return unit_in_nm(layer)
    try:
        return size / pixel_edges(layer)[1]
    except ValueError:  # a sheared layer has no scale
        return None
