"""Finds the columns of a localization table, and the unit of each, by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PIXEL = "px"  # the unit "camera pixels"
_NM = {
    "nm": 1.0,
    "um": 1e3,
    "µm": 1e3,
    "mm": 1e6,
    "m": 1e9,
    "pm": 1e-3,
    "å": 0.1,
    "angstrom": 0.1,
}
_SPELLINGS = {
    **{name: name for name in _NM},
    **dict.fromkeys(("nanometer", "nanometers", "nanometre", "nanometres"), "nm"),
    **dict.fromkeys(("micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"), "µm"),
    **dict.fromkeys(("\N{REPLACEMENT CHARACTER}m", "âµm"), "µm"),  # "µm" that was read in another encoding
    **dict.fromkeys(("meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("millimeter", "millimeters", "millimetre", "millimetres"), "mm"),
    **dict.fromkeys(("px", "pix", "pxl", "pixel", "pixels", "camera pixel", "camera pixels"), PIXEL),
}
# Names of the axes without unit: rapidSTORM, then names in general, then Elyra and others.
_AXES = (
    ("position 0 0", "position 1 0", "position 2 0"),
    ("x", "y", "z"),
    ("position x", "position y", "position z"),
    ("x position", "y position", "z position"),
    ("pos x", "pos y", "pos z"),
    ("x pos", "y pos", "z pos"),
    ("xpos", "ypos", "zpos"),
    ("x coordinate", "y coordinate", "z coordinate"),
)
_NSTORM_AXES = ("xc", "yc", "zc")  # corrected for drift
_NSTORM = {"channel name", *_NSTORM_AXES[:2]}  # these names identify the program, whose lengths are in nm
# Names of the lateral precision; "sigma" is the width of the spot in most programs, and is none of them.
_PRECISIONS = (
    "uncertainty",
    "uncertainty xy",
    "locprec",
    "localization precision",
    "lateral localization accuracy",
    "precision",
    "precision xy",
    "precision x",
    "x precision",
    "uncertainty x",
    "x uncertainty",
    "x sig",
    "lpx",
    "position 0 0 uncertainty",
    "position uncertainty 0 0",
)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    index
        Its position, from 0.
    name
        Its name in the file.
    unit
        "nm", "µm", another length, `PIXEL`; "" if the name states no unit, "?" if the unit is not understood.
    """

    index: int
    name: str
    unit: str

    def nanometres(self, camera_pixel: float | None = None) -> float:
        """Return the length of the unit in nm; a camera pixel has a side of `camera_pixel` nm."""
        return camera_pixel or float("nan") if self.unit == PIXEL else _NM[self.unit]


@dataclass(frozen=True)
class TableColumns:
    """The columns that rendering needs; None if the table does not have them."""

    x: Column
    y: Column
    z: Column | None = None
    precision: Column | None = None

    @property
    def all(self) -> tuple[Column, ...]:
        """The columns that the table has."""
        return tuple(column for column in (self.x, self.y, self.z, self.precision) if column is not None)

    @property
    def in_pixels(self) -> bool:
        """Whether one of the columns is in camera pixels."""
        return any(column.unit == PIXEL for column in self.all)

    @property
    def units_are_known(self) -> bool:
        """Whether x and y have units that are understood."""
        return not {self.x.unit, self.y.unit} & {"", "?"}


def parse_name(name: str) -> tuple[str, str]:
    """Return a column's name without its unit, in lower case and with single blanks, and the unit as in `Column`."""
    text = name.strip().strip("\"'").strip().lower().replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")
    unit = ""
    if match := re.fullmatch(r"([^\[(]*)[\[(]([^\[\]()]*)[\])]", text):
        text, stated = match.group(1), match.group(2).strip()
        unit = _SPELLINGS.get(stated, "?" if stated else "")
    else:
        # "xnm" and "locprecnm" (SMAP), "x_um", "y pix", "x in nm", "x / nm"
        joined = re.fullmatch(r"([xyz]|locprec|locprecz)(nm|um|µm|px|pix)", text)
        ending = re.fullmatch(r"(.+?)(?:\s*/\s*|[_ ]in[_ ]|[_ ])([^\W_]{2,})", text)
        for match in (joined, ending):
            if match and match.group(2) in _SPELLINGS:
                text, unit = match.group(1), _SPELLINGS[match.group(2)]
    return re.sub(r"[\s_-]+", " ", text).strip(), unit


