"""The scrolled part of a dock: its form, and its results below, which it keeps in sight while they grow."""

from __future__ import annotations

from qtpy.compat import isalive
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget

_LAYOUT = 400  # ms in which a new layout is complete


class FormArea(QScrollArea):
    """A vertical scroll area without a frame."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._following = False
        self._first: QWidget | None = None  # the widget to show at the top
        self._times = 0  # how often to wait for the layout before it is forgotten
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._forget_first)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)
        if (bar := self.verticalScrollBar()) is not None:
            bar.rangeChanged.connect(self._scroll_down)
            bar.rangeChanged.connect(self._follow_first)
            bar.actionTriggered.connect(self.rest)  # by the wheel, the keys or a drag
            bar.actionTriggered.connect(self._leave_first)

    def follow(self) -> None:
        """Keep the lower end in sight while the content grows, until the user scrolls or `rest` is called."""
        self._following = True
        self._scroll_down()

    def rest(self) -> None:
        """Stay where the content is scrolled to."""
        self._following = False

    def show_top_of(self, widget: QWidget) -> None:
        """Scroll to the top of a widget of the content, and keep it in sight while the new layout is completed."""
        # Twice: drawing the canvas may take all of the first time.
        self._first, self._times = widget, 2
        self._timer.start(_LAYOUT)

    def _follow_first(self) -> None:
        """Scroll to the widget, and wait anew for the rest of the layout."""
        if self._first is not None:
            self._scroll_to_first()
            self._timer.start(_LAYOUT)

    def _scroll_to_first(self) -> None:
        content, bar = self.widget(), self.verticalScrollBar()
        if self._first is not None and isalive(self._first) and content is not None and bar is not None:
            bar.setValue(self._first.mapTo(content, QPoint(0, 0)).y())

    def _forget_first(self) -> None:
        self._scroll_to_first()
        self._times -= 1
        if self._times > 0:
            self._timer.start(_LAYOUT)
        else:
            self._leave_first()

    def _leave_first(self) -> None:
        self._first = None

    def _scroll_down(self) -> None:
        bar = self.verticalScrollBar()
        if self._following and bar is not None:
            bar.setValue(bar.maximum())
