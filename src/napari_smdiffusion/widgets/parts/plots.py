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

# Quartiles of the noise that the network removes. Little noise hides fine detail only, much noise the whole layout.
_NAMES = ("little noise (fine detail)", "some noise", "more noise", "much noise (layout)")
_POINT = 20  # steps that a point of the mean is averaged over; fewer at the start
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
        self.plot.setLimits(xMin=0)
        self.plot.setXRange(0, _POINT, padding=0)
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
        self._show_legend()

    def add(self, events: Iterable[Event]) -> None:
        """Add the losses of new events. A point is the mean of up to twenty steps, so that the line is smooth."""
        for event in events:
            if not isinstance(event, Progress) or event.loss is None:
                continue
            self._sum += event.loss
            self._count += 1
            if self._count >= min(_POINT, max(1, event.step // 10)):
                self._steps.append(event.step)
                self._means.append(self._sum / self._count)
                self._sum, self._count = 0.0, 0
            if event.quartiles and (not self._quartiles or event.quartiles != self._quartiles[-1]):
                self._curve_steps.append(event.step)
                self._quartiles.append(event.quartiles)
        self._draw()
        self._show_legend()

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
        self.plot.getAxis("bottom").setHeight(44)  # its label would be cut at the size that pyqtgraph chooses
        self._mean_line.setPen(pyqtgraph.mkPen(foreground, width=2))
        for line, color in zip(self._lines, _COLORS, strict=True):
            line.setPen(pyqtgraph.mkPen(color, width=1.5))
        self._foreground = foreground
        self._show_legend()

    def _show_legend(self) -> None:
        """Name the lines; only a diffusion model has one for each quartile of the noise."""
        names = ("mean loss", *_NAMES) if self._quartiles else ("mean loss",)
        colors = (self._foreground, *_COLORS)
        self.legend.setText(
            " ".join(
                f'<span style="color:{color}">━&nbsp;</span>{name}' for name, color in zip(names, colors, strict=False)
            )
        )

    def _draw(self) -> None:
        self._mean_line.setData(self._steps, self._means)
        for k, line in enumerate(self._lines):
            losses = [values[k] for values in self._quartiles if k < len(values)]
            line.setData(self._curve_steps[: len(losses)], losses)
        self.plot.setXRange(0, max(self._steps[-1] if self._steps else 0, _POINT), padding=0)
