"""Reads localization tables in HDF5 files: of Picasso, of DECODE, and of SMAP (MATLAB 7.3).

Nothing outside the file is read, and no more memory is taken than the file can fill.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError
from ..base.printable import printable
from .picasso_yaml import camera_pixel_beside, checked_camera_pixel
from .table_columns import PIXEL, Column, TableColumns, checked_columns, find_columns, parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    Columns = dict[str, npt.NDArray[np.float64] | None]

_TABLES = ("locs", "data", "saveloc/loc", "molecules", "localizations")  # where programs store their tables
_ROWS = 2**20  # rows that are read at once
_SMALL = 2**26  # bytes; a table of this size is always read
_RATIO = 200  # declared bytes for each byte of the file: positions are noise, which nothing compresses further
_PICASSO = "locs"


def is_hdf5_table(path: Path) -> bool:
    """Return whether an HDF5 file holds a localization table. Only names are read."""
    with _opened(path) as file:
        return _find(file) is not None


def read_hdf5(path: Path) -> Columns:
    """Return the columns x, y, z and precision of an HDF5 file in nm, each (n,); None for an absent one.

    Raises
    ------
    InputError
        If the file holds no table, needs another file, or declares more values than it can hold.
    """
    try:
        with _opened(path) as file:
            table = _find(file)
            if table is None:
                raise InputError(
                    f"{path} is not a Picasso localization file: it needs a table 'locs' with x and y. "
                    "Tables of DECODE ('data/xyz') and SMAP ('saveloc/loc') are read too."
                )
            return _columns(file, *table, path)
    except InputError:
        raise
    # h5py raises many kinds of errors for damaged files.
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path} is not a Picasso localization file ({printable(error, 200)}): export it again."
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"Reading {path} needs h5py: pip install h5py.") from error
    with h5py.File(path, "r") as file:
        yield file


def _inside(group: Any, place: str) -> Any:
    """Return the object at a place within a file, None if there is none; links to other places are not followed."""
    import h5py

    for name in place.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            return None
        group = group[name]
    return group


def _find(file: Any) -> tuple[str, Any] | None:
    """Return the place of a table and its object: a dataset with fields, or a group with a dataset for each column."""
    import h5py

    for place in _TABLES:
        table = _inside(file, place)
        if isinstance(table, h5py.Dataset) and find_columns(table.dtype.names or ()) is not None:
            return place, table
        if isinstance(table, h5py.Group):
            if isinstance(_inside(table, "xyz"), h5py.Dataset):
                return place, table
            if find_columns(list(table)) is not None:
                return place, table
    return None


def _columns(file: Any, place: str, table: Any, path: Path) -> Columns:
    """Return the columns of a table that was found."""
    import h5py

    if isinstance(table, h5py.Group) and _inside(table, "xyz") is not None:
        return _decode(file, table, path)
    names = list(table) if isinstance(table, h5py.Group) else list(table.dtype.names)
    # Picasso's lengths are in camera pixels, except z.
    columns = find_columns(names, PIXEL if place == _PICASSO else "")
    if columns is None:
        raise InputError(f"{path} holds no x and y of localizations: export it again.")
    columns = checked_columns(columns, path)
    pixel = camera_pixel_beside(path) if columns.in_pixels else None

    def read(column: Column | None) -> npt.NDArray[np.float64] | None:
        if column is None:
            return None
        if isinstance(table, h5py.Group):
            values = _values(_inside(table, column.name), None, path)
        else:
            values = _values(table, column.name, path)
        return np.asarray(values * column.nanometres(pixel))

    values = {"x": read(columns.x), "y": read(columns.y), "z": read(columns.z), "precision": read(columns.precision)}
    lengths = {len(column) for column in values.values() if column is not None}
    if len(lengths) > 1:
        raise InputError(f"{path} has columns of different lengths: export it again.")
    return values


def _decode(file: Any, group: Any, path: Path) -> Columns:
    """Return the columns of a file of DECODE: `data/xyz` is (n, 3), and the attributes of `meta` state the unit."""
    meta = _inside(file, "meta")
    unit = "" if meta is None else _text(meta.attrs.get("xy_unit", ""))
    names = TableColumns(Column(0, "x", parse_name(f"x [{unit}]")[1]), Column(1, "y", parse_name(f"y [{unit}]")[1]))
    names = checked_columns(names, path)
    pixels = (1.0, 1.0)
    if names.in_pixels:
        stated = [float(size) for size in np.ravel(meta.attrs.get("px_size", ()))]
        if len(stated) != 2 or stated[0] != stated[1]:
            raise InputError(f"{path} has x and y in pixels, and states no pixel size 'px_size': export it in nm.")
        pixels = (checked_camera_pixel(stated[0], path),) * 2
    factors = [names.x.nanometres(pixels[0]), names.y.nanometres(pixels[1]), 1.0]
    xyz = [_values(_inside(group, "xyz"), k, path) for k in range(3)]
    sigma = _inside(group, "xyz_sig")
    precision = None if sigma is None else _values(sigma, 0, path) * factors[0]
    x, y, z = (values * factor for values, factor in zip(xyz, factors, strict=True))
    if precision is not None and len(precision) != len(x):
        precision = None
    return {"x": x, "y": y, "z": z, "precision": precision}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _values(dataset: Any, column: str | int | None, path: Path) -> npt.NDArray[np.float64]:
    """Return a field, or a column by its number, or all values of a dataset, (n,) float64."""
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or not dataset.shape:
        raise InputError(f"{path} holds no table of localizations where they should be: export it again.")
    _check_storage(dataset, path)
    kind = dataset.dtype[column] if isinstance(column, str) else dataset.dtype
    if kind.kind not in "fiu" or kind.shape:
        name = "" if column is None else f" in {printable(column, 40)!r}"
        raise InputError(f"{path} holds something other than numbers{name}: correct this column.")
    rows = dataset.shape[0]
    if isinstance(column, int):
        if len(dataset.shape) != 2 or dataset.shape[1] <= column:
            raise InputError(f"{path} holds positions of shape {dataset.shape}, not (n, 3): export it again.")
        parts = [dataset[start : start + _ROWS, column] for start in range(0, rows, _ROWS)]
    elif isinstance(column, str):
        if len(dataset.shape) != 1:
            raise InputError(f"{path} holds a table of shape {dataset.shape}, not of rows: export it again.")
        field = dataset.fields(column)
        parts = [field[start : start + _ROWS] for start in range(0, rows, _ROWS)]
    elif max(dataset.shape) != math.prod(dataset.shape):
        raise InputError(f"{path} holds a column of shape {dataset.shape}, not of rows: export it again.")
    else:
        parts = [np.ravel(dataset[...])]  # MATLAB's columns are (1, n)
    return np.concatenate([np.asarray(part, np.float64) for part in parts] or [np.empty(0)])


def _check_storage(dataset: Any, path: Path) -> None:
    """Raise an InputError if values of a dataset are in another file, or the file is too small for their number."""
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path} takes its values from another file: export it as a file of its own.")
    count = math.prod(dataset.shape)
    declared, stored = count * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if declared and not stored:
        raise InputError(f"{path} declares {count} values and holds none of them: export it again.")
    if declared > max(_SMALL, _RATIO * stored):
        raise InputError(
            f"{path} declares {declared / 1e9:.2g} GB of values and holds {stored / 1e9:.2g} GB of them: "
            "export it again without compression if this is right."
        )
