"""The view of a viewer: its grid, camera and slider. Without Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...base.errors import InputError
from .layers import drawn_extent

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

    from ...images.regions import Window

_LEAST_SEEN = 64  # pixels of a side of a part of a layer


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


def _per_world(viewer: ViewerModel, layer: ImageLayer, axis: int) -> float:
    """Return the slider's unit in units of an axis of `layer`."""
    units = getattr(viewer.layers.extent, "units", None)
    if units is None or not units[axis].is_compatible_with(layer.units[axis]):
        return 1.0
    return float((1 * units[axis]).to(layer.units[axis]).magnitude)


def plane_seen(viewer: ViewerModel, layer: ImageLayer, axis: int = -3) -> int:
    """Return the index of the slider's plane in `layer`. It may be outside of the layer.

    The axis of the slider is counted from the last one: -3 for (N, Y, X).
    """
    offset = viewer.dims.point[axis] * _per_world(viewer, layer, axis) - layer.translate[axis]
    return round(float(offset / layer.scale[axis]))


def look_at_plane(viewer: ViewerModel, layer: ImageLayer, index: int, axis: int = -3) -> None:
    """Move the slider of an axis, counted from the last one, to a plane of `layer`."""
    place = float(layer.translate[axis] + index * layer.scale[axis]) / _per_world(viewer, layer, axis)
    viewer.dims.set_point(viewer.dims.ndim + axis, place)


def visible_window(viewer: ViewerModel, layer: ImageLayer) -> Window:
    """Return the rows and columns of a layer that the canvas shows, at least 64 pixels of each where it has them.

    Raises
    ------
    InputError
        If the view is 3-D or a grid, or the layer is outside of it.
    """
    if viewer.dims.ndisplay != 2 or canvas_grid(viewer).enabled:
        raise InputError("Only a plain 2-D view shows a part of a layer: leave the 3-D view and the grid.")
    low, high = _seen(viewer)
    drawn = drawn_extent(viewer, layer, drawn_unit(viewer, layer))
    own = layer.extent.world[:, -2:]
    # From the numbers of the canvas to those of the layer, whose units may differ.
    per_drawn = float(np.linalg.norm(own[1] - own[0]) / np.linalg.norm(drawn[1] - drawn[0]))
    points = np.zeros((4, layer.ndim))
    points[:, -2:] = [(y * per_drawn, x * per_drawn) for y in (low[0], high[0]) for x in (low[1], high[1])]
    corners = np.array([layer.world_to_data(point)[-2:] for point in points])
    shape = (layer.data[0] if layer.multiscale else layer.data).shape[-2:]
    rows, columns = (
        _pixels_between(corners[:, axis].min(), corners[:, axis].max(), shape[axis], layer.name) for axis in (0, 1)
    )
    return rows, columns


def _pixels_between(first: float, last: float, length: int, name: str) -> slice:
    """Return the pixels of an axis from `first` to `last`, where 0 is the centre of the first pixel."""
    start, stop = max(0, int(np.floor(first + 0.5))), min(length, int(np.ceil(last + 0.5)))
    if start >= stop:
        raise InputError(f"{name} is outside of the view: move the view, or choose another region.")
    missing = max(0, min(_LEAST_SEEN, length) - (stop - start))
    start = max(0, start - -(-missing // 2))
    stop = min(length, max(stop + missing // 2, start + min(_LEAST_SEEN, length)))
    return slice(min(start, stop - min(_LEAST_SEEN, length)), stop)


def _seen(viewer: ViewerModel) -> tuple[Any, Any]:
    """Return the corners (y, x) of the canvas, in the numbers of the camera."""
    camera = scene_camera(viewer)
    size = viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size
    centre, half = np.array(camera.center[-2:]), np.array(size) / camera.zoom / 2
    return centre - half, centre + half


def bring_into_view(viewer: ViewerModel, layer: ImageLayer) -> None:
    """Fit the view to all layers if a part of a new layer is outside of the view."""
    if viewer.dims.ndisplay != 2 or canvas_grid(viewer).enabled:
        return
    top_left, bottom_right = _seen(viewer)
    low, high = drawn_extent(viewer, layer, drawn_unit(viewer, layer))
    if (low < top_left).any() or (high > bottom_right).any():
        viewer.reset_view()
