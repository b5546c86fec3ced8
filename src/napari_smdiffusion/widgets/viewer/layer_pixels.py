"""The pixel size of a layer: by its unit of length, by its file, or as the user entered it. Without Qt."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...base.errors import InputError
from ...images.pixel_size import are_anisotropic
from ...images.provenance import METADATA
from .layer_axes import layer_axes
from .own_metadata import STRETCHED, own_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image as ImageLayer
    from pint.util import UnitsContainer

    from ...enhance.pixel_fit import PixelSides


def layer_pixel_size(layer: ImageLayer) -> float | None:
    """Return the pixel size in nm: by the layer's unit of length, or as entered by the user; None if unknown.

    Raises
    ------
    InputError
        If its pixels are not square.
    """
    sides = pixel_sides(layer)
    y, x = sides or pixel_edges(layer)
    if are_anisotropic((y, x)) and sides is None:
        raise InputError(
            f"{layer.name} has pixels of {y:.6g} by {x:.6g} in no unit of length: enter its pixel size along X to "
            "enhance it; for anything else, resample it to square pixels first."
        )
    if are_anisotropic((y, x)):
        raise InputError(
            f"{layer.name} has pixels of {y:.6g} by {x:.6g} nm: resample it to square pixels first. Only an image to "
            "be enhanced is resampled by this program."
        )
    return None if sides is None else x


def pixel_sides(layer: ImageLayer) -> tuple[float, float] | None:
    """Return the (y, x) sides of a pixel in nm, which differ if the pixels are not square; None if they are unknown.

    A pixel size that the user entered is the side along X, and the scale of the layer has the ratio of both.

    Raises
    ------
    InputError
        If the pixels have no sides at right angles, or a unit that is not known.
    """
    y, x = pixel_edges(layer)
    if unit_in_nm(layer):
        return y, x
    ours = own_metadata(layer)
    if "pixel_size_nm" in ours:
        size = float(ours["pixel_size_nm"])
        return size * y / x, size
    if "problem" in ours:
        raise InputError(ours["problem"])
    return None


def known_pixels(layer: ImageLayer) -> PixelSides | None:
    """Return the pixel size in nm, or the (y, x) sides of pixels that are not square; None if they are not known."""
    try:
        sides = pixel_sides(layer)
    except ValueError:
        return None
    if sides is None:
        return None
    return sides if are_anisotropic(sides) else sides[1]


def pixel_edges(layer: ImageLayer) -> tuple[float, float]:
    """Return the lengths (y, x) of a pixel's edges, for any rotation, flip or scale.

    They are in nm, or in numbers of the layer if its unit is not a unit of length.

    Raises
    ------
    InputError
        If the edges are not at right angles, or only one of Y and X has a unit of length.
    """
    axes = layer_axes(layer).plane_axes
    units = [layer.units[axis] for axis in axes]
    if len({length_in_nm(unit) is None for unit in units}) > 1:
        raise InputError(f"{layer.name} has Y in {units[0]} and X in {units[1]}: give both axes a unit of length.")
    points = np.zeros((3, layer.ndim))
    for point, axis in zip(points[1:], axes, strict=True):
        point[axis] = 1
    factors = np.array([length_in_nm(unit) or 1.0 for unit in layer.units]) if unit_in_nm(layer) else 1.0
    corner, *ends = (np.asarray(layer.data_to_world(point)) * factors for point in points)
    along_y, along_x = (end - corner for end in ends)
    y, x = float(np.linalg.norm(along_y)), float(np.linalg.norm(along_x))
    if abs(float(along_y @ along_x)) > 0.02 * y * x:
        raise InputError(f"{layer.name} is sheared: resample it to square pixels first.")
    return y, x


def known_pixel_size(layer: ImageLayer) -> float | None:
    """Return `layer_pixel_size`, or None if the pixels are not square."""
    try:
        return layer_pixel_size(layer)
    except ValueError:
        return None


def has_length_unit(layer: ImageLayer) -> bool:
    """Return whether Y and X of a layer have units of length."""
    return unit_in_nm(layer) is not None


def unit_in_nm(layer: ImageLayer) -> float | None:
    """Return the length of the unit of X in nm, or None if Y and X have no units of length."""
    y, x = (length_in_nm(layer.units[axis]) for axis in layer_axes(layer).plane_axes)
    return x if y else None


def length_in_nm(unit: Any) -> float | None:
    """Return the length of a unit in nm, or None if it is not a unit of length."""
    from pint.util import to_units_container

    unit_class: Any = type(unit)  # each registry of pint has its own
    return _in_nm(unit_class, to_units_container(unit))


@lru_cache(maxsize=256)
def _in_nm(unit_class: Callable[[UnitsContainer], Any], units: UnitsContainer) -> float | None:
    """Return the length of a unit in nm. The docks ask for it hundreds of times, and each takes pint a millisecond."""
    unit = unit_class(units)
    return float((1 * unit).to("nm").magnitude) if dict(unit.dimensionality) == {"[length]": 1} else None


def set_pixel_size(layer: ImageLayer, pixel_size: float) -> None:
    """Store a pixel size in nm that the user entered for a layer; the scale of the layer stays.

    It replaces both sides of pixels that are not square by their file, whose ratio the scale then no longer has.
    """
    before = own_metadata(layer)
    if ratio := before.pop(STRETCHED, None):
        scale = np.array(layer.scale, float)
        scale[layer_axes(layer).plane_axes[0]] /= ratio
        layer.scale = scale
    ours = {"pixel_size_nm": float(pixel_size), "typed": True}
    # An assignment, unlike a change in place, emits an event.
    layer.metadata = {**layer.metadata, METADATA: {**before, **ours}}


def typed_pixel_size(layer: ImageLayer) -> float | None:
    """Return the pixel size in nm that the user entered for a layer without a unit of length, or None."""
    ours = own_metadata(layer)
    entered = ours.get("typed") and "pixel_size_nm" in ours and unit_in_nm(layer) is None
    return float(ours["pixel_size_nm"]) if entered else None
