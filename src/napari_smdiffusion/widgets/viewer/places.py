"""Places of layers that are compared with each other. Without Qt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .layer_axes import layer_axes

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer

    from .layer_source import LayerSource


def along_axes_of(layer: ImageLayer, own: LayerSource, other: LayerSource) -> LayerSource:
    """Return `other` with its origin along the rows and columns of a layer, whose source is `own`.

    Origins are along the axes of napari's world. In a layer that is rotated or flipped, a shift along its rows is
    another one.
    """
    axes = list(layer_axes(layer).plane_axes)
    points = np.zeros((3, layer.ndim))
    points[1, axes[0]] = points[2, axes[1]] = 1
    corner, *ends = (np.asarray(layer.data_to_world(point))[axes] for point in points)
    edges = [end - corner for end in ends]
    distance = np.subtract(other.origin, own.origin)
    y, x = (float(distance @ edge / np.linalg.norm(edge)) for edge in edges)
    return replace(other, origin=(own.origin[0] + y, own.origin[1] + x))
