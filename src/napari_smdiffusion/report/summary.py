"""The summary of a report in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping


def summary(report: Mapping[str, Any]) -> list[str]:
    """Return the sentences of a report, or of the content of `report.json`."""
    return (report if isinstance(report, Report) else Report.from_json(report)).summary
