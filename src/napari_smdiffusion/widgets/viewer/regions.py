"""The region of the viewer that a dock works on: all, what is seen, or rectangles of a Shapes layer. Without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...base.errors import InputError
from ...images.regions import LEAST, cut, rectangle_of, windows_to_train_on
from .enhanced_layers import live_widefield_source, widefield_window
from .layer_axes import layer_axes
from .own_metadata import is_unchanged_result
from .view import visible_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer
    from napari.layers import Shapes as ShapesLayer

    from ...images.regions import Rectangle, Window
    from .layer_source import LayerSource

_TURNED = 0.5  # pixels by which a corner of a rectangle may miss the rows and columns of an image


@dataclass(frozen=True)
class Region:
    """The part of the layers that a dock works on.

    Parameters
    ----------
    kind
        "whole" for all of each layer, "seen" for what the view shows, "inside" for the rectangles of a Shapes layer,
        and "outside" for all but these.
    shapes
        The Shapes layer.
    """

    kind: Literal["whole", "seen", "inside", "outside"] = "whole"
    shapes: ShapesLayer | None = None


WHOLE, SEEN = Region(), Region("seen")


def shapes_layers(viewer: ViewerModel) -> list[ShapesLayer]:
    """Return the Shapes layers of the viewer, topmost first, without those that show a result of this program."""
    from napari.layers import Shapes as ShapesLayer

    layers = [layer for layer in reversed(viewer.layers) if isinstance(layer, ShapesLayer)]
    return [layer for layer in layers if not is_unchanged_result(layer)]


def rectangles(shapes: ShapesLayer) -> list[Any]:
    """Return the corners (4, D) of each rectangle of a Shapes layer, in its coordinates; other shapes do not count."""
    return [corners for corners, kind in zip(shapes.data, shapes.shape_type, strict=True) if kind == "rectangle"]


def windows_in(viewer: ViewerModel, region: Region, layer: ImageLayer) -> list[Window]:
    """Return the parts of a layer that a region names, in pixels; for "outside", the parts that are left out.

    A pixel belongs to a rectangle that its centre lies in, so that rectangles side by side share no pixel. A part
    beyond the edge of the layer does not count.

    Returns
    -------
    One window for each rectangle; for "outside" without those that miss the layer.

    Raises
    ------
    InputError
        If the Shapes layer was removed or has no rectangle, a rectangle is turned against the layer, lies beside it or
        covers too few of its pixels, or the view is no plain 2-D view.
    """
    if region.kind == "whole":
        height, width = _size(layer)
        return [(slice(0, height), slice(0, width))]
    if region.kind == "seen":
        return [visible_window(viewer, layer)]
    shapes = region.shapes
    if shapes is None or shapes not in viewer.layers:
        raise InputError("The Shapes layer of the region was removed: choose another region.")
    corners = rectangles(shapes)
    if not corners:
        raise InputError(f"{shapes.name} has no rectangle: draw one, or choose another region.")
    windows = [_window(viewer, shapes, points, layer) for points in corners]
    inside = [window for window in windows if window is not None]
    if region.kind == "outside":
        return inside
    small = [w for w in inside if min(part.stop - part.start for part in w) < LEAST]
    if len(inside) < len(corners) or small:
        raise InputError(
            f"A rectangle of {shapes.name} lies beside {layer.name}, or covers fewer than {LEAST} of its pixels along "
            "a side: draw it over the layer, untick the layer, or choose another region."
        )
    return inside


def rectangles_in(viewer: ViewerModel, region: Region, layer: ImageLayer) -> tuple[Rectangle, ...]:
    """Return the same as `windows_in` as rectangles of a job; () for the whole layer."""
    return () if region.kind == "whole" else tuple(map(rectangle_of, windows_in(viewer, region, layer)))


def widefield_parts(viewer: ViewerModel, region: Region, layers: Sequence[ImageLayer]) -> list[LayerSource]:
    """Return the widefield images of layers, or the parts of them in the region, one after the other."""
    parts = []
    for layer in layers:
        source = live_widefield_source(layer)
        if region.kind == "whole":
            parts.append(source)
            continue
        parts += [source.crop(*widefield_window(layer, window)) for window in windows_in(viewer, region, layer)]
    return parts


def training_windows(
    viewer: ViewerModel,
    region: Region,
    layers: Sequence[ImageLayer],
    sources: Sequence[LayerSource],
    patch: int,
    multiple: int = 1,
) -> list[list[Window]]:
    """Return the windows of each layer that are trained on; see `windows_to_train_on` for `patch` and `multiple`.

    Raises
    ------
    InputError
        As `windows_in`, if no rectangle to leave out touches a layer, or no patch fits into the rest of one.
    """
    named = [[] if region.kind == "whole" else windows_in(viewer, region, layer) for layer in layers]
    left_out = region.kind == "outside"
    if left_out and layers and not any(named) and region.shapes is not None:
        raise InputError(
            f"No rectangle of {region.shapes.name} lies over a ticked layer: nothing would be left out. Draw it over "
            "a layer, or choose another region."
        )
    return [
        windows_to_train_on(source, [] if left_out else own, own if left_out else [], patch, multiple)
        for source, own in zip(sources, named, strict=True)
    ]


def training_parts(
    viewer: ViewerModel, region: Region, layers: Sequence[ImageLayer], sources: Sequence[LayerSource], patch: int
) -> list[list[LayerSource]]:
    """Return the parts of each layer that are trained on."""
    windows = training_windows(viewer, region, layers, sources, patch)
    return [[cut(source, window) for window in own] for source, own in zip(sources, windows, strict=True)]


def _size(layer: ImageLayer) -> tuple[int, int]:
    """Return the (height, width) of a plane of a layer in pixels."""
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    height, width = layer_axes(layer).plane_axes
    return int(shape[height]), int(shape[width])


def _window(viewer: ViewerModel, shapes: ShapesLayer, corners: Any, layer: ImageLayer) -> Window | None:
    """Return the pixels of a layer whose centres lie in a rectangle, or None if there are none."""
    if layer_axes(layer).behind:
        raise InputError(f"{layer.name} has an axis behind X: remove it (np.squeeze) before a part is used.")
    world = np.array([shapes.data_to_world(point)[-2:] for point in corners]) * _per_unit(viewer, shapes, layer)
    points = np.zeros((len(world), layer.ndim))
    points[:, -2:] = world
    inside = np.array([layer.world_to_data(point)[-2:] for point in points])
    low, high = inside.min(0), inside.max(0)
    if np.minimum(inside - low, high - inside).max() > _TURNED:
        raise InputError(
            f"A rectangle of {shapes.name} is turned against {layer.name}: draw one along its rows and columns."
        )
    # 0 is the centre of the first pixel. Shapes have single precision, which the rounding makes up for.
    first, end = (np.ceil(np.round(edge, 2)).astype(int) for edge in (low, high))
    size = _size(layer)
    rows, columns = (slice(max(0, int(first[k])), min(size[k], int(end[k]))) for k in (0, 1))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _per_unit(viewer: ViewerModel, shapes: ShapesLayer, layer: ImageLayer) -> Any:
    """Return the numbers (y, x) of the layer's world for one of the world of the shapes, as napari draws them.

    napari converts units if those of all layers match. Otherwise it draws the bare numbers.
    """
    if getattr(viewer.layers.extent, "units", None) is None:
        return np.ones(2)
    pairs = zip(shapes.units[-2:], layer.units[-2:], strict=True)
    return np.array([float((1 * a).to(b).magnitude) if a.is_compatible_with(b) else 1.0 for a, b in pairs])


class ShapesWatch:
    """Calls a function when Shapes layers or their rectangles change, until `disconnect`."""

    def __init__(self, viewer: ViewerModel, changed: Any) -> None:
        self._viewer, self._changed = viewer, changed
        events = viewer.layers.events
        self._list_events = (events.inserted, events.removed, events.reordered, events.renamed)
        # napari holds methods weakly, and functions strongly.
        self._on_list: Any = lambda event=None: self._update()
        self._on_data: Any = lambda event=None: self._changed()
        self._watched: list[ShapesLayer] = []
        for emitter in self._list_events:
            emitter.connect(self._on_list)
        self._update()

    def disconnect(self) -> None:
        """Disconnect from all events."""
        for emitter in self._list_events:
            emitter.disconnect(self._on_list)
        for layer in self._watched:
            layer.events.data.disconnect(self._on_data)
        self._watched = []

    def _update(self) -> None:
        present = shapes_layers(self._viewer)
        for layer in [layer for layer in self._watched if not any(layer is other for other in present)]:
            layer.events.data.disconnect(self._on_data)
        for layer in [layer for layer in present if not any(layer is other for other in self._watched)]:
            layer.events.data.connect(self._on_data)
        self._watched = present
        self._changed()
