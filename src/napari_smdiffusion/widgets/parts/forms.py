"""Forms of settings, one row for each field with its limits, unit and help text; and the choice of a training time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QSizePolicy,
    QWidget,
)

from ...base.settings import setting_fields
from .labels import choice_label, label_of
from .numbers import NumberField
from .plain import plain_label, set_tooltip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...base.settings import SettingField


@dataclass(frozen=True)
class _Row:
    """The widget of one setting, and functions that read and show its value. `show` leaves out an invalid value."""

    widget: QWidget
    read: Callable[[], Any]
    show: Callable[[Any], None]
    changed: Any  # Qt's signal of a new value


class ConfigForm(QWidget):
    """Rows for fields of a settings dataclass.

    Parameters
    ----------
    kind
        The dataclass. The form first shows its defaults.
    names
        The fields to show, in this order.
    """

    changed = Signal()

    def __init__(self, kind: type, names: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = kind
        fields = {field.name: field for field in setting_fields(kind)}
        self._rows: dict[str, _Row] = {}
        self._optional = {name for name in names if fields[name].optional}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        # Labels above their fields where the dock is narrow.
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name in names:
            row = self._rows[name] = _row(fields[name])
            label = plain_label(label_of(name, fields[name].unit))
            for widget in (label, row.widget, *row.widget.findChildren(QWidget)):
                set_tooltip(widget, _tooltip(fields[name]))
            row.widget.setObjectName(name)
            row.widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            layout.addRow(label, row.widget)
            row.changed.connect(self.changed)
        self.show_values({name: fields[name].default for name in names})

    def values(self) -> dict[str, Any]:
        """Return the values shown, by field name."""
        values = {name: row.read() for name, row in self._rows.items()}
        # An optional number is shown as 0 if the program chooses it.
        return {name: None if name in self._optional and not value else value for name, value in values.items()}

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show values by field name. Unknown names and invalid values are left out."""
        for name, value in values.items():
            if name in self._rows:
                self._rows[name].show(0 if value is None and name in self._optional else value)

    def changes(self) -> dict[str, Any]:
        """Return the values that differ from the defaults of the dataclass."""
        defaults = {field.name: field.default for field in setting_fields(self.kind)}
        return {name: value for name, value in self.values().items() if value != defaults[name]}


class TimeChoice(QWidget):
    """Training time: a choice of usual times, and a field for another one."""

    def __init__(self, choices: Sequence[tuple[str, float]], chosen: float) -> None:
        super().__init__()
        self._choices = list(choices)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._group = QButtonGroup(self)
        for i, (text, _) in enumerate([*self._choices, ("other", 0.0)]):
            button = QRadioButton(text)
            button.setToolTip("training time")
            self._group.addButton(button, i)
            layout.addWidget(button, 0, i)
        self.other = NumberField(0.01, 10_000, suffix=" min")
        self.other.setObjectName("minutes")
        self.other.show_number(30)
        self.other.setToolTip("training time in minutes")
        self.other.setVisible(False)
        layout.addWidget(self.other, 1, 0, 1, len(self._choices) + 1)
        self._group.idToggled.connect(lambda *_: self.other.setVisible(self._group.checkedId() == len(self._choices)))
        self.set_minutes(chosen)

    def minutes(self) -> float:
        """Return the chosen time in minutes."""
        chosen = self._group.checkedId()
        return float(self.other.number()) if chosen == len(self._choices) else self._choices[chosen][1]

    def set_minutes(self, minutes: float) -> None:
        """Choose a time in minutes."""
        usual = [time for _, time in self._choices]
        button = self._group.button(usual.index(minutes) if minutes in usual else len(usual))
        if minutes not in usual:
            self.other.show_number(minutes)
        if button is not None:
            button.setChecked(True)


def _tooltip(field: SettingField) -> str:
    """Return the help text of a setting, with its unit and its limits."""
    limits = (
        ("more than", field.above),
        ("at least", field.low),
        ("at most", field.high),
        ("a multiple of", field.multiple_of),
    )
    bounds = [f"{word} {_number_text(limit)}" for word, limit in limits if limit is not None]
    text = f"{field.help} [{field.unit}]" if field.unit else field.help
    text = "; ".join([text, ", ".join(bounds)] if bounds else [text])
    return f"{text}; 0: chosen automatically" if field.optional else text


def _number_text(number: float) -> str:
    """Return a limit with all its digits: 2147483647 and not 2.14748e+09."""
    return str(int(number)) if float(number).is_integer() else f"{number:g}"


def _row(field: SettingField) -> _Row:
    """Return the row for a setting, by the type of its value."""
    if field.choices:
        return _choice_row(field)
    if field.kind is bool:
        box = QCheckBox()
        return _Row(box, box.isChecked, lambda value: box.setChecked(bool(value)), box.toggled)
    if field.kind is str:
        edit = QLineEdit()
        return _Row(edit, edit.text, lambda value: edit.setText(str(value)), edit.textChanged)
    if field.length is not None:
        return _tuple_row(field)
    number = _number_field(field, field.default)

    def show(value: Any) -> None:
        if number.permits(value):
            number.show_number(value)

    return _Row(number, number.number, show, number.valueChanged)


def _choice_row(field: SettingField) -> _Row:
    box = QComboBox()
    for choice in field.choices:
        box.addItem(choice_label(field.name, choice), choice)

    def show(value: Any) -> None:
        if value in field.choices:
            box.setCurrentIndex(field.choices.index(value))

    return _Row(box, box.currentData, show, box.currentTextChanged)


class _Numbers(QWidget):
    """Number fields in one line."""

    changed = Signal()

    def __init__(self, fields: Sequence[NumberField]) -> None:
        super().__init__()
        self.fields = fields
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for i, field in enumerate(fields):
            if i:
                layout.addWidget(QLabel("–"))
            layout.addWidget(field, 1)
            field.valueChanged.connect(lambda _: self.changed.emit())


def _tuple_row(field: SettingField) -> _Row:
    numbers = _Numbers([_number_field(field, max(field.default)) for _ in field.default])

    def show(values: Any) -> None:
        if not isinstance(values, (list, tuple)) or len(values) != len(numbers.fields):
            return
        if all(number.permits(value) for number, value in zip(numbers.fields, values, strict=True)):
            for number, value in zip(numbers.fields, values, strict=True):
                number.show_number(value)

    return _Row(numbers, lambda: tuple(number.number() for number in numbers.fields), show, numbers.changed)


def _number_field(field: SettingField, default: Any) -> NumberField:
    """Return a field with the limits and the step of a setting."""
    if field.optional:
        field, default = replace(field, low=0, above=None), 0
    zero = "automatic" if field.optional else ""
    if field.kind is int:
        high = field.high if field.high is not None else 2**31 - 1
        return NumberField(field.low or 0, high, whole=True, step=field.multiple_of or 1, zero=zero)
    low = field.above if field.above is not None else field.low
    high = field.high if field.high is not None else 1e9
    return NumberField(-1e9 if low is None else low, high, step=_step(field, default), zero=zero)


def _step(field: SettingField, default: Any) -> float:
    """Return the change by one press of an arrow: about a tenth of the default, or finer between close limits."""
    if default and abs(default) < 0.01:
        return 1e-4
    if field.high is not None and field.high <= 2:
        return 0.01
    return 10.0 ** (len(str(int(abs(default)))) - 2) if default and abs(default) >= 1 else 0.05
