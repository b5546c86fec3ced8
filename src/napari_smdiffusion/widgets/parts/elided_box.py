"""A combo box that elides a long entry with "…", and shows all of it in its tooltip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QSizePolicy, QStyle, QStyleOptionComboBox, QStylePainter

from .plain import set_tooltip

if TYPE_CHECKING:
    from qtpy.QtCore import Qt

_BORDER = 8  # pixels of the field beside its text
_LEAST = 12  # characters that the field is at least wide enough for


class ElidedBox(QComboBox):
    """A choice of one entry. Qt alone would cut a long entry without a sign.

    Parameters
    ----------
    mode
        Where the chosen entry is elided; entries of the open list too.
    tip
        Tooltip below a chosen entry that is elided, and the whole tooltip otherwise.
    """

    def __init__(self, mode: Qt.TextElideMode, tip: str = "") -> None:
        super().__init__()
        self._mode, self._tip = mode, tip
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(_LEAST)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.view().setTextElideMode(mode)
        self.setToolTip(tip)

    @property
    def shown_text(self) -> str:
        """The text that is drawn: the chosen entry, elided if it is too long."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, self).width()
        return str(self.fontMetrics().elidedText(self._text, self._mode, room - _BORDER))

    @property
    def _text(self) -> str:
        return str(self.currentText() if self.currentIndex() >= 0 else self.placeholderText())

    def paintEvent(self, event: object) -> None:
        """Draw the elided entry, and set the tooltip that shows all of it."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self.shown_text
        whole = f"{self._text}\n{self._tip}".strip() if option.currentText != self._text else self._tip
        if whole != self._tip or self.toolTip() != self._tip:
            set_tooltip(self, whole)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
