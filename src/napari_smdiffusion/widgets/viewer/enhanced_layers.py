"""Enhanced images as layers: exactly over their widefield layer or in its place, and the way back. Without Qt."""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from ...images.provenance import METADATA, layer_metadata
from .layers import LayerSource, known_pixel_size, live_source, refined_place

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...enhance.applying import Enhancement
    from ...images.image import Image


def original(layer: ImageLayer) -> dict[str, Any] | None:
    """Return what a layer was before it was enhanced in place, or None if it never was.

    Layers that napari makes of it, by a projection say, have its metadata and not its pixels: they never were.
    """
    kept = layer.metadata.get(METADATA, {}).get("original")
    return kept if isinstance(kept, dict) and kept["layer"]() is layer else None


def widefield_pixel_size(layer: ImageLayer) -> float | None:
    """Return the pixel size in nm of what would be enhanced: of a layer enhanced in place, that of its original."""
    kept = original(layer)
    if kept is None:
        return known_pixel_size(layer)
    source: LayerSource = kept["source"]
    return source.pixel_size


def widefield_source(layer: ImageLayer) -> LayerSource:
    """Take what is needed of a widefield layer; of one that was enhanced in place, its original."""
    return live_widefield_source(layer).copied()


def live_widefield_source(layer: ImageLayer) -> LayerSource:
    """Return the same as `widefield_source`, with the pixels of the layer itself, or of its original."""
    kept = original(layer)
    if kept is None:
        return live_source(layer)
    source: LayerSource = kept["source"]
    return dataclasses.replace(source, name=plain_name(layer), layer=layer.name, before_enhancement=True)


def plain_name(layer: ImageLayer) -> str:
    """Return what a layer is called, without the word that it was enhanced."""
    kept = original(layer)
    # A person may have called it something else since.
    return str(kept["name"] if kept is not None and layer.name == kept["given"] else layer.name)


def restore(layer: ImageLayer) -> None:
    """Give a layer back the data, name, place and contrast that it had before it was enhanced in place."""
    kept = original(layer)
    if kept is None:
        return
    layer.data, layer.name = kept["data"], plain_name(layer)
    layer.metadata = kept["metadata"]
    for name in ("scale", "translate", "contrast_limits"):
        setattr(layer, name, kept[name])


def show_enhanced(
    viewer: Viewer, layer: ImageLayer, result: Enhancement, factor: int, *, in_place: bool
) -> list[ImageLayer]:
    """Show an enhanced image exactly over its widefield layer, or in it, and the uncertainty map on top.

    Returns
    -------
    The layers that hold them.
    """
    place = _place(layer, factor)
    pixels = _like(layer, result.image.pixels)
    limits = _contrast(pixels)
    plain = plain_name(layer)
    name = f"{plain} (enhanced ×{factor})"
    shown = []
    if in_place:
        kept = original(layer) or {
            "layer": weakref.ref(layer),
            "source": live_source(layer),
            "data": layer.data,
            "scale": np.array(layer.scale),
            "translate": np.array(layer.translate),
            "contrast_limits": tuple(layer.contrast_limits),
            "metadata": dict(layer.metadata),
        }
        # Of a name that is taken napari makes another.
        layer.data, layer.name = pixels, name
        kept |= {"name": plain, "given": layer.name}
        layer.metadata = {**layer.metadata, **_facts(result.image, original=kept)}
        layer.scale, layer.translate = place["scale"], place["translate"]
        layer.contrast_limits = limits
        shown.append(layer)
    else:
        shown.append(
            viewer.add_image(
                pixels,
                name=name,
                colormap=layer.colormap,
                contrast_limits=limits,
                metadata=_facts(result.image),
                **place,
            )
        )
    if result.uncertainty is not None:
        shown.append(_add_map(viewer, layer, result.uncertainty, "uncertainty", "magma", place))
    return shown


def show_error_map(viewer: Viewer, layer: ImageLayer, error: Image) -> None:
    """Show an error map exactly over the widefield image, also where that was enhanced in place."""
    _add_map(viewer, layer, error, "error map", "yellow", _place(layer, 1))


def _add_map(
    viewer: Viewer, layer: ImageLayer, image: Image, what: str, colormap: str, place: dict[str, Any]
) -> ImageLayer:
    pixels = _like(layer, image.pixels)
    return viewer.add_image(
        pixels,
        name=f"{plain_name(layer)} ({what})",
        colormap=colormap,
        blending="additive",
        opacity=0.7,
        contrast_limits=_contrast(pixels),
        metadata=_facts(image),
        **place,
    )


def _place(layer: ImageLayer, factor: int) -> dict[str, Any]:
    """Return where the enhanced image lies; for a layer that was enhanced already, relative to its original."""
    kept = original(layer)
    if kept is None:
        return refined_place(layer, factor)
    from napari.layers import Image as ImageLayer

    like = ImageLayer(
        np.zeros((2,) * layer.ndim),
        scale=kept["scale"],
        translate=kept["translate"],
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine.affine_matrix,
        units=layer.units,
    )
    return refined_place(like, factor)


def _facts(image: Image, **ours: Any) -> dict[str, Any]:
    """Return an image's provenance as a layer's metadata, with the pixel size for layers without a unit of length."""
    if image.pixel_size:
        ours["pixel_size_nm"] = image.pixel_size
    return layer_metadata(image.provenance, **ours)


def _like(layer: ImageLayer, pixels: Any) -> Any:
    """Return (N, Y, X) with as many axes as the layer has."""
    return pixels[0] if layer.ndim == 2 else pixels


def _contrast(pixels: Any) -> tuple[float, float]:
    # A part of the pixels tells as much, and the window waits for it.
    some = pixels.ravel()[:: max(1, pixels.size // 1_000_003)]
    low, high = (float(v) for v in np.percentile(some, (1, 99.8)))
    return (low, high) if low < high else (low, low + 1)
