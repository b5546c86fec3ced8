"""The picture of a report: patches side by side, the panels and rows of the measures, and the summary."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from .measure import LeftOut, PictureRow
from .measures import ordered_measures
from .pictures import INK, LEVEL_COLORS, contact_sheet, new_figure, save_figure, show

if TYPE_CHECKING:
    from pathlib import Path

    from .context import MeasureContext, Patches
    from .report import Report

_SHEETS_HEIGHT, _PANELS_HEIGHT = 5.0, 4.0  # inches


def draw_comparison(path: Path, report: Report, context: MeasureContext) -> None:
    """Write one picture of the whole comparison.

    From top to bottom: the verdict, patches of both kinds side by side, the panels of the measures in one row, the
    rows of the measures, and their sentences.

    Parameters
    ----------
    path
        PNG file.
    report
        The results.
    context
        The compared images.
    """
    rows = [
        *_verdicts(report),
        *_sheets(context),
        *_panels(report),
        *_rows(report, context),
        *_sentences(report.sentences),
    ]
    heights = [row.height for row in rows]
    figure = new_figure(13, sum(heights))
    parts: Any = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, row in zip(parts, rows, strict=True):
        row.draw(part)
    save_figure(figure, path)


def _verdicts(report: Report) -> list[PictureRow]:
    """Return one row with a line for each verdict, behind a mark in the color of its level."""
    lines = [
        (line, verdict.level, not number)
        for verdict in report.overall_verdicts
        for number, line in enumerate(wrap(verdict.text, 115))
    ]

    def draw(figure: Any) -> None:
        for number, (line, level, first) in enumerate(lines):
            height = 1 - (number + 0.7) / (len(lines) + 0.4)
            if first:
                figure.text(0.012, height, "●", fontsize=16, color=LEVEL_COLORS[level], va="center")
            figure.text(0.032, height, line, fontsize=13, color=INK, va="center", weight="bold")

    return [PictureRow(0.2 + 0.27 * len(lines), draw)] if lines else []


def _sheets(context: MeasureContext) -> list[PictureRow]:
    patches = context.patches
    return [] if patches is None else [PictureRow(_SHEETS_HEIGHT, lambda part: _draw_sheets(part, patches, context))]


def _draw_sheets(figure: Any, patches: Patches, context: MeasureContext) -> None:
    kinds = (("Experimental", patches.experimental), ("Generated", patches.generated))
    for axes, (title, kind) in zip(figure.subplots(1, 2), kinds, strict=True):
        sheet = contact_sheet(kind[:: max(1, len(kind) // 12)][:12], 4, fill=context.contrast[1])
        show(axes, sheet, context.contrast, title, context.pixel_size, kind.shape[-1])


def _panels(report: Report) -> list[PictureRow]:
    """Return one row with the panel of each measure that has one."""
    panels = [
        (measure.panel, report.results[measure.key])
        for measure in ordered_measures()
        if measure.panel is not None and _has_result(report, measure.key)
    ]

    def draw(figure: Any) -> None:
        for axes, (panel, result) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            panel(axes, result)

    return [PictureRow(_PANELS_HEIGHT, draw)] if panels else []


def _rows(report: Report, context: MeasureContext) -> list[PictureRow]:
    rows = [
        measure.row(report.results[measure.key], context)
        for measure in ordered_measures()
        if measure.row is not None and _has_result(report, measure.key)
    ]
    return [row for row in rows if row is not None]


def _has_result(report: Report, key: str) -> bool:
    return key in report.results and not isinstance(report.results[key], LeftOut)


def _sentences(sentences: list[str]) -> list[PictureRow]:
    lines = [line for sentence in sentences for line in wrap(sentence, 165, subsequent_indent="    ")]
    text = "\n".join(lines)

    def draw(figure: Any) -> None:
        figure.text(0.012, 0.97, text, fontsize=10, color=INK, va="top", linespacing=1.3)

    return [PictureRow(0.4 + 0.19 * len(lines), draw)] if lines else []
