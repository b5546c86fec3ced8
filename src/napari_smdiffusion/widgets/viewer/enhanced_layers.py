"""Enhanced images as layers: on top of their widefield layer, or in place with a way to restore it. Without Qt."""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from ...images.provenance import layer_metadata
from .contrast import shown_range
from .layers import LayerSource, known_pixel_size, live_source, refined_place
from .own_metadata import own_metadata
from .view import visible_window

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...enhance.applying import Enhancement
    from ...images.image import Image
    from .layers import Window


def original(layer: ImageLayer) -> dict[str, Any] | None:
    """Return the state of a layer before it was enhanced in place, or None if it was not.

    A projection that napari makes of an enhanced layer has its metadata too, but was not enhanced in place.
    """
    state = own_metadata(layer).get("original")
    return state if isinstance(state, dict) and state["layer"]() is layer else None


def widefield_pixel_size(layer: ImageLayer) -> float | None:
    """Return the pixel size in nm of a widefield layer; of a layer enhanced in place, that of its original."""
    state = original(layer)
    if state is None:
        return known_pixel_size(layer)
    source: LayerSource = state["source"]
    return source.pixel_size


def widefield_source(layer: ImageLayer) -> LayerSource:
    """Return a copy of a widefield layer as a source; of a layer enhanced in place, of its original."""
    return live_widefield_source(layer).copied()


def live_widefield_source(layer: ImageLayer) -> LayerSource:
    """Return the same as `widefield_source` without a copy of the pixels."""
    state = original(layer)
    if state is None:
        return live_source(layer)
    source: LayerSource = state["source"]
    return dataclasses.replace(source, name=original_name(layer), layer=layer.name, before_enhancement=True)


def widefield_window(viewer: Viewer, layer: ImageLayer) -> Window:
    """Return the part of a widefield image that the view shows, in its pixels, also if it was enhanced in place.

    Raises
    ------
    InputError
        As `visible_window`.
    """
    window = visible_window(viewer, layer)
    if original(layer) is None:
        return window
    factor = layer.data.shape[-1] // live_widefield_source(layer).pixels.shape[-1]
    rows, columns = (slice(part.start // factor, -(-part.stop // factor)) for part in window)
    return rows, columns


def original_name(layer: ImageLayer) -> str:
    """Return the name of a layer without the mark of an enhancement in place."""
    state = original(layer)
    # The user may have renamed the layer since.
    return str(state["name"] if state is not None and layer.name == state["enhanced_name"] else layer.name)


def restore(layer: ImageLayer) -> bool:
    """Restore the data, name, place and contrast of a layer that was enhanced in place.

    The maps of the enhanced image no longer fit, and are hidden.

    Returns
    -------
    Whether there were maps to hide.
    """
    state = original(layer)
    if state is None:
        return False
    layer.data, layer.name = state["data"], original_name(layer)
    layer.metadata = state["metadata"]
    for name in ("scale", "translate", "contrast_limits"):
        setattr(layer, name, state[name])
    shown = [map_layer for ref in state.get("maps", ()) if (map_layer := ref()) is not None and map_layer.visible]
    for map_layer in shown:
        map_layer.visible = False
    return bool(shown)


def show_enhanced(
    viewer: Viewer,
    layer: ImageLayer,
    result: Enhancement,
    factor: int,
    *,
    in_place: bool,
    window: Window | None = None,
    filling: ImageLayer | None = None,
) -> list[ImageLayer]:
    """Show an enhanced image exactly on top of its widefield layer, or in place, with its uncertainty map.

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

    Returns
    -------
    The layers of the enhanced image and the uncertainty map.
    """
    place = enhanced_place(layer, factor, window)
    pixels = with_axes_of(layer, result.image.pixels)
    before = original_name(layer)
    name = f"enhanced ×{factor}: {before}"
    if in_place:
        _replace(layer, result.image, pixels, name, place)
        shown = [layer]
    elif filling is not None:
        filling.data, filling.name, filling.metadata = pixels, name, _facts(result.image)
        shown = [filling]
    else:
        options = {"name": name, "colormap": layer.colormap, "contrast_limits": shown_range(pixels), **place}
        shown = [viewer.add_image(pixels, metadata=_facts(result.image), **options)]
    if result.uncertainty is not None:
        shown.append(_add_map(viewer, layer, result.uncertainty, "uncertainty", "magma", place))
    return shown


def _replace(layer: ImageLayer, image: Image, pixels: Any, name: str, place: dict[str, Any]) -> None:
    """Replace a widefield layer by its enhanced image, in a way that `restore` undoes."""
    before = original_name(layer)
    state = original(layer) or {
        "layer": weakref.ref(layer),
        "source": live_source(layer),
        "data": layer.data,
        "scale": np.array(layer.scale),
        "translate": np.array(layer.translate),
        "contrast_limits": tuple(layer.contrast_limits),
        "metadata": dict(layer.metadata),
        "maps": [],
    }
    # napari changes a name that another layer has, so the name is read back.
    layer.data, layer.name = pixels, name
    state |= {"name": before, "enhanced_name": layer.name}
    layer.metadata = {**layer.metadata, **_facts(image, original=state)}
    layer.scale, layer.translate = place["scale"], place["translate"]
    layer.contrast_limits = shown_range(pixels)


def show_error_map(viewer: Viewer, layer: ImageLayer, error: Image, window: Window | None = None) -> None:
    """Show an error map exactly on top of the widefield image, or of a part, also if that was enhanced in place."""
    _add_map(viewer, layer, error, "error map", "yellow", enhanced_place(layer, 1, window))


def _add_map(
    viewer: Viewer, layer: ImageLayer, image: Image, title: str, colormap: str, place: dict[str, Any]
) -> ImageLayer:
    pixels = with_axes_of(layer, image.pixels)
    added = viewer.add_image(
        pixels,
        name=f"{title}: {original_name(layer)}",
        colormap=colormap,
        blending="additive",
        opacity=0.7,
        contrast_limits=shown_range(pixels),
        metadata=_facts(image),
        **place,
    )
    if (state := original(layer)) is not None:
        state.setdefault("maps", []).append(weakref.ref(added))
    return added


def enhanced_place(layer: ImageLayer, factor: int, window: Window | None = None) -> dict[str, Any]:
    """Return the place of an image `factor` times finer than the widefield layer, or than its original.

    The image shows the part `window` (rows, columns) of the widefield image, or all of it.
    """
    start = (0, 0) if window is None else (window[0].start, window[1].start)
    state = original(layer)
    if state is None:
        return refined_place(layer, factor, start)
    from napari.layers import Image as ImageLayer

    template = ImageLayer(
        np.zeros((2,) * layer.ndim),
        scale=state["scale"],
        translate=state["translate"],
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine.affine_matrix,
        units=layer.units,
    )
    return refined_place(template, factor, start)


def _facts(image: Image, **ours: Any) -> dict[str, Any]:
    """Return an image's provenance as a layer's metadata, with the pixel size for layers without a unit of length."""
    if image.pixel_size:
        ours["pixel_size_nm"] = image.pixel_size
    return layer_metadata(image.provenance, **ours)


def with_axes_of(layer: ImageLayer, pixels: Any) -> Any:
    """Return pixels (N, Y, X) with the number of axes of the layer."""
    return pixels[0] if layer.ndim == 2 else pixels
