"""Puts images from this program's TIFF files where they belong: place, unit, name and contrast. Without Qt.

napari opens TIFF files itself, at the scale 1. It chooses readers by the name of the file alone. With a second reader
of `*.tif` napari would ask for every TIFF file which reader to use, and `viewer.open` in scripts would fail. So the
place is restored afterwards, as soon as a dock of this program is open.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...images.axes import axes_to_json
from ...images.limits import open_tiff
from ...images.provenance import EXPERIMENTAL, METADATA, Provenance, layer_metadata
from ...images.tiff import OwnMetadata, own_metadata
from .contrast import shown_range
from .layer_pixels import known_pixel_size, typed_pixel_size
from .layers import image_layers
from .sample_axis import SAMPLE, is_stack_of_samples
from .shown import shown_in, without_shown
from .trust_map import look_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

    from ...images.axes import Axis


def metadata_of_own_file(path: Path) -> OwnMetadata | None:
    """Return the metadata of a TIFF file that this program wrote; None for any other file."""
    # tifffile raises many kinds of errors for damaged files and files of other formats.
    with suppress(Exception), open_tiff(path) as tiff:
        metadata = own_metadata(tiff)
        if metadata.pixel_size or metadata.provenance:
            return metadata
    return None


def own_file_of(layer: ImageLayer) -> OwnMetadata | None:
    """Return the metadata of the file of a layer that napari opened from a file of this program, to restore its place.

    None for any other layer, and for one that was moved, or has a scale, a unit or our metadata already.
    """
    path = layer.source.path
    if path is None or METADATA in layer.metadata or layer.multiscale or not _is_as_opened(layer):
        return None
    metadata = metadata_of_own_file(Path(path)) if Path(path).is_file() else None
    return metadata if metadata is not None and metadata.pixel_size else None


def restore_place(viewer: ViewerModel, layer: ImageLayer, metadata: OwnMetadata) -> None:
    """Give a layer the place, unit, name and contrast that its file states, beside the other layers."""
    size = metadata.pixel_size or 1.0
    unit, nanometres = _unit_beside(viewer, layer)
    corner = np.array(metadata.origin) + size / 2  # napari's origin is the centre of the first pixel
    scale, translate = np.array(layer.scale, float), np.array(layer.translate, float)
    scale[-2:], translate[-2:] = size / nanometres, corner / nanometres
    provenance = without_shown(metadata.provenance)
    axes = {"axes": axes_to_json(metadata.axes)} if metadata.axes else {}
    layer.metadata = {**layer.metadata, **layer_metadata(provenance, pixel_size_nm=size, **axes)}
    layer.scale, layer.translate = scale, translate
    layer.units = (*layer.units[:-2], unit, unit)
    _show_as_saved(layer, metadata.provenance, metadata.axes)


def _is_as_opened(layer: ImageLayer) -> bool:
    """Return whether a layer has neither a place nor a unit of its own."""
    plain = np.allclose(layer.scale, 1) and np.allclose(layer.translate, 0)
    plain &= np.allclose(layer.affine.affine_matrix, np.eye(layer.ndim + 1))
    return bool(plain) and all("[length]" not in unit.dimensionality for unit in layer.units)


def _unit_beside(viewer: ViewerModel, layer: ImageLayer) -> tuple[str, float]:
    """Return the unit for a layer, and its length in nm.

    It is nm, unless all other images are in pixels, and these have one known length: napari ignores units of which
    some are lengths and others are not.
    """
    lengths = []
    for other in image_layers(viewer):
        if other is not layer and known_pixel_size(other):
            size = typed_pixel_size(other)
            if size is None:  # it has a unit of length
                return "nm", 1.0
            lengths.append(size / float(other.scale[-1]))
    agree = bool(lengths) and max(lengths) < 1.01 * min(lengths)
    return ("pixel", lengths[0]) if agree else ("nm", 1.0)


def _show_as_saved(layer: ImageLayer, provenance: Provenance, axes: Sequence[Axis]) -> None:
    """Give a layer its name, contrast and colormap again, unless the user chose others."""
    shown = shown_in(provenance)
    if shown.name:
        layer.name = shown.name
    if tuple(layer.contrast_limits) == tuple(layer.contrast_limits_range):
        layer.contrast_limits = shown.contrast_limits or shown_range(layer.data)
    for name, value in look_of(provenance.kind).items():
        setattr(layer, name, value)
    if is_stack_of_samples(provenance, axes, layer.ndim):
        layer.axis_labels = (SAMPLE, *layer.axis_labels[1:])
    if layer.colormap.name == "gray" and (shown.colormap or provenance.kind != EXPERIMENTAL):
        with suppress(KeyError, ValueError, TypeError):  # a colormap that this viewer does not have
            layer.colormap = shown.colormap or "inferno"
