"""What a report says, in a few sentences, from the measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping


def summary(report: Mapping[str, Any]) -> list[str]:
    """Return what a report says as sentences; `report` may be what stands in `report.json`."""
    return (report if isinstance(report, Report) else Report.from_json(report)).summary
