"""How a layer was shown when it was saved: the record in the provenance of its file. Without Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...images.provenance import Provenance

_SHOWN = "layer"  # key of the name and the contrast of a saved layer, among the provenance


@dataclass(frozen=True)
class Shown:
    """How a layer was shown when it was saved; None where it is not stated."""

    name: str | None = None
    contrast_limits: tuple[float, float] | None = None
    colormap: str | None = None


def with_shown(provenance: Provenance, attributes: Mapping[str, Any]) -> Provenance:
    """Return the provenance with the name, contrast and colormap of the layer that is saved.

    Parameters
    ----------
    provenance
        Provenance of the image.
    attributes
        The attributes of the layer that napari passes to a writer.
    """
    shown: dict[str, Any] = {}
    if isinstance(name := attributes.get("name"), str):
        shown["name"] = name
    limits = attributes.get("contrast_limits")
    if limits is not None and all(math.isfinite(value) for value in limits):
        shown["contrast_limits"] = [float(value) for value in limits]
    colormap = attributes.get("colormap")
    colormap = colormap.get("name") if isinstance(colormap, dict) else getattr(colormap, "name", colormap)
    if isinstance(colormap, str):
        shown["colormap"] = colormap
    return replace(provenance, more={**provenance.more, _SHOWN: shown}) if shown else provenance


def shown_in(provenance: Provenance) -> Shown:
    """Return how a layer was shown, from its file; values of another type count as not stated."""
    stated = provenance.more.get(_SHOWN)
    if not isinstance(stated, dict):
        return Shown()
    name, limits, colormap = (stated.get(key) for key in ("name", "contrast_limits", "colormap"))
    numbers = isinstance(limits, list) and len(limits) == 2 and all(type(value) in (int, float) for value in limits)
    ordered = numbers and isinstance(limits, list) and -1e300 < limits[0] < limits[1] < 1e300
    return Shown(
        name if isinstance(name, str) and name else None,
        (float(limits[0]), float(limits[1])) if ordered and isinstance(limits, list) else None,
        colormap if isinstance(colormap, str) else None,
    )


def without_shown(provenance: Provenance) -> Provenance:
    """Return the provenance without the record of how a layer was shown, which its layer has itself."""
    return replace(provenance, more={key: value for key, value in provenance.more.items() if key != _SHOWN})
