"""Writes a known pixel size into the scale and the unit of a layer, so that napari draws it at its size. Without Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...images.provenance import METADATA
from .layer_pixels import pixel_sides, typed_pixel_size
from .layers import image_layers
from .own_metadata import STRETCHED, own_metadata

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer


def use_as_scale(viewer: ViewerModel, layer: ImageLayer) -> bool:
    """Write the pixel size of a layer without a unit of length into its scale, place and unit.

    The layer keeps its place among other layers in pixels that get a scale as well: its place is a number of pixels
    before, and the same length afterwards. The unit is that of the other layers, or nm.

    Returns
    -------
    Whether the scale was written: a layer with a unit, or without a known pixel size, is left alone.

    Raises
    ------
    InputError
        If the sides of the pixels are not at right angles.
    """
    size = typed_pixel_size(layer)
    if not size or pixel_sides(layer) is None:
        return False
    edges = np.zeros((2, layer.ndim))
    edges[1, -1] = 1
    start, end = (np.asarray(layer.data_to_world(point)) for point in edges)
    unit, nanometres = _unit_of_others(viewer, layer)
    factor = size / nanometres / float(np.linalg.norm(end - start))
    scale, translate = np.array(layer.scale, float), np.array(layer.translate, float)
    affine = np.array(layer.affine.affine_matrix, float)
    scale[-2:] *= factor
    translate[-2:] *= factor
    affine[-3:-1, -1] *= factor  # the last two rows above the last one move along Y and X
    layer.scale, layer.translate, layer.affine = scale, translate, affine
    layer.units = (*layer.units[:-2], unit, unit)
    ours = {key: value for key, value in own_metadata(layer).items() if key not in ("typed", STRETCHED)}
    layer.metadata = {**layer.metadata, METADATA: ours}
    return True


def layers_to_calibrate(viewer: ViewerModel) -> list[ImageLayer]:
    """Return the layers of the viewer that have a known pixel size and no unit of length."""
    return [layer for layer in image_layers(viewer) if typed_pixel_size(layer)]


def _unit_of_others(viewer: ViewerModel, layer: ImageLayer) -> tuple[str, float]:
    """Return the unit of length of the topmost other layer that has one, or nm, and its length in nm."""
    for other in image_layers(viewer):
        unit = other.units[-1]
        if other is not layer and "[length]" in unit.dimensionality:
            return str(unit), float((1 * unit).to("nm").magnitude)
    return "nm", 1.0
