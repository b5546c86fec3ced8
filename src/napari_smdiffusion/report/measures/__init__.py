"""The measures of a report, one file each. A new file that registers a `Measure` adds it to every report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...base.registry import Registry

if TYPE_CHECKING:
    from ..measure import Measure

MEASURES: Registry[Measure[Any]] = Registry("measure", "MEASURES", __name__)


def ordered_measures() -> list[Measure[Any]]:
    """Return all registered measures in the order of a report."""
    return sorted(MEASURES.values(), key=lambda measure: (measure.order, measure.key))
