"""The part of a dock that shows a training: the loss, the previews, how far it came, and *Continue*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from ...base.events import Preview
from ...recipes.outcome import was_stopped
from .preview import PreviewView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel

    from ...base.events import Event
    from ...recipes.outcome import Trained

GO_ON = "Press Continue to go on with it."


class TrainingView(QWidget):
    """The loss plot and the previews of the newest training of a dock, and a button that continues it."""

    continued = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self.plot: Any = None  # made for the first training: its import takes long
        self.previews = PreviewView()
        self.go_on = QPushButton("Continue the training")
        self.go_on.setObjectName("continue")
        self.go_on.setToolTip("go on with the training that was stopped, for the rest of its time, on the same layers")
        self.go_on.clicked.connect(self.continued)
        self.go_on.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.go_on)
        layout.addWidget(self.previews)

    def begin(self) -> None:
        """Show an empty plot and no preview: a training begins."""
        if self.plot is None:
            from .plots import LossPlot

            self.plot = LossPlot(self._viewer)
            layout = self.layout()
            assert isinstance(layout, QVBoxLayout)
            layout.insertWidget(1, self.plot)
        self.plot.clear()
        self.previews.clear()
        self.go_on.setVisible(False)

    def add(self, events: Sequence[Event], limits: Sequence[float] = ()) -> None:
        """Show new losses and previews; `limits` are the contrast limits of the previews, if they are known."""
        if self.plot is None:
            return
        self.plot.add(events)
        for event in events:
            if isinstance(event, Preview):
                self.previews.add(event, limits)

    def end(self, facts: Trained) -> None:
        """Offer to continue a training that was stopped."""
        self.go_on.setVisible(was_stopped(facts))
