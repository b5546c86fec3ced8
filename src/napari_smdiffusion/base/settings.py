"""Settings as frozen dataclasses whose fields carry their unit, limits and help text."""

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
    """What a field means, for its annotation."""

    text: str


@dataclasses.dataclass(frozen=True, eq=False)
class Choices:
    """The names that a text field may be, for its annotation: those of a registry."""

    names: Mapping[str, Any]


class Checked:
    """Base of the configs: checks every field when the config is made.

    Raises
    ------
    InputError
        For the first field whose value has another type, or lies outside its limits.
    """

    def __post_init__(self) -> None:
        values = {field.name: _python_value(getattr(self, field.name)) for field in setting_fields(type(self))}
        if (error := _first_error(type(self), values)) is not None:
            raise error
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclasses.dataclass(frozen=True)
class SettingField:
    """One field of a config, as forms and command-line flags need it.

    Parameters
    ----------
    name, default, help, unit
        As declared; `unit` is "" where there is none.
    kind
        int, float, bool or str: the type of the value, or of each value of a tuple.
    length
        Number of values of a tuple; 0 for one or more, None where the value is no tuple.
    optional
        Whether the value may be None.
    low, high, above, multiple_of
        Limits of each value: inclusive, inclusive, exclusive, and the number it is a multiple of.
    names
        The texts it may be, or () for any; a registry, which may grow.
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
        """The texts it may be now, or () for any."""
        return tuple(self.names)


def setting_fields(config: type) -> tuple[SettingField, ...]:
    """Return the fields of a config, in the order of their declaration."""
    return _setting_fields(config)


@functools.cache
def _setting_fields(config: Any) -> tuple[SettingField, ...]:
    hints = typing.get_type_hints(config, include_extras=True)
    return tuple(_read(field, hints[field.name]) for field in dataclasses.fields(config))


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as plain values that JSON can hold."""
    values = dataclasses.asdict(config)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def from_dict(kind: type[_Config], values: Mapping[str, Any]) -> _Config:
    """Make a config from `to_dict`'s values; names of other versions are ignored, missing ones take the default."""
    known = {field.name for field in setting_fields(kind)}
    kept = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items() if name in known}
    return kind(**kept)


def _read(field: dataclasses.Field[Any], hint: Any) -> SettingField:
    """Take a declaration apart. Limits and the like may stand at any depth of the annotation."""
    marks: list[Any] = []
    length, optional, names = None, False, ()
    while origin := typing.get_origin(hint):
        parts = typing.get_args(hint)
        if origin is Annotated:
            hint, *more = parts
            marks += more
        elif origin is tuple:
            hint, length = parts[0], 0 if Ellipsis in parts else len(parts)
        elif origin is Literal:
            hint, names = str, parts
        else:  # X | None
            (hint,) = (part for part in parts if part is not type(None))
            optional = True
    found = {type(mark): mark for mark in marks}

    def marked(mark: type, key: str) -> Any:
        return getattr(found.get(mark), key, None)

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
    """Return a value with NumPy's numbers, which JSON does not know, as Python's."""
    if isinstance(value, tuple):
        return tuple(_python_value(one) for one in value)
    return value.item() if getattr(value, "shape", None) == () else value


@functools.cache
def _model(config: type) -> Any:
    """Return the pydantic model of a config's fields.

    pydantic is imported here because that takes longer than all the rest of `smdiffusion --help`.
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
    """Return the error for the first field that does not fit, or None."""
    from pydantic import ValidationError

    try:
        _model(config).model_validate(values)
    except ValidationError as error:
        wrong: Mapping[str, Any] = error.errors(include_url=False)[0]
    else:
        return None
    name = str(wrong["loc"][0])
    field = next(field for field in setting_fields(config) if field.name == name)
    return InputError(_complaint(field, wrong, values[name]), name)


def _complaint(field: SettingField, wrong: Mapping[str, Any], value: Any) -> str:
    """Return what is wrong with the value of a field as one sentence, which begins with the field's name."""
    name, given = field.name, wrong["input"]
    if wrong["type"] in _RULES:
        return f"{name} must be {_RULES[wrong['type']].format(**wrong.get('ctx', {}))}, not {given}."
    unknown_name = wrong["type"] == "predicate_failed" and field.choices
    if wrong["type"] == "predicate_failed" and not unknown_name:
        return f"{name} must go from the smaller to the larger value, not {given}."
    if unknown_name or (wrong["type"] == "literal_error" and isinstance(given, str)):
        return f"{name} must be one of {', '.join(field.choices)}, not {given}."
    return f"{name} must be {_named(field)}, not {value!r}."


def _named(field: SettingField) -> str:
    """Return a field's type in words."""
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
Width = Annotated[int, Ge(16), MultipleOf(16)]
Widths = Annotated[tuple[Width, ...], MinLen(1)]
