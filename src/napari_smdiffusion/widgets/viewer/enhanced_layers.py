"""Enhanced images as layers: on top of their widefield layer, or in place with a way to restore it. Without Qt."""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from ...base.errors import InputError
from ...images.axes import PLANE
from ...images.provenance import METADATA, TRUST, layer_metadata
from .contrast import shown_range
from .layer_axes import choose_channel, layer_axes
from .layer_pixels import has_length_unit, known_pixel_size, known_pixels
from .layers import live_source, refined_place
from .own_metadata import own_metadata
from .sample_axis import sample_place, stacked
from .trust_map import TRUST_TITLE, look_of
from .view import look_at_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...enhance.applying import Enhancement
    from ...enhance.pixel_fit import PixelSides
    from ...images.axes import Channel
    from ...images.image import Image
    from ...images.regions import Window
    from .layer_source import LayerSource

_PLACE = ("scale", "translate", "rotate", "shear", "affine")  # of a layer, and keys of `refined_place`


def original(layer: ImageLayer) -> dict[str, Any] | None:
    """Return the state of a layer before it was enhanced in place, or None if it was not.

    A projection that napari makes of an enhanced layer has its metadata too, but was not enhanced in place.
    """
    state = own_metadata(layer).get("original")
    return state if isinstance(state, dict) and state["layer"]() is layer else None


def widefield_pixel_size(layer: ImageLayer) -> float | None:
    """Return the pixel size in nm of a widefield layer; of a layer enhanced in place, that of its original."""
    state, size = original(layer), known_pixel_size(layer)
    if state is None or size is None:
        return size
    source: LayerSource = state["source"]
    # The user may have calibrated the layer since it was enhanced.
    unchanged = state["pixel_size"] and abs(size / state["pixel_size"] - 1) < 1e-6
    if unchanged and (source.pixel_size or not has_length_unit(layer)):
        return source.pixel_size
    return size * float(state["factor"])


def widefield_pixels(layer: ImageLayer) -> PixelSides | None:
    """Return the same as `widefield_pixel_size`, or the (y, x) sides in nm of pixels that are not square."""
    return known_pixels(layer) if original(layer) is None else widefield_pixel_size(layer)


def widefield_source(layer: ImageLayer, channel: Channel = None, channel_axis: int | None = None) -> LayerSource:
    """Return a copy of a widefield layer as a source; of a layer enhanced in place, of its original.

    The choice of a channel is that of `layer_image`.
    """
    if channel is not None:
        choose_channel(layer, channel, channel_axis)
    return live_widefield_source(layer).copied()


def live_widefield_source(layer: ImageLayer) -> LayerSource:
    """Return the same as `widefield_source` without a copy of the pixels."""
    state = original(layer)
    if state is None:
        return live_source(layer, anisotropic=True)
    source: LayerSource = state["source"]
    # Pixels are those of the original; the place and the pixel size may have been changed since.
    return dataclasses.replace(
        source,
        name=original_name(layer),
        layer=layer.name,
        before_enhancement=True,
        pixel_size=widefield_pixel_size(layer),
        origin=live_source(layer).origin,
    )


def check_in_place(layers: Sequence[ImageLayer], sources: Sequence[LayerSource], part: bool) -> None:
    """Raise an InputError if a layer cannot be enhanced in place; `sources` are those of the layers.

    With `part`, only a part of each is to be enhanced.
    """
    reason = ""
    if any(layer.multiscale for layer in layers):
        reason = "A multiscale layer"
    elif any(source.sides is not None for source in sources):
        reason = "A layer whose pixels are not square"
    elif any(source.channel_axis is not None for source in sources):
        reason = "A layer with channels"
    elif part:
        reason = "A part of a layer"
    if reason:
        raise InputError(f"{reason} cannot be enhanced in place: choose 'new layer'.")


