"""Text of layers, models and files is shown unchanged: Qt would draw "<b>cell</b>" in bold, and load "<img …>"."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

if TYPE_CHECKING:
    from qtpy.QtWidgets import QListWidgetItem, QTableWidgetItem, QWidget


def plain_label(text: str = "", *, bold: bool = False) -> QLabel:
    """Return a label that shows its text unchanged, on several lines if it is bold (a heading) and long."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    if bold:
        font = label.font()
        font.setBold(True)
        label.setFont(font)
        label.setWordWrap(True)
    return label


def make_plain(widget: QWidget) -> None:
    """Show the text of all labels in a widget unchanged."""
    for label in widget.findChildren(QLabel):
        label.setTextFormat(Qt.TextFormat.PlainText)


def set_tooltip(widget: QWidget | QListWidgetItem | QTableWidgetItem, text: str) -> None:
    """Set a tooltip that shows its text unchanged."""
    widget.setToolTip(plain_tooltip(text))


def plain_tooltip(text: str) -> str:
    """Return a text for a tooltip, which has no setting for plain text: Qt decides by the text."""
    if not Qt.mightBeRichText(text):
        return text
    lines = html.escape(text).replace("\n", "<br>")
    return f"<qt>{lines}</qt>"


def plain_message(text: str) -> str:
    """Return a text for a notification of napari, which Qt would draw as rich text if it has tags."""
    return text.replace("<", "\u2039").replace(">", "\u203a") if Qt.mightBeRichText(text) else text
