"""Reads the numbers of a localization table in a text file, in blocks of bounded size.

Each row must have the same number of fields, and each value that is used must be a number or missing. Without these
checks pandas shifts columns, cuts rows and fills them without a message.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

import numpy as np

from ..base.errors import InputError
from ..base.printable import printable
from .table_format import _COMMENT, _MISSING, BLANKS, LONGEST_LINE, fields_in_words, is_number, open_text, split_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from .table_format import TableFormat

_BLOCK = 2**23  # characters
_FOOTER_LINES = 2000
_PLAIN = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII).fullmatch
# Programs write such lines below the table: `VoxelSizeX : 0.16` (Zeiss Elyra)
_FOOTER = re.compile(r"[^\W\d][^\t;,|]{0,80}[:=].*")
_MISSING_SPELLINGS = sorted(
    {spelled for text in _MISSING for spelled in (text, text.upper(), text.capitalize(), "NaN")}
)


@dataclass
class _Reading:
    """The state of reading a file: the values so far, and the number of the lines that were read."""

    path: Path
    layout: TableFormat
    indices: tuple[int, ...]
    blocks: list[npt.NDArray[np.float64]] = field(default_factory=list)
    line: int = 0
    ended: bool = False


def read_fields(path: Path, layout: TableFormat, indices: Sequence[int]) -> list[npt.NDArray[np.float64]]:
    """Return columns of a table, each (n,); missing values are NaN.

    Parameters
    ----------
    path
        The text file.
    layout
        Its format.
    indices
        Positions of the fields in a row, from 0.

    Raises
    ------
    InputError
        If a row has another number of fields, or a value is no number; the message names the line.
    """
    wanted = tuple(dict.fromkeys((*indices, *((0,) if layout.row_names else ()))))
    if layout.row_names and not _first_is_number(path, layout):
        wanted = tuple(index for index in wanted if index)
    reading = _Reading(path, layout, wanted)
    with open_text(path, layout.encoding) as file:
        for _ in range(layout.header):
            file.readline()
        reading.line = layout.header
        for block in _blocks(file, path):
            if not reading.ended:
                _read_block(reading, block)
            elif not _is_footer(block.split("\n")):
                raise InputError(f"{path} has text below its table, near line {reading.line}: remove it.")
    columns = {
        index: np.concatenate([block[k] for block in reading.blocks] or [np.empty(0)]) for k, index in enumerate(wanted)
    }
    if 0 in columns and layout.row_names and (np.diff(columns[0]) != 1).any():
        raise InputError(
            f"{path} has one field more than it has columns, and this field does not number its rows: "
            "export it again, or name all columns."
        )
    return [columns[index] for index in indices]


def _first_is_number(path: Path, layout: TableFormat) -> bool:
    """Return whether the names of the rows are numbers."""
    with open_text(path, layout.encoding) as file:
        lines = [file.readline() for _ in range(layout.header + 100)][layout.header :]
    rows = [split_line(line, layout.separator) for line in lines if line.strip()]
    return bool(rows) and is_number(rows[0][0])


def _blocks(file: TextIO, path: Path) -> Iterator[str]:
    """Yield whole lines of a file."""
    while block := file.read(_BLOCK):
        block += file.readline(LONGEST_LINE)
        if len(block) > _BLOCK + LONGEST_LINE - 1 and not block.endswith("\n"):
            raise InputError(f"{path} has a line of more than {LONGEST_LINE} characters: export the table again.")
        yield block


def _read_block(reading: _Reading, block: str) -> None:
    """Add the values of some lines."""
    values = _quick(reading, block)
    if values is None:
        values = _careful(reading, block)
    reading.blocks.append(values)
    reading.line += block.count("\n")


def _quick(reading: _Reading, block: str) -> npt.NDArray[np.float64] | None:
    """Return the values of plain lines, (columns, rows); None if the lines need `_careful`."""
    layout = reading.layout
    # Quotation marks around fields mean nothing, unless they hold a separator.
    if '"' in block and layout.separator != BLANKS:
        parts = block.split('"')
        if len(parts) % 2 == 0 or any(layout.separator in part or "\n" in part for part in parts[1::2]):
            return None
        block = "".join(parts)
    if any(mark in block for mark in ('"', "'", *_COMMENT, "\0")):
        return None
    characters = np.frombuffer(block.encode("utf-8"), np.uint8)
    if not _rows_are_alike(characters, layout):
        return None
    import pandas as pd

    try:
        table = pd.read_csv(
            io.StringIO(block),
            sep=layout.separator if layout.separator != BLANKS else r"\s+",
            header=None,
            index_col=False,
            names=range(layout.fields),
            usecols=sorted(reading.indices),
            dtype=np.float64,
            decimal=layout.decimal,
            na_values=_MISSING_SPELLINGS,
            keep_default_na=False,
            skipinitialspace=True,
            quoting=csv.QUOTE_NONE,
            engine="c",
        )
    except (ValueError, OverflowError, csv.Error):  # pandas' parser errors are ValueErrors
        return None
    return np.stack([table[index].to_numpy(np.float64) for index in reading.indices])


def _rows_are_alike(characters: npt.NDArray[np.uint8], layout: TableFormat) -> bool:
    """Return whether each line has the fields of the format, and no line is empty."""
    ends = np.flatnonzero(characters == ord("\n"))
    if len(characters) and (not len(ends) or ends[-1] != len(characters) - 1):
        ends = np.append(ends, len(characters))
    if not len(ends):
        return False
    if layout.separator == BLANKS:
        is_blank = (characters == ord(" ")) | (characters == ord("\t")) | (characters == ord("\n"))
        marks = np.flatnonzero(~is_blank & np.concatenate([[True], is_blank[:-1]]))
        expected = layout.fields
    else:
        marks = np.flatnonzero(characters == ord(layout.separator))
        expected = layout.fields - 1
    counts = np.diff(np.searchsorted(marks, ends), prepend=0)
    alike = bool((counts == expected).all()) and bool((np.diff(ends, prepend=-1) > 1).all())
    # Fields without a column are empty: a row ends in that many separators.
    last = [characters[np.maximum(ends - 1 - k, 0)] for k in range(layout.empty_end)]
    return alike and all(bool((character == ord(layout.separator)).all()) for character in last)


def _careful(reading: _Reading, block: str) -> npt.NDArray[np.float64]:
    """Return the values of any lines, (columns, rows); raises InputError at the first wrong one."""
    layout = reading.layout
    lines = block.split("\n")
    numbers = [k for k, line in enumerate(lines) if line.strip() and not line.lstrip().startswith(_COMMENT)]
    rows: list[list[float]] = []
    for fields, number in _split_lines(lines, numbers, layout.separator):
        if not any(fields):  # separators alone
            continue
        if len(fields) != layout.fields or any(fields[layout.fields - layout.empty_end :]):
            if number and not lines[number - 1].strip() and _is_footer(lines[number:]):
                reading.ended = True
                break
            raise InputError(_count_message(reading, reading.line + number + 1, len(fields)))
        rows.append([_number(reading, fields[index], index, reading.line + number + 1) for index in reading.indices])
    return np.array(rows, np.float64).reshape(-1, len(reading.indices)).T


def _split_lines(lines: Sequence[str], numbers: Sequence[int], separator: str) -> Iterator[tuple[list[str], int]]:
    """Yield the fields of the lines with these numbers, and the number."""
    texts = (lines[k].split(" #", 1)[0] for k in numbers)
    if separator == BLANKS:
        texts = (" ".join(text.split()) for text in texts)
    parsed = csv.reader(texts, delimiter=separator or " ", skipinitialspace=True)
    while True:
        try:
            fields = next(parsed)
        except StopIteration:
            return
        except csv.Error:  # a field that is too long
            fields = []
        yield [text.strip() for text in fields] or ["?"], numbers[max(parsed.line_num, 1) - 1]


def _count_message(reading: _Reading, line: int, count: int) -> str:
    layout = reading.layout
    return (
        f"{reading.path} has {fields_in_words(count)} in line {line} and {layout.fields} in its first row, which "
        f"{layout.separated_by} separate: correct this line, or export the table again."
    )


def _is_footer(lines: Sequence[str]) -> bool:
    """Return whether lines are empty or facts such as `VoxelSizeX : 0.16`, and not too many."""
    texts = [line.strip() for line in lines if line.strip()]
    return len(texts) <= _FOOTER_LINES and all(map(_FOOTER.fullmatch, texts))


def _number(reading: _Reading, text: str, index: int, line: int) -> float:
    """Return the number in a field, NaN if it is missing."""
    layout, text = reading.layout, text.strip("\"' ")
    if layout.decimal == "." and _PLAIN(text):
        return float(text)
    if text.lower() in _MISSING:
        return float("nan")
    if is_number(text) and ("," not in text or layout.decimal == ",") and ("." not in text or layout.decimal == "."):
        return float(re.sub("[dD]", "e", text.replace(",", ".")))
    position = index - layout.row_names
    name = layout.names[position].strip() if 0 <= position < len(layout.names) else "the names of the rows"
    raise InputError(
        f"{reading.path} holds something other than numbers in {printable(name, 40)!r}: "
        f"correct {printable(text, 30)!r} in line {line}."
    )
