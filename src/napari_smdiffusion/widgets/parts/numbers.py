"""The number field of all docks: a number that is typed is the number that is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QLocale
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QLineEdit

if TYPE_CHECKING:
    from qtpy.QtCore import QSize
    from qtpy.QtGui import QMouseEvent

_HARD = 1e15  # far outside of every limit, and exact in a float
_DECIMALS = 20  # of Qt's rounding; `textFromValue` shows fewer
_STARTS = ("", "+", "-", ".", ",")  # of a number that is being typed


class NumberField(QDoubleSpinBox):
    """A field for one number, whole or not.

    Qt's own spin boxes refuse or change single keystrokes, so that another number than the typed one remains: 3256 for
    256, 999 for 9999, 15 for "1,5". This field takes each number as it is typed, also one outside of the limits, and
    marks it. The job refuses such a number with a sentence. The number is taken when Tab or Enter is pressed, when the
    field loses the focus, or by `commit`.

    Parameters
    ----------
    low, high
        Limits of the arrows, and of the numbers that are not marked.
    whole
        Whether only whole numbers are meant.
    step
        Change by one press of an arrow.
    suffix
        Unit after the number, such as " nm".
    zero
        Text that is shown for 0, such as "unknown"; "" shows the number.
    """

    def __init__(
        self, low: float, high: float, *, whole: bool = False, step: float = 1.0, suffix: str = "", zero: str = ""
    ) -> None:
        super().__init__()
        self._low, self._high, self._whole = low, high, whole
        self._zero = bool(zero)
        edit = _Edit()
        self.setLineEdit(edit)
        self.setLocale(QLocale.c())  # a decimal point in every country; see `_parsed` for the comma
        self.setKeyboardTracking(False)
        self.setDecimals(_DECIMALS)
        self.setRange(-_HARD, _HARD)
        self.setSingleStep(step)
        self.setSuffix(suffix)
        if zero:
            self.setSpecialValueText(zero)  # Qt shows it for the minimum
        self.valueChanged.connect(self._mark)

    def number(self) -> float:
        """Return the number; an int if it is whole and only whole numbers are meant."""
        value = float(self.value())
        if self._zero and value == self.minimum():
            value = 0.0
        return int(value) if self._whole and value.is_integer() else value

    def show_number(self, value: float) -> None:
        """Show a number."""
        self.setValue(self.minimum() if self._zero and not value else float(value))

    def permits(self, value: Any) -> bool:
        """Return whether a value is a number within the limits."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return self._low <= value <= self._high and (not self._whole or float(value).is_integer())

    def commit(self) -> None:
        """Take the number that is being typed, as the loss of the focus does."""
        if self.lineEdit().isModified():
            self.interpretText()
            self.lineEdit().setModified(False)
            self.editingFinished.emit()

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept every number, and the begin of one."""
        text = text or ""
        bare = self._bare(text)
        if self._parsed(bare) is not None:
            state = QValidator.State.Acceptable
        elif bare in _STARTS or self._parsed(f"{bare}0") is not None:
            state = QValidator.State.Intermediate  # "-" or "1e-"
        else:
            state = QValidator.State.Invalid
        return state, text, position

    def valueFromText(self, text: str | None) -> float:
        """Return the number of a text that `validate` accepts."""
        value = self._parsed(self._bare(text or ""))
        return float(self.value()) if value is None else value

    def textFromValue(self, value: float) -> str:
        """Return a number with all its digits, and without zeros behind the last one."""
        return str(np.format_float_positional(value + 0.0, trim="-"))  # + 0.0 turns -0 into 0

    def stepBy(self, steps: int) -> None:
        """Change the number by the arrows, within the limits."""
        self.commit()
        value = round(self.number() + steps * self.singleStep(), 10)  # 0.3 and not 0.30000000000000004
        self.show_number(min(max(value, self._low), self._high))

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        """Return the directions in which the arrows can change the number."""
        flags = QAbstractSpinBox.StepEnabledFlag.StepNone
        if self.number() < self._high:
            flags |= QAbstractSpinBox.StepEnabledFlag.StepUpEnabled
        if self.number() > self._low:
            flags |= QAbstractSpinBox.StepEnabledFlag.StepDownEnabled
        return flags

    def sizeHint(self) -> QSize:
        """Return a size with room for usual numbers."""
        return self._with_room(super().sizeHint())

    def minimumSizeHint(self) -> QSize:
        """Return the same: Qt would make room for the largest number."""
        return self._with_room(super().minimumSizeHint())

    def _with_room(self, size: QSize) -> QSize:
        texts = (f"00000000{self.suffix()}", f"{self.specialValueText()}00")
        size.setWidth(40 + max(self.fontMetrics().horizontalAdvance(text) for text in texts))
        return size

    def _bare(self, text: str) -> str:
        return text.removesuffix(self.suffix()).strip() if self.suffix() else text.strip()

    def _parsed(self, text: str) -> float | None:
        """Return the number that a text states, or None. A comma is a decimal comma, and never a group separator."""
        if not self._whole:
            text = text.replace(",", ".")
        # `float` reads "nan", "inf" and "1_0" too.
        if not text or not set(text) <= set("0123456789+-.eE"):
            return None
        try:
            value = float(text)
        except ValueError:
            return None
        return min(max(value, -_HARD), _HARD)

    def _mark(self) -> None:
        """Draw a number outside of the limits in another color."""
        self.setStyleSheet("" if self.permits(self.number()) else "QDoubleSpinBox { color: #D55E00; }")


class _Edit(QLineEdit):
    """The text of a number field. A double click selects the number: Qt would select one part of "1e-4" or "-5"."""

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Select the whole number."""
        field = self.parent()
        if isinstance(field, NumberField):
            field.selectAll()
