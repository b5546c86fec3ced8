"""Why an enhanced image may be wrong, as it and the other images of its field state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .enhanced import EnhancedField


def stated_doubts(field: EnhancedField) -> tuple[str, ...]:
    """Return the doubts that the enhanced image states, or whether another image states another structure."""
    stated = field.enhanced.provenance
    for image in (field.widefield, field.reference):
        shown = "" if image is None else image.provenance.structure
        if image is not None and shown and stated.structure and shown != stated.structure and not stated.doubts:
            enhancer = stated.model or "an enhancer"
            return (
                f"{Path(field.enhanced.name).name} was made by {enhancer}, which draws {stated.structure}, and "
                f"{Path(image.name).name} shows {shown}: enhance it with an enhancer of that structure.",
            )
    return stated.doubts
