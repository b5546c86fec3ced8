"""The row that asks for the channel of a layer with several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QWidget
from superqt import QElidingLabel

from ..viewer.layer_axes import channel_choices, choose_channel, chosen_channel
from .plain import set_tooltip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image as ImageLayer


class ChannelRow(QWidget):
    """A choice of the channel of one layer; hidden while no layer has channels.

    The layer keeps the choice, so that every dock uses it.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layer: ImageLayer | None = None
        self._label = QElidingLabel()
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setElideMode(Qt.TextElideMode.ElideMiddle)
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.box = QComboBox()
        self.box.setObjectName("channel")
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(14)
        self.box.setPlaceholderText("choose a channel …")
        self.box.setToolTip(
            "channel of the named layer that is used. Channels are different images, and are never used as planes of "
            "one kind."
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._label, 1)
        row.addWidget(self.box, 1)
        self.box.activated.connect(self._take)
        self.setVisible(False)

    def show_layers(self, layers: Sequence[ImageLayer]) -> None:
        """Show the first of `layers` whose channel has to be chosen, or else the first with channels."""
        with_channels = [layer for layer in layers if not layer.rgb and channel_choices(layer)]
        undecided = [layer for layer in with_channels if chosen_channel(layer) is None]
        self._layer = next(iter([*undecided, *with_channels]), None)
        self.setVisible(self._layer is not None)
        if self._layer is None:
            return
        self._label.setText(f"channel of {self._layer.name}")
        set_tooltip(self._label, self._layer.name)
        chosen, choices = chosen_channel(self._layer), channel_choices(self._layer)
        with QSignalBlocker(self.box):
            self.box.clear()
            self.box.addItems([text for text, _, _ in choices])
            values = [(axis, channel) for _, axis, channel in choices]
            self.box.setCurrentIndex(values.index(chosen) if chosen in values else -1)

    def _take(self, index: int) -> None:
        """Store the choice in the layer."""
        if self._layer is None:
            return
        choices = channel_choices(self._layer)
        if index < len(choices):
            _, axis, channel = choices[index]
            choose_channel(self._layer, channel, axis)
            self.changed.emit()