def widefield_window(layer: ImageLayer, window: Window) -> Window:
    """Return a part of a layer in pixels of its widefield image, which differ if it was enhanced in place."""
    state = original(layer)
    if state is None:
        return window
    factor = state["factor"]
    rows, columns = (slice(part.start // factor, -(-part.stop // factor)) for part in window)
    return rows, columns


def original_name(layer: ImageLayer) -> str:
    """Return the name of a layer without the mark of an enhancement in place."""
    state = original(layer)
    # The user may have renamed the layer since.
    return str(state["name"] if state is not None and layer.name == state["enhanced_name"] else layer.name)


def restore(layer: ImageLayer) -> list[ImageLayer]:
    """Restore the data, name, place and contrast of a layer that was enhanced in place.

    The user's changes since are kept: the place, the calibration and the metadata of the layer. The maps and the
    samples of the enhanced image no longer fit, and are hidden.

    Returns
    -------
    The layers that were visible and are hidden now.
    """
    state = original(layer)
    if state is None:
        return []
    place, metadata = _original_place(layer, state), _original_metadata(layer, state)
    layer.data, layer.name = state["data"], original_name(layer)
    layer.metadata = metadata
    layer.scale, layer.translate = place["scale"], place["translate"]
    layer.contrast_limits = state["contrast_limits"]
    shown = [map_layer for ref in state.get("maps", ()) if (map_layer := ref()) is not None and map_layer.visible]
    for map_layer in shown:
        map_layer.visible = False
    return shown


def show_enhanced(
    viewer: Viewer,
    layer: ImageLayer,
    result: Enhancement,
    factor: int,
    *,
    in_place: bool,
    window: Window | None = None,
    filling: ImageLayer | None = None,
    filling_samples: ImageLayer | None = None,
) -> list[ImageLayer]:
    """Show an enhanced image exactly on top of its widefield layer, or in place, with its samples and its maps.

    Posterior samples are one layer with a slider of their own. The maps are hidden at first.

    Parameters
    ----------
    viewer, layer
        The viewer, and the widefield layer.
    result, factor
        The enhanced image, and its pixels per side of a widefield pixel.
    in_place
        Whether it replaces the pixels of `layer`.
    window
        The part (rows, columns) of the widefield image that was enhanced; None: all of it.
    filling
        A layer that showed the unfinished result. It becomes the layer of the enhanced image.
    filling_samples
        A layer that showed the unfinished samples. It becomes their layer.

    Returns
    -------
    The layers of the enhanced image, the samples, the uncertainty map and the map of trust, as far as they exist.
    """
    place = enhanced_place(layer, factor, window, result.image.pixel_size)
    pixels = with_axes_of(layer, result.image.pixels)
    before = original_name(layer)
    name = f"enhanced ×{factor}: {before}"
    if in_place:
        _replace(layer, result.image, pixels, name, place, factor)
        shown = [layer]
    elif filling is not None:
        filling.data, filling.name, filling.metadata = pixels, name, _facts(layer, result.image)
        shown = [filling]
    else:
        options = {"name": name, "colormap": layer.colormap, "contrast_limits": shown_range(pixels), **place}
        shown = [viewer.add_image(pixels, metadata=_facts(layer, result.image), **options)]
    if result.samples is not None:
        planes = len(result.image)
        shown.append(_show_samples(viewer, layer, result.samples, planes, factor, place, filling_samples))
    if result.uncertainty is not None:
        shown.append(_add_map(viewer, layer, result.uncertainty, "uncertainty", place))
    if result.trust is not None:
        shown.append(_add_map(viewer, layer, result.trust, TRUST_TITLE, place, **look_of(TRUST)))
    return shown


def _show_samples(
    viewer: Viewer,
    layer: ImageLayer,
    samples: Image,
    planes: int,
    factor: int,
    place: dict[str, Any],
    filling: ImageLayer | None,
) -> ImageLayer:
    """Show posterior samples with `planes` planes each, at the place of their best estimate, as one layer."""
    name, count = f"samples ×{factor}: {original_name(layer)}", len(samples) // planes
    axes = layer_axes(layer)
    if filling is None:
        stack = sample_place(viewer, place)
        pixels = stacked(axes, samples.pixels, planes, len(stack["scale"]))
        limits = shown_range(samples.pixels[:planes])
        filling = viewer.add_image(pixels, name=name, colormap=layer.colormap, contrast_limits=limits, **stack)
        look_at_plane(viewer, filling, 0, -filling.ndim)
    else:
        filling.data, filling.name = stacked(axes, samples.pixels, planes, filling.ndim), name
    facts = _facts(layer, samples)
    if "axes" in facts[METADATA]:
        before = filling.ndim - axes.behind - 2 - len(axes.names)
        added = [{"name": PLANE, "length": n, "step": None} for n in (count, *[1] * (before - 1))]
        facts[METADATA]["axes"] = [*added, *facts[METADATA]["axes"]]
    filling.metadata = facts
    _belongs_to(layer, filling)
    return filling


def _replace(layer: ImageLayer, image: Image, pixels: Any, name: str, place: dict[str, Any], factor: int) -> None:
    """Replace a widefield layer by its enhanced image, in a way that `restore` undoes."""
    before, state = original_name(layer), original(layer)
    if state is None:
        state = {
            "layer": weakref.ref(layer),
            "source": live_source(layer),
            "data": layer.data,
            "contrast_limits": tuple(layer.contrast_limits),
            "metadata": dict(layer.metadata),
            "maps": [],
        }
    else:
        state = {**state, "metadata": _original_metadata(layer, state)}
    # The place of the original, and that of the enhanced image, which the user may change.
    coarse = enhanced_place(layer, 1)
    state |= {
        "factor": factor,
        "pixel_size": image.pixel_size,
        "places": [{key: np.array(each[key]) for key in _PLACE} for each in (coarse, place)],
    }
    # napari changes a name that another layer has, so the name is read back.
    layer.data, layer.name = pixels, name
    state |= {"name": before, "enhanced_name": layer.name}
    layer.metadata = {**layer.metadata, **_facts(layer, image, original=state)}
    layer.scale, layer.translate = place["scale"], place["translate"]
    layer.contrast_limits = shown_range(pixels)


def show_error_map(viewer: Viewer, layer: ImageLayer, error: Image, window: Window | None = None) -> ImageLayer:
    """Add an error map exactly on top of the widefield image, or of a part, also if that was enhanced in place.

    Like the uncertainty map it is hidden at first: of several layers on top of each other nothing can be read.
    """
    place = enhanced_place(layer, 1, window, error.pixel_size)
    return _add_map(viewer, layer, error, "error map", place, colormap="yellow")


def _add_map(
    viewer: Viewer, layer: ImageLayer, image: Image, title: str, place: dict[str, Any], **look: Any
) -> ImageLayer:
    """Add a map of an enhanced image, hidden; `look` replaces the usual options of its layer."""
    pixels = with_axes_of(layer, image.pixels)
    usual = {"colormap": "magma", "blending": "additive", "opacity": 0.7}
    if "contrast_limits" not in look:
        usual["contrast_limits"] = shown_range(pixels)
    added = viewer.add_image(
        pixels,
        name=f"{title}: {original_name(layer)}",
        metadata=_facts(layer, image),
        visible=False,
        **{**usual, **look},
        **place,
    )
    _belongs_to(layer, added)
    return added


def _belongs_to(layer: ImageLayer, added: ImageLayer) -> None:
    """Remember that a layer shows a result of a layer that was enhanced in place: `restore` hides it."""
    if (state := original(layer)) is not None:
        state.setdefault("maps", []).append(weakref.ref(added))


def enhanced_place(
    layer: ImageLayer, factor: int, window: Window | None = None, pixel_size: float | None = None
) -> dict[str, Any]:
    """Return the place of an image `factor` times finer than the widefield layer, or than its original.

    Parameters
    ----------
    layer, factor
        The layer, and the pixels of the image per side of its pixel.
    window
        The part (rows, columns) of the widefield image that the image shows; None: all of it.
    pixel_size
        Side of the square pixels of the image in nm. It replaces the factor if those of the layer are not square.
    """
    start = (0, 0) if window is None else (window[0].start, window[1].start)
    state = original(layer)
    if state is None:
        sides = known_pixels(layer)
        if pixel_size and isinstance(sides, tuple):
            return refined_place(layer, (sides[0] / pixel_size, sides[1] / pixel_size), start)
        return refined_place(layer, factor, start)
    from napari.layers import Image as ImageLayer

    axes = layer_axes(layer)
    small = np.zeros((*(min(n, 2) for n in axes.lengths), 2, 2, *[1] * axes.behind))
    return refined_place(ImageLayer(small, **_original_place(layer, state)), factor, start)


def _original_place(layer: ImageLayer, state: dict[str, Any]) -> dict[str, Any]:
    """Return the place of the original of a layer that was enhanced in place.

    It follows from the present place of the layer, so that a later calibration or move is kept. The numbers are exactly
    those of the original if nothing was changed.
    """
    before, enhanced = state["places"]
    present = refined_place(layer, 1)
    place = refined_place(layer, 1 / state["factor"])
    return {**place, **before} if all(np.array_equal(present[key], enhanced[key]) for key in _PLACE) else place


def _original_metadata(layer: ImageLayer, state: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of the original of a layer, with the later changes by the user and other programs."""
    others = {key: value for key, value in layer.metadata.items() if key != METADATA}
    before = state["metadata"].get(METADATA)
    ours = dict(before) if isinstance(before, dict) else {}
    entered = own_metadata(layer).get("pixel_size_nm")
    if entered and entered != state["pixel_size"]:
        ours |= {"pixel_size_nm": float(entered) * state["factor"], "typed": True}
    return {**others, METADATA: ours} if ours else others


def _facts(layer: ImageLayer, image: Image, **ours: Any) -> dict[str, Any]:
    """Return the metadata of a layer with an image computed from `layer`: provenance, axes and pixel size.

    The pixel size is for layers without a unit of length.
    """
    if image.pixel_size:
        ours["pixel_size_nm"] = image.pixel_size
    axes = layer_axes(layer)
    if any(name != PLANE for name in axes.names):
        ours["axes"] = axes.result_metadata
    return layer_metadata(image.provenance, **ours)


def with_axes_of(layer: ImageLayer, pixels: Any) -> Any:
    """Return pixels (N, Y, X) with the axes of the layer."""
    return layer_axes(layer).shaped(pixels)
