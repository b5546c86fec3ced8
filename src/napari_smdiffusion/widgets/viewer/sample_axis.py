"""The axis of posterior samples in the viewer: its slider is named *sample*, and moves nothing else. Without Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...images.provenance import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel

    from ...base.arrays import Pixels
    from ...images.axes import Axis
    from ...images.provenance import Provenance
    from .layer_axes import LayerAxes

SAMPLE = "sample"  # label of the axis


def sample_place(viewer: ViewerModel, place: dict[str, Any]) -> dict[str, Any]:
    """Return the place of a stack of samples of a result with this place; see `refined_place`.

    The samples are on an axis of their own before all others. If a layer of another kind has its times or depths on
    that axis, axes of length 1 are put between: one slider would move both. On these axes the stack is as long as the
    other layers, so that it is seen at all their times and depths.
    """
    ndim = len(place["scale"])
    position = ndim + 1
    while _is_used(viewer, position):
        position += 1
    scale = np.concatenate([np.ones(position - ndim), place["scale"]])
    translate = np.concatenate([np.zeros(position - ndim), place["translate"]])
    units, labels = ["pixel"], [SAMPLE]
    for k in range(1, position - ndim):
        axis = k - position  # from the last one
        start, stop, step = viewer.dims.range[axis]
        scale[k], translate[k] = stop - start + step, (start + stop) / 2
        extent = viewer.layers.extent
        units.append("pixel" if extent.units is None else str(extent.units[axis]))
        labels.append(viewer.dims.axis_labels[axis])
    return {
        "scale": scale,
        "translate": translate,
        "rotate": _embedded(place["rotate"], position),
        "shear": _embedded(_shear_matrix(place["shear"], ndim), position),
        "affine": _embedded(place["affine"], position + 1),
        "units": (*units, *place["units"]),
        "axis_labels": (*labels, *place["axis_labels"]),
    }


def is_stack_of_samples(provenance: Provenance, axes: Sequence[Axis], ndim: int) -> bool:
    """Return whether an image (N, Y, X) in a file is one plane's samples: those of a stack are listed one by one."""
    return provenance.kind == SAMPLES and not axes and ndim == 3


def stacked(axes: LayerAxes, pixels: Pixels, planes: int, ndim: int) -> Any:
    """Return samples with the axes of their widefield layer behind the axis of samples.

    Parameters
    ----------
    axes
        The axes of the layer.
    pixels
        (samples · planes, Y, X): the planes of the first sample, then those of the second one.
    planes
        Number of planes of a sample.
    ndim
        Number of axes of the layer of samples.
    """
    shape = axes.shaped(pixels[:planes]).shape
    return pixels.reshape(len(pixels) // planes, *[1] * (ndim - 1 - len(shape)), *shape)


def _embedded(matrix: Any, size: int) -> Any:
    """Return a matrix of the last axes as one of `size` axes, which leaves the first ones as they are."""
    whole, last = np.eye(size), len(matrix)
    whole[size - last :, size - last :] = matrix
    return whole


def _shear_matrix(shear: Any, ndim: int) -> Any:
    """Return the shear of a layer, a matrix or the elements above its diagonal, as a matrix."""
    if np.ndim(shear) == 2:
        return shear
    matrix = np.eye(ndim)
    matrix[np.triu_indices(ndim, 1)] = shear
    return matrix


def _is_used(viewer: ViewerModel, position: int) -> bool:
    """Return whether a layer that shows no samples is longer than one step on an axis, counted from the last one."""
    for layer in viewer.layers:
        if layer.ndim >= position and layer.axis_labels[-position] != SAMPLE:
            low, high = layer.extent.world[:, -position]
            if high > low:  # not for NaN, which an empty layer has
                return True
    return False
