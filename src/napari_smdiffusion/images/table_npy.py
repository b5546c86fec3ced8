"""Reads localizations in NumPy files: of MINFLUX microscopes, and tables with named columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError
from ..base.printable import printable
from .table_columns import checked_columns, find_columns

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Columns = dict[str, npt.NDArray[np.float64] | None]

_NM_PER_M = 1e9  # MINFLUX positions are in metres


def is_npy_table(path: Path) -> bool:
    """Return whether a NumPy file holds localizations. Only its header is read."""
    names = _loaded(path).dtype.names or ()
    if {"loc", "itr"} & set(names):
        return True
    columns = find_columns(names)
    return columns is not None and columns.units_are_known


def read_npy(path: Path) -> Columns:
    """Return the columns x, y, z and precision of a NumPy file in nm, each (n,); None for an absent one.

    Parameters
    ----------
    path
        A MINFLUX export (valid localizations of the last iteration), or a structured array with named columns.

    Raises
    ------
    InputError
        If the file holds neither.
    """
    table = _loaded(path)
    names = table.dtype.names or ()
    locations = _minflux(table, names)
    if locations is not None:
        x, y, z = np.asarray(locations, np.float64).T * _NM_PER_M
        return {"x": x, "y": y, "z": z, "precision": None}
    columns = find_columns(names)
    if columns is None:
        raise InputError(
            f"{path} is a NumPy array without named positions, which is not read: "
            "export the localizations as CSV with the columns 'x [nm]' and 'y [nm]'."
        )
    columns = checked_columns(columns, path)
    if columns.in_pixels:
        raise InputError(f"{path} has positions in camera pixels: export them in nm.")
    if any(table.dtype[column.name].kind not in "fiu" or table.dtype[column.name].shape for column in columns.all):
        raise InputError(f"{path} holds something other than numbers in its columns: export it again.")
    named = {"x": columns.x, "y": columns.y, "z": columns.z, "precision": columns.precision}
    return {
        name: None if column is None else np.asarray(table[column.name], np.float64) * column.nanometres()
        for name, column in named.items()
    }


def _loaded(path: Path) -> Any:
    """Return the array of rows, mapped; raises InputError for a damaged file."""
    try:
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        return array.reshape(-1) if array.dtype.names else array
    # NumPy evaluates the header as Python text, which fails in many ways.
    except Exception as error:
        raise InputError(
            f"{path} is no NumPy array, and is not read ({printable(error, 200)}): export it again as .npy or CSV."
        ) from error


def _minflux(table: Any, names: tuple[str, ...]) -> Any:
    """Return the valid final positions of a MINFLUX export, (n, 3) in m; None if the table is none."""
    valid = np.ones(len(table), bool) if names else None
    for flag in ("vld", "fnl"):
        if flag in names and table.dtype[flag].kind == "b" and not table.dtype[flag].shape:
            valid &= table[flag]
    if "loc" in names and _is_position(table.dtype["loc"]):
        return table["loc"][valid]
    iterations = table.dtype["itr"] if "itr" in names else None
    # Earlier exports hold the positions of all iterations in one row.
    if iterations is not None and len(iterations.shape) == 1 and "loc" in (iterations.base.names or ()):
        return table["itr"]["loc"][valid, -1] if _is_position(iterations.base["loc"]) else None
    return None


def _is_position(kind: np.dtype[Any]) -> bool:
    return kind.shape == (3,) and kind.base.kind == "f"
