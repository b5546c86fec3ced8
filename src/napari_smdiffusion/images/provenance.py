"""Where an image came from: measured, generated, simulated or enhanced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Kinds of provenance: of what a diffusion model generated, of simulated structures, and of what is made of a widefield
# image.
SYNTHETIC, SIMULATED = "synthetic", "simulated"
ENHANCED, UNCERTAINTY, ERROR_MAP = RESULT_KINDS = ("enhanced", "uncertainty of an enhanced image", "error map")


def training_images(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return what the model of generated images was trained on: names by digest, nothing where it is not known."""
    return {str(one.get("sha256")): str(one.get("name")) for one in provenance.get("training_data", [])}


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence: the first two, and how many more there are."""
    some = list(names)
    return ", ".join(some[:3]) if len(some) <= 3 else f"{some[0]}, {some[1]} and {len(some) - 2} more"
