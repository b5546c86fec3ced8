"""The previews of a training: the newest picture, earlier ones by a slider, and a larger view in its own window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.utils.colormaps import ensure_colormap
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSlider, QVBoxLayout, QWidget

from .picture import LargePicture, Picture
from .plain import plain_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ...base.events import Preview

_COLORMAP = "inferno"
_KEPT = 40  # previews; every second one of more is dropped, but the first and the newest stay


class PreviewView(QWidget):
    """The previews of one training. The newest one is shown, unless the user has moved the slider to another one."""

    def __init__(self) -> None:
        super().__init__()
        self._previews: list[Preview] = []
        self._limits: Sequence[float] = ()
        self.picture = Picture(160)
        self.picture.enlarges()
        self.picture.clicked.connect(self.enlarge)
        self.caption = plain_label()
        self.caption.setWordWrap(True)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("earlier previews of this training; the newest one is at the right")
        self.slider.valueChanged.connect(self._show)
        self._window: LargePicture | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.picture, self.slider, self.caption):
            layout.addWidget(widget)
        self.setVisible(False)

    def clear(self) -> None:
        """Forget the previews of the previous run."""
        self._previews, self._limits = [], ()
        self.slider.setMaximum(0)
        self.setVisible(False)

    def add(self, preview: Preview, limits: Sequence[float] = ()) -> None:
        """Add a preview; `limits` are the contrast limits of all previews, by default those of the newest one."""
        following = self.slider.value() == self.slider.maximum()
        if len(self._previews) == _KEPT:
            self._previews = [*self._previews[:-1:2], self._previews[-1]]
        self._previews.append(preview)
        self._limits = tuple(limits)
        self.slider.setMaximum(len(self._previews) - 1)
        self.setVisible(True)
        if following:
            self.slider.setValue(self.slider.maximum())
        self._show()

    def enlarge(self) -> None:
        """Show the preview in a window of its own, which follows the slider and new previews."""
        if self._window is None:
            self._window = LargePicture(self, "preview")
        self._show()
        self._window.show()
        self._window.raise_()

    def _show(self) -> None:
        if not self._previews:
            return
        index = min(self.slider.value(), len(self._previews) - 1)
        preview = self._previews[index]
        limits = self._limits if len(set(self._limits)) == 2 else _range(self._previews[-1].images)
        colors = tiled_colors(preview.images, limits)
        newest = "the newest" if index == len(self._previews) - 1 else f"{index + 1} of {len(self._previews)}"
        step = f"after {preview.step} steps" if preview.step else "before the first step"
        names = f" Row by row: {', '.join(preview.names)}." if preview.names else ""
        self.caption.setText(f"Preview {step} ({newest}).{names}")
        self.picture.show_pixels(colors)
        if self._window is not None:
            self._window.picture.show_pixels(colors)
            self._window.setWindowTitle(self.caption.text())


def tiled_colors(images: npt.NDArray[np.float32], limits: Sequence[float]) -> npt.NDArray[np.uint8]:
    """Return images (N, Y, X) beside and below each other as colors (Y, X, 4), with a dark line between them."""
    count, height, width = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    low, high = float(limits[0]), float(limits[1])
    scaled = np.clip((images - low) / (high - low), 0, 1)
    colors = (ensure_colormap(_COLORMAP).map(scaled.ravel()) * 255).astype(np.uint8).reshape(*images.shape, 4)
    gap = 2
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for k, image in enumerate(colors):
        y, x = k // columns * (height + gap), k % columns * (width + gap)
        sheet[y : y + height, x : x + width] = image
    return sheet


def _range(images: npt.NDArray[np.float32]) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(images, (1, 99.8)))
    return (low, high) if low < high else (low, low + 1)
