"""The view of a viewer: its grid, camera and slider. Without Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .layers import drawn_extent

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer


def canvas_grid(viewer: ViewerModel) -> Any:
    """Return the grid of a viewer, which is part of its canvas since napari 0.9."""
    return viewer.canvas.grid if hasattr(viewer, "canvas") else viewer.grid


def scene_camera(viewer: ViewerModel) -> Any:
    """Return the camera of a viewer, which is part of its scene since napari 0.9."""
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def drawn_unit(viewer: ViewerModel, layer: ImageLayer) -> str:
    """Return the unit of the camera's numbers; that of `layer` if the units of the layers do not match."""
    units = getattr(viewer.layers.extent, "units", None)
    return str(layer.units[-1] if units is None else units[-1])


def _per_world(viewer: ViewerModel, layer: ImageLayer) -> float:
    """Return the slider's unit in units of the first axis of `layer`, (N, Y, X)."""
    units = getattr(viewer.layers.extent, "units", None)
    if units is None or not units[-3].is_compatible_with(layer.units[-3]):
        return 1.0
    return float((1 * units[-3]).to(layer.units[-3]).magnitude)


def plane_seen(viewer: ViewerModel, layer: ImageLayer) -> int:
    """Return the index of the slider's plane in `layer`, (N, Y, X). It may lie outside of the layer."""
    offset = viewer.dims.point[-3] * _per_world(viewer, layer) - layer.translate[-3]
    return round(float(offset / layer.scale[-3]))


def look_at_plane(viewer: ViewerModel, layer: ImageLayer, index: int) -> None:
    """Move the slider to a plane of `layer`, (N, Y, X)."""
    place = float(layer.translate[-3] + index * layer.scale[-3]) / _per_world(viewer, layer)
    viewer.dims.set_point(viewer.dims.ndim - 3, place)


def bring_into_view(viewer: ViewerModel, layer: ImageLayer) -> None:
    """Fit the view to all layers if a part of a new layer is outside of the view."""
    if viewer.dims.ndisplay != 2 or canvas_grid(viewer).enabled:
        return
    camera = scene_camera(viewer)
    size = viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size
    centre, half = np.array(camera.center[-2:]), np.array(size) / camera.zoom / 2
    low, high = drawn_extent(viewer, layer, drawn_unit(viewer, layer))
    if (low < centre - half).any() or (high > centre + half).any():
        viewer.reset_view()
