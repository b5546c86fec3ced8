"""The scrolled part of a dock: its form, and its results below, which it keeps in sight while they grow."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget


class FormArea(QScrollArea):
    """A vertical scroll area without a frame."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._following = False
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)
        if (bar := self.verticalScrollBar()) is not None:
            bar.rangeChanged.connect(self._scroll_down)
            bar.actionTriggered.connect(self.rest)  # by the wheel, the keys or a drag

    def follow(self) -> None:
        """Keep the lower end in sight while the content grows, until the user scrolls or `rest` is called."""
        self._following = True
        self._scroll_down()

    def rest(self) -> None:
        """Stay where the content is scrolled to."""
        self._following = False

    def _scroll_down(self) -> None:
        bar = self.verticalScrollBar()
        if self._following and bar is not None:
            bar.setValue(bar.maximum())
