"""Finds how a text file holds a localization table: encoding, comments, column names, separator and decimal mark."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from ..base.errors import InputError
from ..base.printable import printable
from .table_columns import Column, TableColumns, find_columns, parse_name, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

HEAD = 2**18  # characters at the beginning of a file that show its format
LONGEST_LINE = 2**17  # characters
BLANKS = ""  # the separator of columns that are separated by any number of blanks
_SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars", BLANKS: "blanks"}
_COMMENT = ("#", "%", "//")
_HEADER_WITHIN = 60  # lines; some programs write a few lines about the recording first
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eEdD][+-]?\d+)?\s*", re.ASCII)
_MISSING = {"", "na", "n/a", "nan", "-nan", "null", "none", "inf", "-inf", "+inf", "infinity", "-infinity"}
_EXPORT = "export it as CSV with the columns 'x [nm]' and 'y [nm]'"
_SIGNATURES = {
    b"PK\3\4": f"is an Excel workbook or another archive: {_EXPORT}.",
    b"\xd0\xcf\x11\xe0": f"is an Excel workbook: {_EXPORT}.",
    b"\x89HDF": f"is an HDF5 file: name it .hdf5, or {_EXPORT}.",
}


@dataclass(frozen=True)
class TableFormat:
    """How a text file holds a table.

    Parameters
    ----------
    encoding
        Encoding of the text.
    header
        Number of lines up to and with the column names.
    names
        Names of the columns.
    columns
        The columns that rendering needs. Their indices count the fields of a row.
    separator
        A character, or `BLANKS`.
    fields
        Number of fields of each row.
    decimal
        "." or ",".
    row_names
        Whether each row begins with a name that has no column (R), which are the numbers 1, 2, 3 … or texts.
    empty_end
        Number of empty fields without a column at the end of each row.
    comments
        Text before the column names.
    """

    encoding: str
    header: int
    names: tuple[str, ...]
    columns: TableColumns
    separator: str
    fields: int
    decimal: str = "."
    row_names: bool = False
    empty_end: int = 0
    comments: str = field(default="", repr=False)

    @property
    def separated_by(self) -> str:
        """The separators in words."""
        return _SEPARATORS[self.separator]


def open_text(path: Path, encoding: str) -> TextIO:
    """Open a text file; each kind of line ending becomes a line feed."""
    return path.open(encoding=encoding, errors="replace", newline=None)


def table_format(path: Path) -> TableFormat:
    """Return how a text file holds a localization table. Only its beginning is read.

    Raises
    ------
    InputError
        If it holds none; the message states the file and the reason.
    """
    encoding = _encoding(path)
    with open_text(path, encoding) as file:
        head = file.read(HEAD)
    lines = head.split("\n")
    if len(head) == HEAD:
        del lines[-1]  # it may be incomplete
    if not lines or max(map(len, lines)) > LONGEST_LINE:
        raise InputError(f"{path} has a line of more than {LONGEST_LINE} characters: {_EXPORT}.")
    if not any(line.strip() for line in lines):
        raise InputError(f"{path} is empty: export the table again.")
    layout = _with_header(path, encoding, lines)
    rows = list(islice(_rows(lines[layout.header :], layout.separator), 500))
    if not rows:
        return layout
    first_line = _next_line(lines[layout.header :])
    layout = _with_fields(layout, rows, first_line, path)
    return replace(layout, decimal=_decimal(layout, rows, path))


def _encoding(path: Path) -> str:
    """Return the encoding of a text file; raises InputError if the file holds no text."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return encoding
    for signature, sentence in _SIGNATURES.items():
        if head.startswith(signature):
            raise InputError(f"{path} {sentence}")
    if b"\0" in head:
        raise InputError(f"{path} is not a text file, although its name ends like one: {_EXPORT}.")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD)
    except UnicodeDecodeError:
        return "cp1252" if not any(byte in head for byte in b"\x81\x8d\x8f\x90\x9d") else "latin-1"
    return "utf-8"


def _with_header(path: Path, encoding: str, lines: Sequence[str]) -> TableFormat:
    """Return the format as far as the line of column names shows it."""
    forced = None
    first: tuple[str, ...] = ()  # names of the first line that is no comment
    for number, line in enumerate(lines[:_HEADER_WITHIN]):
        if not line.strip():
            continue
        if match := re.fullmatch(r'"?sep=(.)"?\s*', line):  # Excel's own line
            forced = match.group(1)
            continue
        comments = "\n".join(lines[:number])
        if not line.lstrip().startswith(_COMMENT):
            if _is_data(line):
                if first:
                    break
                return _from_comments(path, encoding, lines[:number], number, line)
            first = first or _likely_names(line)
        named = line.lstrip().lstrip("#%/ ") if line.lstrip().startswith(_COMMENT) else line
        if header := _split_header(named, forced, stated_unit(comments), path):
            names, separator, columns = header
            if line is not named and not _is_data(_next_line(lines[number + 1 :])):
                continue  # a comment about the columns; the column names follow
            return TableFormat(encoding, number + 1, names, columns, separator, len(names), comments=comments)
    raise InputError(f"{path} {_other_columns(first)}")


