"""The values that this program stores in a layer's metadata, under its own key. Without Qt.

The metadata of a layer come from files too, which anyone can write. So each value has its type and range here, or it is
left out: no dock fails to open because of a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...images.provenance import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

STRETCHED = "stretched"  # key of the ratio of Y to X by which the scale was changed, as a file states it
SHOWN_AS = "shown_as"  # key of the name of a layer that shows a result until the next one replaces it
_LONGEST = 1e12  # nm


def own_metadata(layer: Layer) -> dict[str, Any]:
    """Return a copy of our metadata of a layer. Values of a wrong type, or outside of their range, are left out."""
    ours = layer.metadata.get(METADATA)
    if not isinstance(ours, Mapping):
        return {}
    return {key: value for key, value in ours.items() if key not in _CHECKS or _CHECKS[key](value)}


def mark_as_result(layer: Layer) -> None:
    """Mark a layer as one that the next result of its kind replaces, as long as it keeps its name."""
    # napari changes a name that another layer has, so the name is read back.
    layer.metadata = {**layer.metadata, METADATA: {**own_metadata(layer), SHOWN_AS: layer.name}}


def is_unchanged_result(layer: Layer) -> bool:
    """Return whether a layer shows a result that the user has neither renamed nor duplicated."""
    return bool(own_metadata(layer).get(SHOWN_AS) == layer.name)


def _is_length(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 < value < _LONGEST  # False for NaN


def _is_original(value: Any) -> bool:
    """Return whether a value is the state of a layer before an enhancement in place, which only this session holds."""
    return isinstance(value, dict) and callable(value.get("layer"))


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "pixel_size_nm": _is_length,
    STRETCHED: _is_length,
    "typed": lambda value: isinstance(value, bool),
    "problem": lambda value: isinstance(value, str),
    "provenance": lambda value: isinstance(value, Mapping),
    "finished": lambda value: isinstance(value, int) and value >= 0,
    "unfinished": lambda value: isinstance(value, bool),
    SHOWN_AS: lambda value: isinstance(value, str),
    "original": _is_original,
}
