"""Limits that the user sets in environment variables."""

from __future__ import annotations

import os
from contextlib import suppress

from .errors import InputError


def stated_limit(variable: str, unit: str, bound: float) -> float | None:
    """Return the limit that an environment variable states, or None if it is not set.

    Parameters
    ----------
    variable
        Name of the variable.
    unit
        Unit of the limit, for the message.
    bound
        The limit must be below this number.

    Raises
    ------
    InputError
        If the value is no positive number below the bound.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    with suppress(ValueError):
        limit = float(text)
        if 0 < limit < bound:
            return limit
    raise InputError(f"{variable} must be a positive number of {unit}, not {text[:20]!r}.")
