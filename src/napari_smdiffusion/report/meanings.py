"""The meanings of the numbers in reports, from the measures: what a number is, and which values are good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .measures import ordered_measures

# Numbers that no measure has.
_OTHER = {
    "format_version": "Version of the format of this file.",
    "verdict.generated": (
        "Whether the generated images resemble the experimental ones: good, differs, warning (copies of training "
        "images), or unknown if too little was measured."
    ),
    "verdict.enhanced": (
        "Whether the enhanced image explains its widefield image: good, differs (from the super-resolution image), "
        "warning (it does not), or unknown if this was not measured."
    ),
    "seconds.compare": "Duration of the comparison in seconds.",
    "provenance.patch": "Side in pixels of the patches for the comparison of textures, spectra and skeletons.",
    "provenance.patches": "Number of these patches of each kind.",
}


def all_meanings() -> dict[str, str]:
    """Return the meaning of every number, by its keys in a report joined by dots."""
    measured = {
        measure.full_key(name): meaning for measure in ordered_measures() for name, meaning in measure.meanings.items()
    }
    return {**measured, **_OTHER}


def meanings_of(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the meanings of the numbers in a report, by their keys joined by dots."""
    return _used(report, all_meanings())


def _used(report: Mapping[str, Any], meanings: Mapping[str, str], above: str = "") -> dict[str, str]:
    used = {}
    for key, value in report.items():
        name = f"{above}{key}"
        if name in meanings:
            used[name] = meanings[name]
        if isinstance(value, Mapping):
            used.update(_used(value, meanings, f"{name}."))
    return used
