"""The choice of what an enhancer makes: a best estimate in seconds, or posterior samples in minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QRadioButton, QVBoxLayout, QWidget

from ...enhance.settings import MOST_SAMPLES
from .numbers import NumberField
from .plain import set_tooltip

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SAMPLES = 8
_ESTIMATE = "one sharp image in seconds: at each pixel about the mean of all that could be true, so that it is smooth"
_SAMPLES = (
    "sharp images that could all have made the widefield image, and are equally probable, as one layer with a slider. "
    "What stays is there; what comes and goes is not to be trusted. The best estimate is then their mean. A map of "
    "trust is added"
)
_COUNT = "number of samples; each takes about 10 times as long as the best estimate"


class EnhanceAs(QWidget):
    """*Enhance as*: best estimate, or a number of samples, where the enhancer draws samples."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._wished = False  # whether the user wants samples, of enhancers that draw them
        self.estimate, self.samples = QRadioButton("best estimate (seconds)"), QRadioButton("samples (minutes)")
        self.estimate.setToolTip(_ESTIMATE)
        self.count = NumberField(1, MOST_SAMPLES, whole=True)
        self.count.setObjectName("samples")
        self.count.show_number(DEFAULT_SAMPLES)
        self._group = QButtonGroup(self)
        row = QHBoxLayout()
        for widget in (self.samples, self.count):
            row.addWidget(widget)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.estimate)
        layout.addLayout(row)
        for button in (self.estimate, self.samples):
            self._group.addButton(button)
        self.estimate.setChecked(True)
        self.samples.toggled.connect(self._take_wish)
        self.allow("Choose an enhancer first.")

    def number(self) -> int:
        """Return the number of samples to draw; 0 for the best estimate."""
        return int(self.count.number()) if self.samples.isChecked() else 0

    def allow(self, reason: str) -> None:
        """Allow samples, or forbid them for a reason, which the tooltip states with what to do."""
        before = self.number()
        with QSignalBlocker(self.samples), QSignalBlocker(self.estimate):
            (self.samples if self._wished and not reason else self.estimate).setChecked(True)
        self.samples.setEnabled(not reason)
        set_tooltip(self.samples, reason or _SAMPLES)
        set_tooltip(self.count, reason or _COUNT)
        self._enable_count()
        if self.number() != before:
            self.changed.emit()

    def settings(self) -> dict[str, Any]:
        """Return the settings to remember: the user's wish, also while the enhancer draws no samples."""
        return {"as_samples": self._wished, "samples": self.count.number()}

    def show_settings(self, values: Mapping[str, Any]) -> None:
        """Show remembered settings."""
        if self.count.permits(values.get("samples")):
            self.count.show_number(values["samples"])
        self._wished = values.get("as_samples") is True
        if self.samples.isEnabled():
            self.samples.setChecked(self._wished)

    def _take_wish(self, checked: bool) -> None:
        self._wished = checked
        self._enable_count()
        self.changed.emit()

    def _enable_count(self) -> None:
        self.count.setEnabled(self.samples.isChecked())
