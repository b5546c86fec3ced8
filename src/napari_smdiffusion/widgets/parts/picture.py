"""Pictures in docks, which a click enlarges in a window of their own, and which can be saved from there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QGuiApplication, QImage, QPixmap
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ...base.errors import is_user_error, sentence_of
from ...base.whole_files import atomic_file
from .plain import plain_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from qtpy.QtGui import QKeyEvent, QMouseEvent, QResizeEvent

_HIGHEST = 480  # pixels of a picture in a dock


class Picture(QLabel):
    """A picture that fills the width, and emits `clicked` for a click or the space bar.

    Parameters
    ----------
    smallest
        Least width and height in pixels.
    whole
        Whether the picture fits into the given height. Otherwise it has the height that belongs to its width, and is
        never larger than itself.
    """

    clicked = Signal()

    def __init__(self, smallest: int, *, whole: bool = True) -> None:
        super().__init__()
        self._pixmap = QPixmap()
        self._whole = whole
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setMinimumSize(smallest, smallest if whole else 0)
        vertical = QSizePolicy.Policy.Expanding if whole else QSizePolicy.Policy.Fixed
        self.setSizePolicy(QSizePolicy.Policy.Ignored, vertical)

    @property
    def original(self) -> QPixmap:
        """The picture in its own size."""
        return self._pixmap

    def show_pixels(self, colors: npt.NDArray[np.uint8]) -> None:
        """Show colors (Y, X, 4)."""
        height, width = colors.shape[:2]
        colors = np.ascontiguousarray(colors)
        image = QImage(colors.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        self.show_pixmap(QPixmap.fromImage(image.copy()))  # the array may be gone later

    def show_pixmap(self, pixmap: QPixmap) -> None:
        """Show a picture."""
        self._pixmap = pixmap
        self._fit()

    def enlarges(self) -> None:
        """Look and behave like a picture that a click enlarges."""
        self.setToolTip("click to enlarge")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def sizeHint(self) -> QSize:
        """Return a square as wide as the dock, or the height that belongs to the width."""
        if not self._whole:
            return QSize(self.minimumWidth(), self.height() if not self._pixmap.isNull() else 0)
        return QSize(self.width(), min(max(self.width(), self.minimumHeight()), _HIGHEST))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Scale the picture to the new size."""
        super().resizeEvent(event)
        self._fit()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Emit `clicked`."""
        self.clicked.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Emit `clicked` for the space bar and the return key."""
        if event is not None and event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return):
            self.clicked.emit()
        else:
            super().keyPressEvent(event)

    def _fit(self) -> None:
        if self._pixmap.isNull() or self.width() <= 0:
            return
        ratio = self.devicePixelRatioF()
        if self._whole:
            size = self.size() * ratio
        else:
            width = min(round(self.width() * ratio), self._pixmap.width())
            size = QSize(width, round(width * self._pixmap.height() / self._pixmap.width()))
        scaled = self._pixmap.scaled(
            size, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        scaled.setDevicePixelRatio(ratio)
        self.setPixmap(scaled)
        if not self._whole:
            self.setFixedHeight(round(scaled.height() / ratio))


class LargePicture(QDialog):
    """A larger view of a picture. A click closes it; a button saves the picture.

    Parameters
    ----------
    parent
        The widget that shows the small picture.
    name
        Name of the file to save, without its ending.
    whole
        Whether the window shows the whole picture. Otherwise it shows its width, and scrolls.
    """

    def __init__(self, parent: QWidget, name: str, *, whole: bool = True) -> None:
        super().__init__(parent)
        self._name, self._whole = name, whole
        self.picture = Picture(300, whole=whole)
        self.picture.setToolTip("click to close")
        self.picture.clicked.connect(self.close)
        self.save = QPushButton("Save picture …")
        self.save.setAutoDefault(False)
        self.save.setToolTip("save the picture as a PNG file")
        self.save.clicked.connect(self._choose_file)
        self.status = plain_label()
        self.status.setWordWrap(True)
        bottom = QHBoxLayout()
        bottom.setContentsMargins(6, 0, 6, 6)
        bottom.addWidget(self.save)
        bottom.addWidget(self.status, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.picture if whole else _scrolled(self.picture), 1)
        layout.addLayout(bottom)
        self.resize(900, 940)

    def show_pixmap(self, pixmap: QPixmap) -> None:
        """Show a picture, in a window of its size if the screen is large enough."""
        self.picture.show_pixmap(pixmap)
        screen = self.screen() or QGuiApplication.primaryScreen()
        if not self._whole and screen is not None:
            room, bars = screen.availableSize() * 0.9, QSize(30, self.save.sizeHint().height() + 20)
            self.resize((pixmap.size() + bars).boundedTo(room))

    def save_file(self, path: Path) -> None:
        """Save the picture as a PNG file."""
        with atomic_file(path) as temporary:
            if not self.picture.original.save(str(temporary), "PNG"):
                raise OSError(f"{path} cannot be written: choose another place.")

    def _choose_file(self) -> None:
        text, _ = QFileDialog.getSaveFileName(self, "Save picture", f"{self._name}.png", "PNG (*.png)")
        if not text:
            return
        path = Path(text)
        if path.suffix.lower() != ".png":
            path = path.with_name(f"{path.name}.png")
            # The dialog has asked about the name without the ending only.
            if path.exists() and not asks_to_replace(self, [path]):
                return
        try:
            self.save_file(path)
        except Exception as error:
            if not is_user_error(error):
                raise
            self.status.setText(sentence_of(error))
            return
        self.status.setText(f"The picture is in {path}.")


def asks_to_replace(parent: QWidget, paths: Sequence[Path]) -> bool:
    """Ask whether files that exist may be replaced, and return the answer."""
    names = " and ".join(path.name for path in paths)
    question = QMessageBox(parent)
    question.setWindowTitle("Replace")
    question.setTextFormat(Qt.TextFormat.PlainText)
    question.setText(f"Replace {names} in {paths[0].parent}? The earlier content is lost.")
    question.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No)
    question.setDefaultButton(QMessageBox.StandardButton.No)
    return bool(question.exec() == QMessageBox.StandardButton.Yes)


def _scrolled(content: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    return area
