"""The structure that a layer shows, by its file or the user: a part of its provenance, under this program's key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...images.provenance import METADATA
from .enhanced_layers import original
from .layers import layer_provenance
from .own_metadata import own_metadata

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer


def layer_structure(layer: ImageLayer) -> str:
    """Return the structure that a layer shows, such as "microtubules"; "" if it is unknown."""
    state = original(layer)
    provenance = layer_provenance(layer) if state is None else state["source"].provenance
    return provenance.structure or ""


def set_structure(layer: ImageLayer, structure: str) -> None:
    """Store the structure that a layer shows. A copy that is saved as a TIFF of this program's type states it too."""
    ours = own_metadata(layer)
    # An assignment, unlike a change in place, emits an event.
    layer.metadata = {
        **layer.metadata,
        METADATA: {**ours, "provenance": {**ours.get("provenance", {}), "structure": structure}},
    }
