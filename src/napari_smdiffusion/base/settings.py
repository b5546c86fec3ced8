"""Settings as frozen dataclasses. The annotations of their fields state the unit, the limits and the help text."""

import dataclasses
import functools
import typing
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le, MinLen, MultipleOf, Predicate, Unit

from .errors import InputError

_Config = TypeVar("_Config")


def is_ascending(values: tuple[float, ...]) -> bool:
    """Return whether the first value is at most the last one."""
    return values[0] <= values[-1]


ASCENDING = Predicate(is_ascending)
Device = Literal["auto", "cpu", "cuda", "mps"]
Seed = Annotated[int, Ge(0), Le(2**31 - 1)]


@dataclasses.dataclass(frozen=True)
class Help:
    """Help text of a field, for its annotation."""

    text: str


@dataclasses.dataclass(frozen=True, eq=False)
class Choices:
    """Permitted values of a text field, for its annotation: the names in a registry."""

    names: Mapping[str, Any]


class Checked:
    """Base class of the configs. It checks every field when the config is made.

    Raises
    ------
    InputError
        For the first field whose value has another type, or is outside its limits.
    """

    def __post_init__(self) -> None:
        values = {field.name: _python_value(getattr(self, field.name)) for field in setting_fields(type(self))}
        if (error := _first_error(type(self), values)) is not None:
            raise error
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclasses.dataclass(frozen=True)
class SettingField:
    """The declaration of one field of a config, for forms and command-line flags.

    Parameters
    ----------
    name, default, help, unit
        As declared; `unit` is "" for a field without a unit.
    kind
        int, float, bool or str: the type of the value, or of each value of a tuple.
    length
        Number of values of a tuple; 0 for one or more values, None if the value is no tuple.
    optional
        Whether the value may be None.
    low, high
        Inclusive limits of each value, or None.
    above
        Exclusive lower limit of each value, or None.
    multiple_of
        Each value must be a multiple of this number, unless it is None.
    names
        Permitted texts, or () for any text. A registry may get more names later.
    """

    name: str
    default: Any
    help: str
    unit: str
    kind: type
    length: int | None
    optional: bool
    low: float | None
    high: float | None
    above: float | None
    multiple_of: int | None
    names: Collection[str]

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that are permitted now, or () for any text."""
        return tuple(self.names)


def setting_fields(config: type) -> tuple[SettingField, ...]:
    """Return the fields of a config, in the order of their declaration."""
    return _setting_fields(config)


@functools.cache
def _setting_fields(config: Any) -> tuple[SettingField, ...]:
    hints = typing.get_type_hints(config, include_extras=True)
    return tuple(_setting_field(field, hints[field.name]) for field in dataclasses.fields(config))


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as plain values that JSON can hold."""
    values = dataclasses.asdict(config)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def from_dict(kind: type[_Config], values: Mapping[str, Any]) -> _Config:
    """Return a config from the values of `to_dict`. Unknown names are ignored; missing fields get their defaults."""
    names = {field.name for field in setting_fields(kind)}
    arguments = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items() if name in names}
    return kind(**arguments)


def _setting_field(field: dataclasses.Field[Any], hint: Any) -> SettingField:
    """Return the declaration of a field. The annotation may have marks, such as limits, at any depth."""
    marks: list[Any] = []
    length, optional, names = None, False, ()
    while origin := typing.get_origin(hint):
        parts = typing.get_args(hint)
        if origin is Annotated:
            hint, *metadata = parts
            marks += metadata
        elif origin is tuple:
            hint, length = parts[0], 0 if Ellipsis in parts else len(parts)
        elif origin is Literal:
            hint, names = str, parts
        else:  # X | None
            (hint,) = (part for part in parts if part is not type(None))
            optional = True
    mark_by_type = {type(mark): mark for mark in marks}

    def marked(mark_type: type, key: str) -> Any:
        return getattr(mark_by_type.get(mark_type), key, None)

    return SettingField(
        name=field.name,
        default=field.default,
        help=marked(Help, "text") or "",
        unit=marked(Unit, "unit") or "",
        kind=hint,
        length=length,
        optional=optional,
        low=marked(Ge, "ge"),
        high=marked(Le, "le"),
        above=marked(Gt, "gt"),
        multiple_of=marked(MultipleOf, "multiple_of"),
        names=names or marked(Choices, "names") or (),
    )


def _python_value(value: Any) -> Any:
    """Return a value with NumPy numbers as Python numbers, since JSON does not support NumPy."""
    if isinstance(value, tuple):
        return tuple(_python_value(item) for item in value)
    return value.item() if getattr(value, "shape", None) == () else value


@functools.cache
def _model(config: type) -> Any:
    """Return the pydantic model of a config's fields.

    pydantic is imported here because its import takes longer than the rest of `smdiffusion --help`.
    """
    from pydantic import ConfigDict, create_model

    hints = typing.get_type_hints(config, include_extras=True)
    fields: dict[str, Any] = {field.name: (hints[field.name], ...) for field in setting_fields(config)}
    return create_model(config.__name__, __config__=ConfigDict(strict=True, allow_inf_nan=False), **fields)


_RULES = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "finite_number": "a finite number",
}
_KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}


def _first_error(config: type, values: Mapping[str, Any]) -> InputError | None:
    """Return the error for the first field with an unsuitable value, or None."""
    from pydantic import ValidationError

    try:
        _model(config).model_validate(values)
    except ValidationError as error:
        details: Mapping[str, Any] = error.errors(include_url=False)[0]
    else:
        return None
    name = str(details["loc"][0])
    field = next(field for field in setting_fields(config) if field.name == name)
    return InputError(_error_message(field, details, values[name]), name)


def _error_message(field: SettingField, details: Mapping[str, Any], value: Any) -> str:
    """Return pydantic's error `details` as one sentence, which begins with the field's name."""
    name, invalid = field.name, details["input"]
    if details["type"] in _RULES:
        return f"{name} must be {_RULES[details['type']].format(**details.get('ctx', {}))}, not {invalid}."
    unknown_name = details["type"] == "predicate_failed" and field.choices
    if details["type"] == "predicate_failed" and not unknown_name:
        return f"{name} must go from the smaller to the larger value, not {invalid}."
    if unknown_name or (details["type"] == "literal_error" and isinstance(invalid, str)):
        return f"{name} must be one of {', '.join(field.choices)}, not {invalid}."
    return f"{name} must be {_type_in_words(field)}, not {value!r}."


def _type_in_words(field: SettingField) -> str:
    """Return a field's type for a message, such as "a whole number or None"."""
    word = _KINDS[field.kind]
    if field.length is not None:
        word = f"a tuple of {word} or more" if not field.length else f"a tuple ({', '.join([word] * field.length)})"
    return f"{word} or None" if field.optional else word


Count = Annotated[int, Ge(1)]
Batch = Annotated[Count, Le(4096)]
Positive = Annotated[float, Gt(0)]
Nanometres = Annotated[Positive, Unit("nm")]
Span = Annotated[tuple[Positive, Positive], ASCENDING]
NotNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Le(0.95)]
Shares = Annotated[tuple[Share, Share], ASCENDING]
Side = Annotated[int, Ge(32), MultipleOf(16), Unit("px")]
Width = Annotated[int, Ge(16), Le(4096), MultipleOf(16)]
Widths = Annotated[tuple[Width, ...], MinLen(1)]