def find_columns(names: Sequence[str], unit: str = "") -> TableColumns | None:
    """Return the columns of a localization table; None if x or y is not among the names.

    Parameters
    ----------
    names
        Names of all columns.
    unit
        Unit of the columns whose names state none, from another part of the file.

    Raises
    ------
    InputError
        If two columns have one of the names; the message begins with "has".
    """
    parsed = [Column(i, name, parse_name(name)[1]) for i, name in enumerate(names)]
    by_base: dict[str, list[Column]] = {}
    for column in parsed:
        by_base.setdefault(parse_name(column.name)[0], []).append(column)
    is_nstorm = by_base.keys() >= _NSTORM
    for axes in (_NSTORM_AXES, *_AXES) if is_nstorm else _AXES:
        if axes[0] in by_base and axes[1] in by_base:
            x, y = _pair(by_base[axes[0]], by_base[axes[1]])
            if not x.unit:
                default = "nm" if is_nstorm else unit
                x, y = replace(x, unit=default), replace(y, unit=y.unit or default)
            # DECODE's z is in nm also where x and y are in pixels. In other files the unit of z is then unknown.
            depth = x.unit if x.unit != PIXEL else "nm" if unit == PIXEL else "?"
            z, precision = _other(by_base, (axes[2],), depth), _other(by_base, _PRECISIONS, x.unit)
            return TableColumns(x, y, z, precision)
    return None


def _pair(xs: Sequence[Column], ys: Sequence[Column]) -> tuple[Column, Column]:
    """Return x and y, in a length if the table has one, else in pixels, else without a unit."""
    for candidates in (xs, ys):
        _check_unique(candidates)
    x = min(xs, key=_rank)
    same = [y for y in ys if y.unit == x.unit]
    return x, same[0] if same else min(ys, key=_rank)


def _rank(column: Column) -> int:
    """Return how suitable the unit of a column is; the lowest is the best."""
    return {"?": 3, "": 2, PIXEL: 1}.get(column.unit, 0)


def _check_unique(columns: Sequence[Column]) -> None:
    units = [column.unit for column in columns]
    for column in columns:
        if units.count(column.unit) > 1:
            raise InputError(f"has two columns {shown(column.name)!r}: leave one of them out.")


def _other(by_base: dict[str, list[Column]], bases: Sequence[str], unit: str) -> Column | None:
    """Return the column with one of the names, if there is one; a column without a unit gets `unit`."""
    for base in bases:
        if base in by_base:
            _check_unique(by_base[base])
            column = min(by_base[base], key=_rank)
            return replace(column, unit=unit) if not column.unit else column
    return None


def checked_columns(columns: TableColumns, path: Path) -> TableColumns:
    """Return the columns whose units are understood.

    Raises
    ------
    InputError
        If x, y or z has no unit, or an unknown one.
    """
    for column in (columns.x, columns.y, columns.z):
        if column is not None and column.unit == "?":
            raise InputError(
                f"{path} has the column {shown(column.name)!r}, whose unit is not understood: "
                "name the unit nm, µm, mm, m or px."
            )
    if not columns.units_are_known:
        raise InputError(
            f"{path} does not state the unit of its columns {shown(columns.x.name)!r} and {shown(columns.y.name)!r}: "
            "name them 'x [nm]' and 'y [nm]' if they are in nm."
        )
    if columns.precision is not None and columns.precision.unit == "?":
        return replace(columns, precision=None)
    return columns


def shown(name: str) -> str:
    """Return the name of a column for a message."""
    return printable(name.strip(), 40)
