"""What the numbers of reports mean and which are good: one sentence for each, from the measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .measures import ordered_measures

# Of what stands beside the measures.
_BESIDE = {
    "format_version": "Version of the format of this file.",
    "seconds.compare": "How long the comparison took, in seconds.",
    "provenance.patch": "Side in pixels of the patches whose textures, spectra and skeletons were compared.",
    "provenance.patches": "How many patches of each kind that were.",
}


def all_meanings() -> dict[str, str]:
    """Return the sentence of every number by its place in a report: its keys, joined by dots."""
    measured = {
        measure.full_key(name): sentence
        for measure in ordered_measures()
        for name, sentence in measure.meanings.items()
    }
    return {**measured, **_BESIDE}


def meanings_of(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the sentences for what stands in a report, by the keys of each number joined by dots."""
    return dict(_found(report, all_meanings()))


def _found(report: Mapping[str, Any], meanings: Mapping[str, str], above: str = "") -> dict[str, str]:
    found = {}
    for key, value in report.items():
        name = f"{above}{key}"
        if name in meanings:
            found[name] = meanings[name]
        if isinstance(value, Mapping):
            found.update(_found(value, meanings, f"{name}."))
    return found
