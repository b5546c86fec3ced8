"""Conversion of values and dataclasses to the types that JSON has, and back."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from .errors import InputError
from .printable import printable

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_Kind = TypeVar("_Kind")
_MOST_DIGITS = 20  # of a whole number; those of 64 bits have no more
_MOST_LEVELS = 64  # of nested lists and objects; each recursive function that handles a value can handle these
Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


def plain(value: Any, place: str) -> Any:
    """Return `value` in its JSON form: NumPy numbers and arrays become plain numbers and lists.

    Parameters
    ----------
    value
        Text, numbers, None, and sequences and mappings of them.
    place
        Name of the value in errors.

    Raises
    ------
    InputError
        If it holds a value that JSON cannot hold.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{place}[{key!r}]") for key, item in value.items()}
    # The help of the command line does not import NumPy, which would make it slow. Without the import, no value is a
    # NumPy value.
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return plain(value.tolist(), place)
    if isinstance(value, (list, tuple)):
        return [plain(item, place) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise InputError(
        f"{place} is of type {type(value).__name__}, which JSON cannot hold: give text, numbers, lists or dictionaries."
    )


def to_json(value: Any) -> Any:
    """Return a dataclass, or a sequence or mapping of dataclasses, as plain dictionaries and lists."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    return [to_json(item) for item in value] if isinstance(value, (list, tuple)) else value


def read_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        If the text is no JSON, has an infinite or too large number or NaN, or is nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("It is nested too deeply.") from error
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    """Raise a ValueError if lists and objects are nested too deeply. It does not recurse itself."""
    level = [value]
    for _ in range(_MOST_LEVELS):
        parts: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                parts += part.values()
            elif isinstance(part, list):
                parts += part
        level = [part for part in parts if isinstance(part, (dict, list))]
        if not level:
            return
    raise ValueError("It is nested too deeply.")


def _whole(text: str) -> int:
    # Integers of any length overflow where they become another type.
    if len(text.removeprefix("-")) > _MOST_DIGITS:
        raise ValueError(f"A number has more than {_MOST_DIGITS} digits.")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number.")
    return value


def checked(kind: type[_Kind], values: Mapping[str, Any]) -> _Kind:
    """Return the dataclass `kind` from JSON values, after a check of the type and the range of every field.

    Keys that are no fields are ignored, also in nested dataclasses.

    Raises
    ------
    InputError
        For the first unsuitable value.
    """
    from pydantic import ValidationError

    try:
        adapter: TypeAdapter[_Kind] = _adapter(cast("Any", kind))
        return adapter.validate_json(json.dumps(values), strict=True)
    except RecursionError as error:
        raise InputError(f"{kind.__name__} is nested too deeply.") from error
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in details["loc"]) or kind.__name__
        raise InputError(f"{printable(place, 200)}: {printable(details['msg'], 300).removesuffix('.')}.") from error
    # Numbers that JSON can hold and Python's conversion to text or to a double cannot.
    except (ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{kind.__name__} has a number that is too large.") from error


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # pydantic is imported here because its import takes longer than the rest of `smdiffusion --help`.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
