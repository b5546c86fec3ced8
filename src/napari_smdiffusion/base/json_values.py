"""Values as JSON has them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .errors import InputError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


def plain(value: Any, place: str) -> Any:
    """Return `value` as JSON gives it back: numbers and arrays of NumPy as plain numbers and lists.

    Parameters
    ----------
    value
        Text, numbers, None, and sequences and mappings of them.
    place
        What to call it in an error.

    Raises
    ------
    InputError
        If it holds anything that JSON cannot.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(one, f"{place}[{key!r}]") for key, one in value.items()}
    # Nothing is NumPy's before NumPy is imported, which the help of the command line does without.
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return plain(value.tolist(), place)
    if isinstance(value, (list, tuple)):
        return [plain(one, place) for one in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise InputError(
        f"{place} is of type {type(value).__name__}, which no file can keep: give text, numbers, lists or dictionaries."
    )