def _next_line(lines: Sequence[str]) -> str:
    return next((line for line in lines if line.strip()), "")


def _other_columns(names: Sequence[str]) -> str:
    """Return the sentence about a table with other columns."""
    wanted = "a localization table needs 'x [nm]' and 'y [nm]' (ThunderSTORM) or 'xnm' and 'ynm' (SMAP)."
    if not names:
        return f"has no line with the names of columns: {wanted}"
    return f"has the columns {', '.join(shown(name) for name in names[:6])}: {wanted}"


def _likely_names(line: str) -> tuple[str, ...]:
    """Return the column names of a line with the separator that gives the most."""
    splits = [split_line(line, separator) for separator in (",", ";", "\t", "|")]
    most: list[str] = max(splits, key=len)
    return tuple(most)


def stated_unit(comments: str) -> str:
    """Return the unit of x and y that DECODE states in its comments, or ""."""
    if match := re.search(r"""['"]xy_unit['"]\s*:\s*['"]([^'"]{0,20})['"]""", comments):
        return parse_name(f"x [{match.group(1)}]")[1]
    return ""


def _split_header(
    line: str, forced: str | None, unit: str, path: Path
) -> tuple[tuple[str, ...], str, TableColumns] | None:
    """Return the column names, the separator and the columns of a line; None if it does not name x and y."""
    best = None
    for separator in [forced] if forced is not None else _SEPARATORS:
        names = tuple(split_line(line, separator))
        # Names may hold blanks.
        if best is not None and (len(names) <= len(best[0]) or separator == BLANKS):
            continue
        try:
            columns = find_columns(names, unit)
        except InputError as error:
            raise InputError(f"{path} {error}") from None
        if columns is not None:
            best = names, separator, columns
    return best


