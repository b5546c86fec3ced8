"""Places of layers that are compared with each other. Without Qt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...base.errors import InputError
from .layer_axes import layer_axes
from .layer_pixels import length_in_nm

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer

    from ...base.arrays import Values
    from .layer_source import LayerSource


def along_axes_of(layer: ImageLayer, own: LayerSource, other: LayerSource) -> LayerSource:
    """Return `other` with its origin along the rows and columns of a layer, whose source is `own`.

    Origins are along the axes of napari's world. In a layer that is rotated or flipped, a shift along its rows is
    another one.
    """
    rows, columns = _edges(layer)
    distance = np.subtract(other.origin, own.origin)
    y, x = (float(distance @ edge / np.linalg.norm(edge)) for edge in (rows, columns))
    return replace(other, origin=(own.origin[0] + y, own.origin[1] + x))


def check_not_turned(layer: ImageLayer, other: ImageLayer) -> None:
    """Raise an InputError if `other` is rotated or mirrored against a layer, so that their pixels do not correspond.

    What moves the edge of the layer by less than half of its pixel is a rounding error.
    """
    turned = max(
        float(np.linalg.norm(a / np.linalg.norm(a) - b / np.linalg.norm(b)))
        for a, b in zip(_edges(layer), _edges(other), strict=True)
    )
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    longest = max(shape[axis] for axis in layer_axes(layer).plane_axes)
    if turned * longest > 1:
        raise InputError(
            f"{other.name} is rotated or mirrored against {layer.name}, but the rows and columns of their pixels are "
            "compared. Give both layers the same rotation, or resample one of them onto the pixels of the other."
        )


def _edges(layer: ImageLayer) -> tuple[Values, Values]:
    """Return the edges of a pixel, down its rows and along its columns, as (y, x) in one unit of napari's world."""
    axes = list(layer_axes(layer).plane_axes)
    points = np.zeros((3, layer.ndim))
    points[1, axes[0]] = points[2, axes[1]] = 1
    corner, *ends = (np.asarray(layer.data_to_world(point))[axes] for point in points)
    lengths = [length_in_nm(layer.units[axis]) for axis in axes]
    factors = np.array(lengths) if all(lengths) else np.ones(2)
    down, along = ((end - corner) * factors for end in ends)
    return down, along
