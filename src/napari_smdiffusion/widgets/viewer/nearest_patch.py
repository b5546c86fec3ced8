"""The nearest training patch of a generated image: what is searched, and the layers that show the result. Without Qt.

The generated patch and its nearest one are shown beside each other, at one scale and one contrast, and a rectangle
marks the place of each.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...base.errors import InputError
from ...images.axes import CHANNEL, DEPTH, TIME
from ...images.provenance import EXPERIMENTAL, GENERATED_PATCH, SIMULATED, SYNTHETIC, TRAINING_PATCH, layer_metadata
from .contrast import shown_range
from .layer_axes import layer_axes
from .layer_pixels import known_pixel_size
from .layers import drawn_extent, free_place, image_layers, kind, layer_provenance, live_source
from .own_metadata import is_unchanged_result, mark_as_result
from .view import bring_into_view, drawn_unit, plane_seen

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer
    from napari.layers import Layer

    from ...base.arrays import Pixels
    from ...images.provenance import TrainingImage
    from ...images.regions import Window
    from ...recipes.nearest_patch import NearestPatch
    from .layer_axes import LayerAxes
    from .layer_source import LayerSource

_SIDE = 128  # pixels; largest side of the patch that is searched for
_GAP = 0.08  # between both patches, relative to their width
_LINE = 1 / 250  # width of a rectangle's line, relative to the length of all images together
COLORS = ("#00e5ff", "#ffd400")  # light blue for the generated patch, and yellow for the nearest one


@dataclass(frozen=True, eq=False)
class Search:
    """What is searched for, and where.

    Parameters
    ----------
    patch
        (Y, X) pixels of the centre of the generated image.
    generated, plane, window
        The layer of the generated image, the index of its plane (() without planes), and the place of the patch in it.
    layers, axes, sources
        The layers to search with their axes, and their pixels for a worker thread.
    training
        Training images that the model states.
    """

    patch: Pixels
    generated: ImageLayer
    plane: tuple[int, ...]
    window: Window
    layers: tuple[ImageLayer, ...]
    axes: tuple[LayerAxes, ...]
    sources: tuple[LayerSource, ...]
    training: tuple[TrainingImage, ...]


def search_of(viewer: ViewerModel) -> Search:
    """Return the search for the centre of the synthetic image shown in the open training images.

    The image is that of the selected layer, or of the topmost one.

    Raises
    ------
    InputError
        If there is no synthetic image, or nothing to search.
    """
    layers = image_layers(viewer)
    synthetic = [layer for layer in layers if kind(layer) == SYNTHETIC and layer.ndim in (2, 3) and not layer.rgb]
    active = viewer.layers.selection.active
    if active in synthetic:
        synthetic = [active]
    if not synthetic:
        raise InputError("There is no synthetic image to search for: generate images first.")
    generated = synthetic[0]
    shown = generated.data[0] if generated.multiscale else generated.data
    plane: tuple[int, ...] = ()
    if shown.ndim == 3:  # a stack on disk: only this plane is read
        plane = (int(np.clip(plane_seen(viewer, generated), 0, len(shown) - 1)),)
        shown = shown[plane[0]]
    window = _centre(shown.shape)
    patch = np.array(shown[window], np.float32)
    training = layer_provenance(generated).training_data or ()
    searched = []
    for other in layers:
        # Layers that no model can be trained on are left out.
        with suppress(ValueError, MemoryError):
            if kind(other) in (EXPERIMENTAL, SIMULATED):
                source = live_source(other)
                if min(source.size) >= max(patch.shape):
                    searched.append((other, layer_axes(other), source.copied()))
    if not searched:
        raise InputError("There is no training image among the layers: open the training images of the model.")
    places, axes, sources = zip(*searched, strict=True)
    return Search(patch, generated, plane, window, places, axes, sources, training)


def show_nearest(viewer: ViewerModel, search: Search, found: NearestPatch) -> str:
    """Show both patches and their places, in place of those of the search before, and return the result in a sentence.

    Layers of an earlier search that the user has renamed stay. The selection of the layers stays too.
    """
    selected = viewer.layers.selection.active
    for layer in [layer for layer in viewer.layers if is_unchanged_result(layer)]:
        viewer.layers.remove(layer)
    title = title_of(found)
    layer, axes = search.layers[found.source], search.axes[found.source]
    plane = _plane_of(axes, found.plane)
    shown = [
        _add_place(viewer, search.generated, search.plane, search.window, "generated", COLORS[0]),
        _add_place(viewer, layer, plane, found.window, "nearest", COLORS[1]),
        *_add_pair(viewer, search, found, title),
    ]
    for each in shown:
        if each is not None:
            bring_into_view(viewer, each)
    if selected in viewer.layers:
        viewer.layers.selection.active = selected
    return _sentence(search, found, _plane_in_words(axes, plane), marked=None not in shown)


def title_of(found: NearestPatch) -> str:
    """Return what a result is: without the training images it is no training patch."""
    return "nearest patch" if found.unseen else "nearest training patch"


def _centre(shape: tuple[int, ...]) -> Window:
    """Return the rows and columns of the centre of a plane."""
    starts = [max(0, (length - _SIDE) // 2) for length in shape]
    rows, columns = (slice(start, min(start + _SIDE, length)) for start, length in zip(starts, shape, strict=True))
    return rows, columns


def _plane_of(axes: LayerAxes, plane: int) -> tuple[int, ...]:
    """Return the index of a plane on the axes of a layer before Y, from its number among the planes that are read."""
    lengths = [length for part, length in zip(axes.index, axes.lengths, strict=True) if isinstance(part, slice)]
    place = iter(np.unravel_index(plane, lengths)) if lengths else iter(())
    return tuple(int(next(place)) if isinstance(part, slice) else part for part in axes.index)


def _plane_in_words(axes: LayerAxes, plane: tuple[int, ...]) -> str:
    """Return the place of a plane as the sliders count it; "" if there is one plane."""
    words = {TIME: "time", DEPTH: "depth", CHANNEL: "channel"}
    parts = zip(axes.names, axes.lengths, plane, strict=True)
    return "".join(f"{words.get(name, 'plane')} {index}, " for name, length, index in parts if length > 1)


def _add_pair(viewer: ViewerModel, search: Search, found: NearestPatch, title: str) -> list[Layer]:
    """Add both patches beside the other layers and beside each other, at one scale and one contrast."""
    source, generated = search.sources[found.source], search.generated
    size = source.pixel_size or known_pixel_size(generated)
    pixel_size = {"pixel_size_nm": size} if size else {}
    place = free_place(viewer, size, 2)
    limits = shown_range(np.stack([search.patch, found.pixels]))
    rows, columns = search.window
    height, width = (generated.data[0] if generated.multiscale else generated.data).shape[-2:]
    part = layer_provenance(generated).of_part((rows.start, rows.stop), (columns.start, columns.stop), (height, width))
    made = replace(part, kind=GENERATED_PATCH)
    read = {"kind": TRAINING_PATCH, "correlation": found.correlation}
    step = (1 + _GAP) * search.patch.shape[1] * place["scale"][-1]
    beside = {**place, "translate": (place["translate"][0], place["translate"][1] + step)}
    shown = []
    for pixels, name, color, where, facts in (
        (search.patch, f"generated patch: {generated.name}", COLORS[0], place, made),
        (found.pixels, f"{title}: {source.name}", COLORS[1], beside, read),
    ):
        layer = viewer.add_image(
            pixels,
            name=name,
            colormap="inferno",
            contrast_limits=limits,
            metadata=layer_metadata(facts, **pixel_size),
            **where,
        )
        _frame(layer, color)
        mark_as_result(layer)
        shown.append(layer)
    return shown


def _frame(layer: ImageLayer, color: str) -> None:
    """Draw a frame around a layer, in the color of the rectangle that marks its place."""
    box = layer.bounding_box
    box.points, box.line_color, box.line_thickness, box.visible = False, color, 2, True


def _add_place(
    viewer: ViewerModel, layer: ImageLayer, plane: tuple[int, ...], window: Window, word: str, color: str
) -> Layer | None:
    """Add a rectangle with a word around a part of a plane of a layer; None if the layer was removed."""
    if layer not in viewer.layers:
        return None
    rows, columns = window
    corners = [(y - 0.5, x - 0.5) for y, x in _around(rows, columns)]  # 0 is the centre of the first pixel
    behind = (0,) * (layer.ndim - len(plane) - 2)
    shapes = viewer.add_shapes(
        [np.array([(*plane, *corner, *behind) for corner in corners])],
        shape_type="rectangle",
        name=f"place in {layer.name}",
        edge_color=color,
        edge_width=_line(viewer, layer, len(plane)),
        face_color="transparent",
        opacity=1.0,
        text={"string": {"constant": word}, "color": color, "size": 10, "anchor": "upper_left"},
        scale=layer.scale,
        translate=layer.translate,
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine.affine_matrix.copy(),
        units=layer.units,
        axis_labels=layer.axis_labels,
    )
    mark_as_result(shapes)
    return shapes


def _line(viewer: ViewerModel, layer: ImageLayer, row_axis: int) -> float:
    """Return the width of a line, in pixels of a layer, that is seen when all images are in view."""
    unit = drawn_unit(viewer, layer)
    low, high = drawn_extent(viewer, layer, unit)
    pixels = max((layer.data[0] if layer.multiscale else layer.data).shape[row_axis : row_axis + 2])
    extents = [drawn_extent(viewer, each, unit) for each in image_layers(viewer)]
    whole = np.max([one[1] for one in extents], axis=0) - np.min([one[0] for one in extents], axis=0)
    return max(1.0, float(_LINE * pixels * whole.max() / max((high - low).max(), 1e-12)))


def _around(rows: slice, columns: slice) -> list[tuple[int, int]]:
    """Return the corners (y, x) of a window, one after the other."""
    return [
        (rows.start, columns.start),
        (rows.start, columns.stop),
        (rows.stop, columns.stop),
        (rows.stop, columns.start),
    ]


def _sentence(search: Search, found: NearestPatch, plane: str, *, marked: bool) -> str:
    """Return the result in words."""
    place = (
        f"{search.sources[found.source].name}, {plane}row {found.window[0].start}, column "
        f"{found.window[1].start}. It correlates by {found.correlation:.2f}; a copy would reach 1."
    )
    if marked:
        at_plane = ", each at its plane" if plane or search.plane else ""
        place += f" Rectangles mark both places{at_plane}."
    if found.unseen:
        return (
            f"The training images of the model are not open ({found.unseen}): open them to look for copies. "
            f"The nearest patch in the open images is at {place}"
        )
    return f"The nearest patch in the training images is at {place}"