def split_line(line: str, separator: str) -> list[str]:
    """Return the fields of a line without the blanks and quotation marks around them."""
    if separator == BLANKS:
        # A unit belongs to the name before it.
        line = re.sub(r"\s+(?=[\[(])", "", line) if '"' not in line else line
        line, separator = re.sub(r"\s+", " ", line.strip()), " "
    try:
        (fields,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
    except (csv.Error, ValueError):
        fields = line.split(separator)
    return [text.strip() for text in fields]


def _from_comments(path: Path, encoding: str, comments: Sequence[str], header: int, line: str) -> TableFormat:
    """Return the format of a table whose column names are in its comments: rapidSTORM, and arrays saved by NumPy."""
    text = "\n".join(comments)
    fields = re.findall(r"<field\b[^>]{0,2000}>", text)
    if fields:
        names = tuple(_rapidstorm_name(entry) for entry in fields)
        columns = find_columns(names)
        if columns is not None:
            return TableFormat(encoding, header, names, columns, BLANKS, len(names), comments=text)
        listed = ", ".join(shown(name) for name in names[:6])
        raise InputError(
            f"{path} is a table of rapidSTORM with the columns {listed}: save it with both positions, "
            "Position-0-0 and Position-1-0."
        )
    for comment in reversed(comments):
        named = comment.lstrip().lstrip("#%/ ")
        if split := _split_header(named, None, stated_unit(text), path):
            names, separator, columns = split
            if separator == BLANKS and "," in line:
                separator = ","
            return TableFormat(encoding, header, names, columns, separator, len(names), comments=text)
    raise InputError(
        f"{path} begins with numbers: its first line must name the columns, such as 'x [nm]' and 'y [nm]'."
    )


def _rapidstorm_name(entry: str) -> str:
    values = dict(re.findall(r"""(\w+)\s*=\s*["']([^"']{0,200})["']""", entry))
    return f"{values.get('identifier', '')} [{values.get('unit', '')}]"


def _is_data(line: str) -> bool:
    """Return whether a line holds numbers alone, with any separator."""
    return any(
        len(fields := split_line(line, separator)) > 1 and all(map(is_number, fields)) for separator in _SEPARATORS
    )


def is_number(text: str) -> bool:
    """Return whether a field is a number, with a point or a comma, or is one of the texts for a missing number."""
    return bool(_NUMBER.fullmatch(text)) or text.strip().lower() in _MISSING


def _rows(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    """Yield the fields of the lines that are no comments, up to an empty line after the first row."""
    begun = False
    for line in lines:
        if not line.strip():
            if begun:
                return
        elif not line.lstrip().startswith(_COMMENT):
            begun = True
            yield split_line(line, separator)


def _with_fields(layout: TableFormat, rows: Sequence[list[str]], first_line: str, path: Path) -> TableFormat:
    """Return the format with the fields of a row: separators may end each row, and a name may begin it.

    Where the names of the columns could belong to the fields in two ways, the table is refused.
    """
    count = len(rows[0])
    alike = [row for row in rows if len(row) == count]
    named = len(layout.names)
    while named and not layout.names[named - 1]:
        named -= 1
    used = max([named, *(k + 1 for row in alike for k, text in enumerate(row) if text)])
    names, first = layout.names[:named], [row[0] for row in alike]
    aligned = len(layout.names) == count
    x, y = layout.columns.x.index, layout.columns.y.index
    if used == named <= count and (named == count == len(layout.names) or not _may_be_shifted(alike, x, y)):
        return replace(layout, names=names, fields=count, empty_end=count - named)
    # Row names shift the columns by one. So do a single decimal comma between commas, but then there is no point, and
    # a last column without a name, but then the first one is a number that the table counts itself.
    has_points = layout.separator != "," or any(re.search(r"\d\.\d", text) for row in alike for text in row)
    is_quoted = re.match(r'\s*"[^"]*"\s*[^\w"]?\s*[^"\s]', first_line) is not None
    may_be_names = is_quoted or min(x, y) == 0 or not all(map(is_number, first))
    if used == named + 1 and not aligned and has_points and may_be_names and _are_row_names(first):
        shifted = replace(layout, names=names, fields=count, empty_end=count - used, row_names=True)
        columns = _shifted(layout.columns)
        if not _may_be_shifted(alike, columns.x.index, columns.y.index):
            return replace(shifted, columns=columns)
    reason = (
        "Numbers with decimal commas cannot be separated by commas: export it with decimal points, or with semicolons."
        if count > named and not has_points
        else "It is not certain which name belongs to which field: export it with a name for each field."
    )
    raise InputError(
        f"{path} has {named} columns, but {fields_in_words(count)} in its first row, which {layout.separated_by} "
        f"separate. {reason}"
    )


def _may_be_shifted(rows: Sequence[list[str]], *indices: int) -> bool:
    """Return whether one of the fields counts the rows, which no position does."""
    return any(_is_count([row[index] for row in rows]) for index in indices)


def _shifted(columns: TableColumns) -> TableColumns:
    """Return the columns one field later."""

    def later(column: Column) -> Column:
        return replace(column, index=column.index + 1)

    z, precision = (None if column is None else later(column) for column in (columns.z, columns.precision))
    return TableColumns(later(columns.x), later(columns.y), z, precision)


def fields_in_words(count: int) -> str:
    """Return "1 field" or "2 fields"."""
    return f"{count} field{'s' * (count != 1)}"


def _are_row_names(texts: Sequence[str]) -> bool:
    """Return whether the first fields of the rows are names: the numbers 0, 1, 2 … or 1, 2, 3 …, or all different."""
    return _is_count(texts) or (not any(map(is_number, texts)) and len(set(texts)) == len(texts))


def _is_count(texts: Sequence[str]) -> bool:
    """Return whether texts are the numbers 0, 1, 2 … or 1, 2, 3 …."""
    if not all(re.fullmatch(r"\d{1,9}", text, re.ASCII) for text in texts):
        return False
    first = int(texts[0])
    return first in (0, 1) and [int(text) for text in texts] == list(range(first, first + len(texts)))


def _decimal(layout: TableFormat, rows: Sequence[list[str]], path: Path) -> str:
    """Return the decimal mark of the columns that rendering needs; raises InputError if it is not certain."""
    used = [column.index for column in layout.columns.all]
    texts = [row[index] for row in rows if len(row) == layout.fields for index in used]
    with_comma = [text for text in texts if "," in text]
    if not with_comma:
        return "."
    if any("." in text for text in texts):
        text = next(text for text in texts if "." in text)
        raise InputError(
            f"{path} has numbers with commas and with points ({printable(with_comma[0], 20)!r} and "
            f"{printable(text, 20)!r}): export it with one decimal mark and without separators of thousands."
        )
    # 12,345 may be twelve, or twelve thousand. Another number of decimals, or more digits before the comma, decides.
    if all(re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+", text) for text in with_comma) and all(
        re.fullmatch(r"[+-]?\d{0,3}", text) for text in texts if "," not in text
    ):
        raise InputError(
            f"{path} has numbers such as {printable(with_comma[0], 20)!r}, in which the comma may stand before "
            "decimals or after thousands: export it with decimal points."
        )
    return ","
