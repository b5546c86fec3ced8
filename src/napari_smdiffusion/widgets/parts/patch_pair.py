"""A generated patch and its nearest training patch beside each other: one size, one contrast, each with its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QGridLayout, QSizePolicy, QWidget

from ..viewer.contrast import shown_range
from .picture import LargePicture, Picture
from .plain import plain_label, set_tooltip
from .preview import tiled_colors

if TYPE_CHECKING:
    import numpy.typing as npt

    from ...base.arrays import Pixels

_LARGEST = 1024  # pixels of the longer side of a patch in the picture
_FRAME = 2  # pixels of a patch


class PatchPair(QWidget):
    """The pair of the newest search, which a click enlarges. It is hidden before the first search."""

    def __init__(self) -> None:
        super().__init__()
        self.names = [plain_label(), plain_label()]
        self.picture = Picture(160, whole=False)
        self.picture.enlarges()
        self.picture.clicked.connect(self.enlarge)
        self._window: LargePicture | None = None
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for column, label in enumerate(self.names):
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignBottom)
            # The name of a file without spaces must not widen the dock.
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            layout.addWidget(label, 0, column)
            layout.setColumnStretch(column, 1)
        layout.addWidget(self.picture, 1, 0, 1, 2)
        self.setVisible(False)

    def show_pair(self, patches: tuple[Pixels, Pixels], names: tuple[str, str], colors: tuple[str, str]) -> None:
        """Show two patches (Y, X) of one size, with their names and the colors of their frames."""
        limits = shown_range(np.stack(patches))
        left, right = (
            _framed(tiled_colors(patch[np.newaxis], limits), color)
            for patch, color in zip(patches, colors, strict=True)
        )
        gap = np.zeros((len(left), 2 * _FRAME, 4), np.uint8)
        pair = np.concatenate([left, gap, right], 1)
        larger = max(1, _LARGEST // max(left.shape))
        self.picture.show_pixels(pair.repeat(larger, 0).repeat(larger, 1))
        for label, name in zip(self.names, names, strict=True):
            label.setText(name)
            set_tooltip(label, name)
        if self._window is not None:
            self._fill(self._window)
        self.setVisible(True)

    def enlarge(self) -> None:
        """Show the pair in a window of its own."""
        if self._window is None:
            self._window = LargePicture(self, "nearest training patch")
            self._window.resize(1000, 540)
        self._fill(self._window)
        self._window.show()
        self._window.raise_()

    def _fill(self, window: LargePicture) -> None:
        window.setWindowTitle(" | ".join(label.text() for label in self.names))
        window.show_pixmap(self.picture.original)


def _framed(pixels: npt.NDArray[np.uint8], color: str) -> npt.NDArray[np.uint8]:
    """Return colors (Y, X, 4) with a frame."""
    height, width = pixels.shape[:2]
    framed = np.empty((height + 2 * _FRAME, width + 2 * _FRAME, 4), np.uint8)
    framed[:] = QColor(color).getRgb()
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = pixels
    return framed
