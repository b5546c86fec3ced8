"""The loss curve of a training: the mean, and one line for each quartile of the noise level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyqtgraph
from napari.utils.theme import get_theme
from qtpy.compat import isalive
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from ...base.events import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.components import ViewerModel

    from ...base.events import Event

_NAMES = ("lowest noise", "low noise", "high noise", "highest noise")
# Colors for all kinds of color vision (Okabe and Ito), visible on light and dark backgrounds.
_COLORS = ("#0072B2", "#009E73", "#E69F00", "#D55E00")


class LossPlot(QWidget):
    """Loss on a logarithmic axis against the training step, with a legend above."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._steps: list[int] = []
        self._means: list[float] = []
        self._sum, self._count = 0.0, 0
        self._curve_steps: list[int] = []
        self._quartiles: list[tuple[float, ...]] = []
        self.plot = pyqtgraph.PlotWidget()
        self.plot.setMinimumHeight(170)
        self.plot.setMaximumHeight(320)  # so that the plot fits into the dock with its lower axis
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.plot.setMenuEnabled(False)
        self.plot.setLogMode(y=True)
        self._mean_line = self.plot.plot()
        self._lines = [self.plot.plot() for _ in _NAMES]
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.legend)
        layout.addWidget(self.plot)
        self.recolor()
        viewer.events.theme.connect(self.recolor)  # napari holds the method weakly

    def clear(self) -> None:
        """Remove the curves of the previous run."""
        for values in (self._steps, self._means, self._curve_steps, self._quartiles):
            values.clear()
        self._sum, self._count = 0.0, 0
        self._draw()

    def add(self, events: Iterable[Event]) -> None:
        """Add the losses of new events. One point is the mean of twenty steps, so that the line is smooth."""
        for event in events:
            if not isinstance(event, Progress) or event.loss is None:
                continue
            self._sum += event.loss
            self._count += 1
            if self._count == 20 or not self._steps:
                self._steps.append(event.step)
                self._means.append(self._sum / self._count)
                self._sum, self._count = 0.0, 0
            if event.quartiles and (not self._quartiles or event.quartiles != self._quartiles[-1]):
                self._curve_steps.append(event.step)
                self._quartiles.append(event.quartiles)
        self._draw()

    def recolor(self, event: object = None) -> None:
        """Use the colors of napari's theme."""
        if not isalive(self):
            return
        theme = get_theme(self._viewer.theme)
        foreground = theme.text.as_hex()
        self.plot.setBackground(theme.background.as_hex())
        for axis, label in (("left", "loss"), ("bottom", "training step")):
            self.plot.getAxis(axis).enableAutoSIPrefix(False)
            self.plot.getAxis(axis).setPen(foreground)
            self.plot.getAxis(axis).setTextPen(foreground)
            self.plot.setLabel(axis, label, color=foreground)
        self._mean_line.setPen(pyqtgraph.mkPen(foreground, width=2))
        for line, color in zip(self._lines, _COLORS, strict=True):
            line.setPen(pyqtgraph.mkPen(color, width=1.5))
        entries = zip(("mean", *_NAMES), (foreground, *_COLORS), strict=True)
        self.legend.setText(" ".join(f'<span style="color:{color}">━&nbsp;</span>{name}' for name, color in entries))

    def _draw(self) -> None:
        self._mean_line.setData(self._steps, self._means)
        for k, line in enumerate(self._lines):
            losses = [values[k] for values in self._quartiles if k < len(values)]
            line.setData(self._curve_steps[: len(losses)], losses)
