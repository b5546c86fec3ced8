"""The button *use pixel sizes as scale*, below the pixel size of a layer without a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QToolButton

from ...base.errors import InputError, sentence_of
from ..viewer.calibrating import layers_to_calibrate, use_as_scale
from .plain import plain_message

if TYPE_CHECKING:
    from napari.components import ViewerModel


class ScaleButton(QToolButton):
    """Writes the pixel sizes that are known into the scales and units of all layers without a unit of length.

    It is all layers, because napari draws the bare numbers as soon as one layer has a unit and another has none.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self.setObjectName("use_as_scale")
        self.setText("use pixel sizes as scale")
        self.setToolTip(
            "write the known pixel sizes into the scale and unit of the layers, so that napari draws each layer at its "
            "size and place"
        )
        self.clicked.connect(self._on_click)

    def update_shown(self) -> None:
        """Show the button if the pixel size of a layer without a unit is known."""
        self.setVisible(bool(layers_to_calibrate(self._viewer)))

    def _on_click(self) -> None:
        from napari.utils.notifications import show_error

        for layer in layers_to_calibrate(self._viewer):
            try:
                use_as_scale(self._viewer, layer)
            except InputError as error:
                show_error(plain_message(sentence_of(error)))
        self._viewer.reset_view()
