"""The bottom of every dock, which is always in sight: Run and Stop, progress, the status, help and citation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ..parts.plain import plain_label

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

_LINES = 6  # of the status; a longer one scrolls


class Bottom(QWidget):
    """The buttons, the progress bar and the status of a dock."""

    def __init__(self) -> None:
        super().__init__()
        self.run = _button("Run", "start the work (Ctrl+Enter); the form is locked until it ends")
        self.stop = _button("Stop", "stop soon, and keep the results that are finished")
        self.stop.setEnabled(False)
        self.copy = _button("Copy as Python", "copy Python code that does the same, for napari's console or a script")
        self.help = _button("?", "show the page about this dock")
        self.cite = _button("Cite", "copy the reference of the method, for your publication")
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.progress.setRange(0, 1)
        self.progress.setFormat("")
        self.status = Status()
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.run, self.stop, self.copy):
            buttons.addWidget(button, 1)
        for button in (self.help, self.cite):
            button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.status)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)


class Status(QScrollArea):
    """A message that takes the lines that it needs, up to a few: it never pushes Run out of the window."""

    def __init__(self) -> None:
        super().__init__()
        self.label = plain_label()
        self.label.setWordWrap(True)
        self.label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # A name without a space must not make the dock wider.
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setWidget(self.label)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fit()

    def show_message(self, message: str) -> None:
        """Show a message."""
        self.label.setText(message)
        self._fit()
        self.verticalScrollBar().setValue(0)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Fit the height to the new width."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: Any) -> None:
        """Fit the height to a new font or theme."""
        super().changeEvent(event)
        if hasattr(self, "label"):
            self._fit()

    def sizeHint(self) -> QSize:
        """Return a narrow size: the message is wrapped."""
        return QSize(100, self.minimumHeight())

    def _fit(self) -> None:
        line = self.label.fontMetrics().lineSpacing()
        needed = self.label.heightForWidth(max(self.viewport().width(), 50)) if self.label.text() else line
        height = min(max(needed, line), _LINES * line) + 4
        if height != self.minimumHeight():
            self.setFixedHeight(height)


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(text)
    button.setToolTip(tooltip)
    return button
