"""A report in a dock: the verdict with its rows, all figures behind a fold, the picture, and the button that saves."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...base.errors import InputError, is_user_error, sentence_of
from ...base.whole_files import atomic_file
from ...recipes.outputs import check_output_folder
from ...report.pictures import LEVEL_COLORS
from .folded import Folded
from .picture import LargePicture, Picture, asks_to_replace
from .plain import plain_label, set_tooltip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...report.limits import Level, VerdictRow
    from ...report.report import Report
    from ...report.verdict import Verdict
    from .model_menu import Frame

_PICTURE, _NUMBERS = "comparison.png", "report.json"
# Besides the colors, so that the levels are clear without them.
_MARKS: Mapping[Level, str] = MappingProxyType({"good": "✓", "differs": "≠", "warning": "!", "unknown": "?"})


class ReportView(QWidget):
    """The result of a comparison. It is hidden until there is one.

    Parameters
    ----------
    frame
        The dock, which shows messages.
    """

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self._frame = frame
        self._folder: Path | None = None
        self._large: LargePicture | None = None
        self.verdicts = QWidget()
        self._verdict_layout = QVBoxLayout(self.verdicts)
        self._verdict_layout.setContentsMargins(0, 0, 0, 0)
        self.sentences = plain_label()
        self.sentences.setWordWrap(True)
        self.sentences.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table = _report_table()
        figures = QWidget()
        figures_layout = QVBoxLayout(figures)
        figures_layout.setContentsMargins(0, 0, 0, 0)
        figures_layout.addWidget(self.sentences)
        figures_layout.addWidget(self.table)
        self.figures = Folded("All figures", figures)
        self.picture = Picture(100, whole=False)
        self.picture.enlarges()
        self.picture.clicked.connect(self.enlarge)
        self.save = QPushButton("Save report …")
        self.save.setToolTip(f"save the picture ({_PICTURE}) and the numbers ({_NUMBERS}) in a folder")
        self.save.clicked.connect(self._choose_folder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.verdicts, self.figures, self.picture, self.save):
            layout.addWidget(widget)
        self.setVisible(False)

    def show_report(self, report: Report, folder: Path | None) -> None:
        """Show a report, and the picture in `folder`, which must stay until the next report."""
        self._folder = folder
        while (item := self._verdict_layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        for verdict in report.overall_verdicts:
            self._verdict_layout.addWidget(VerdictBox(verdict))
        self.sentences.setText("\n".join(f"• {sentence}" for sentence in report.sentences))
        _fill(self.table, report)
        if folder is not None:
            self.picture.show_pixmap(QPixmap(str(folder / _PICTURE)))
            if self._large is not None:
                self._large.show_pixmap(self.picture.original)
        self.setVisible(True)

    def enlarge(self) -> None:
        """Show the picture in a window of its own, which shows later reports too."""
        if self._large is None:
            self._large = LargePicture(self, Path(_PICTURE).stem, whole=False)
            self._large.setWindowTitle("Comparison")
        self._large.show_pixmap(self.picture.original)
        self._large.show()
        self._large.raise_()

    def save_report(self, folder: Path) -> None:
        """Copy the picture and the numbers into `folder`. An earlier report in it is replaced after a question.

        Raises
        ------
        InputError
            If there is no report.
        OSError
            If the folder has files of these names that this program did not write, or cannot be written.
        """
        if self._folder is None:
            raise InputError("There is no report yet: press Run first.")
        folder = check_output_folder(folder, _PICTURE)
        existing = [path for path in (folder / _PICTURE, folder / _NUMBERS) if path.exists()]
        if existing and not asks_to_replace(self, existing):
            self._frame.show_status("The report is not saved.")
            return
        for name in (_PICTURE, _NUMBERS):
            with atomic_file(folder / name) as temporary:
                shutil.copyfile(self._folder / name, temporary)
        self._frame.show_status(f"{_PICTURE} and {_NUMBERS} are saved in {folder}.")

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Save the report in this folder")
        if not folder:
            return
        try:
            self.save_report(Path(folder))
        except Exception as error:
            if not is_user_error(error):
                raise
            self._frame.show_failure(sentence_of(error))


class VerdictBox(QFrame):
    """A verdict behind a bar in the color of its level, and its rows."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.level = verdict.level
        self.setObjectName("verdict")
        color = LEVEL_COLORS[verdict.level]
        # The bar is on the left only: text on a colored background would be hard to read in one of the themes.
        self.setStyleSheet(f"QFrame#verdict {{ border: 1px solid {color}; border-left: 8px solid {color}; }}")
        self.text = plain_label(verdict.text, bold=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        grid = QGridLayout(self)
        grid.setColumnStretch(1, 1)
        grid.setVerticalSpacing(3)
        grid.addWidget(self.text, 0, 0, 1, 2)
        self.rows = [_row_labels(row) for row in verdict.rows]
        for number, (mark, name, value) in enumerate(self.rows):
            grid.addWidget(mark, 2 * number + 1, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(name, 2 * number + 1, 1)
            grid.addWidget(value, 2 * number + 2, 1)


def _row_labels(row: VerdictRow) -> tuple[QLabel, QLabel, QLabel]:
    """Return the labels of a row: its mark, its name, and its value with what is normal."""
    mark = plain_label(_MARKS[row.level], bold=True)
    mark.setStyleSheet(f"color: {LEVEL_COLORS[row.level]}")
    value = plain_label(row.text)
    value.setWordWrap(True)
    return mark, plain_label(row.name, bold=True), value


def _report_table() -> QTableWidget:
    """Return the empty table of measures and values."""
    table = QTableWidget(0, 2)
    table.setHorizontalHeaderLabels(["measure", "value"])
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.verticalHeader().setVisible(False)
    # Half of the width keeps the numbers visible. The tooltip holds the full text of a cell.
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    return table


def _fill(table: QTableWidget, report: Report) -> None:
    """Show the numbers of a report, with their meanings as tooltips."""
    rows = report.table
    table.setRowCount(len(rows))
    for i, row in enumerate(rows):
        for column, text in enumerate((readable(row.key), row.text)):
            item = QTableWidgetItem(text)
            set_tooltip(item, f"{text}. {row.meaning}".strip())
            table.setItem(i, column, item)
    table.setMinimumHeight(min(320, 30 * (len(rows) + 1)))


def readable(key: str) -> str:
    """Return a report's key as text for the table: "realism.score_low" as "realism: score low"."""
    return key.replace(".", ": ").replace("_", " ")
