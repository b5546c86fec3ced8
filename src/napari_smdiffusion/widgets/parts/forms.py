"""Forms of settings, one row for each field with its limits, unit and help text; and the choice of a training time."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import TYPE_CHECKING, Any

from magicgui.widgets import create_widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QRadioButton,
    QSizePolicy,
    QWidget,
)

from ...base.settings import setting_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from magicgui.widgets.bases import ValueWidget

    from ...base.settings import SettingField


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
        self._rows: dict[str, ValueWidget] = {}
        self._optional = {name for name in names if fields[name].optional}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        # Labels above their fields where the dock is narrow.
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name in names:
            row = _row(fields[name])
            self._rows[name] = row
            label = QLabel(row.label)
            label.setToolTip(row.tooltip or "")
            native = row.native
            native.setObjectName(name)
            native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            layout.addRow(label, native)
            row.changed.connect(lambda _: self.changed.emit())

    def values(self) -> dict[str, Any]:
        """Return the values shown, by field name."""
        values = {name: _plain(row.value) for name, row in self._rows.items()}
        # An optional number is shown as 0 if the program chooses it.
        return {name: None if name in self._optional and not value else value for name, value in values.items()}

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show values by field name. Unknown names and invalid values are left out."""
        for name, value in values.items():
            if name in self._rows:
                try:
                    self._rows[name].value = 0 if value is None else tuple(value) if isinstance(value, list) else value
                except (ValueError, TypeError):
                    continue

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
        self.other = QDoubleSpinBox()
        self.other.setObjectName("minutes")
        self.other.setRange(0.01, 10_000)
        self.other.setDecimals(2)
        self.other.setValue(30)
        self.other.setSuffix(" min")
        self.other.setToolTip("training time in minutes")
        self.other.setVisible(False)
        layout.addWidget(self.other, 1, 0, 1, len(self._choices) + 1)
        self._group.idToggled.connect(lambda *_: self.other.setVisible(self._group.checkedId() == len(self._choices)))
        self.set_minutes(chosen)

    def minutes(self) -> float:
        """Return the chosen time in minutes."""
        chosen = self._group.checkedId()
        return float(self.other.value()) if chosen == len(self._choices) else self._choices[chosen][1]

    def set_minutes(self, minutes: float) -> None:
        """Choose a time in minutes."""
        usual = [time for _, time in self._choices]
        button = self._group.button(usual.index(minutes) if minutes in usual else len(usual))
        if minutes not in usual:
            self.other.setValue(minutes)
        if button is not None:
            button.setChecked(True)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _row(field: SettingField) -> ValueWidget:
    unit = f" [{field.unit}]" if field.unit else ""
    label = field.name.removesuffix("_range").replace("_", " ") + unit
    if field.name.endswith("_range"):
        label = f"{label}, from – to"
    limits = (
        ("more than", field.above),
        ("at least", field.low),
        ("at most", field.high),
        ("a multiple of", field.multiple_of),
    )
    bounds = [f"{word} {limit:g}" for word, limit in limits if limit is not None]
    tooltip = f"{field.help}{unit}" + (f"; {', '.join(bounds)}" if bounds else "")
    if field.optional:
        field, tooltip = dataclasses.replace(field, default=0, low=0), f"{tooltip}; 0: chosen automatically"
    annotation: Any = field.kind
    options: dict[str, Any] = {}
    if field.choices:
        options["choices"] = list(field.choices)
    elif field.length is not None:
        annotation = types.GenericAlias(tuple, (field.kind,) * len(field.default))
        options["options"] = _limits(field, max(field.default))
    elif field.kind in (int, float):
        options |= _limits(field, field.default)
    row = create_widget(value=field.default, annotation=annotation, name=field.name, label=label, options=options)
    row.tooltip = tooltip
    return typing.cast("ValueWidget", row)


def _limits(field: SettingField, default: Any) -> dict[str, Any]:
    """Return the limits and the step size of a spin box."""
    if field.kind is int:
        return {"min": int(field.low or 0), "max": int(field.high or 2**31 - 1), "step": field.multiple_of or 1}
    step = 10.0 ** (len(str(int(abs(default)))) - 2) if default and abs(default) >= 1 else 0.05
    if default and abs(default) < 0.01:
        step = 1e-4
    low = field.above if field.above is not None else field.low
    return {"min": float(low if low is not None else -1e9), "max": float(field.high or 1e9), "step": step}
