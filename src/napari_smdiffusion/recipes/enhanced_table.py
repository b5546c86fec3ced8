"""The table of an output folder: one row for each widefield image, written as soon as the image is done."""

from __future__ import annotations

import csv
import os
import traceback
import warnings
from contextlib import closing
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..base.errors import InputError, InputWarning, sentence_of
from ..base.events import Note
from ..base.folders import user_path
from ..base.whole_files import atomic_file, cannot_be_written
from ..images.provenance import join_names
from .outputs import RESULT_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..base.events import Result, Steps
    from ..images.image import Image

TABLE = "enhanced.csv"
# What became of an image.
ENHANCED, NO_ERROR_MAP, SKIPPED, FAILED, LEFT_OUT = STATUSES = (
    "enhanced",
    "enhanced without error map",
    "skipped",
    "failed",
    "left out",
)


@dataclass(frozen=True)
class TableRow:
    """The outcome of one file.

    Parameters
    ----------
    input, output
        The widefield image, and the file of its result. There is no such file for "failed" and "left out".
    status
        One of `STATUSES`: "skipped" had the same result from an earlier run, "left out" is no image.
    pixel_size_nm
        Pixel size of the widefield image in nm; "" if it was not read, or states none.
    seconds
        Time from reading to the last map, in s; of a skipped image, that of the run that enhanced it.
    warnings
        The messages about the image, and why it failed.
    """

    input: str
    output: str
    status: str
    pixel_size_nm: str
    seconds: str
    warnings: str

    @property
    def key(self) -> tuple[str, str]:
        """What the row is about: a later row about the same replaces it."""
        return self.input, self.output


_HEADER = [column.name for column in fields(TableRow)]


class EnhancedTable:
    """The table in the folder `out`; without a folder it is kept in memory alone.

    A row is appended when its image is done, so a killed run keeps it. `finish` leaves the last row about each image.
    A table that cannot be written ends no run: its rows are written when that is possible again.

    Parameters
    ----------
    out
        The output of a job. A TIFF file or None has no table.

    Raises
    ------
    InputError
        If a file in the place of the table is no such table.
    """

    def __init__(self, out: str | os.PathLike[str] | None) -> None:
        has_table = out is not None and user_path(out).suffix.lower() not in RESULT_SUFFIXES
        self.path = user_path(out) / TABLE if has_table and out is not None else None
        self.counts = dict.fromkeys(STATUSES, 0)
        self.error: OSError | None = None
        self._before = _rows_of(self.path) if self.path is not None else {}
        self._unwritten: list[TableRow] = []

    def before(self, key: tuple[str, str]) -> TableRow | None:
        """Return the row of an earlier run about the same image, if there is one."""
        return self._before.get(key)

    def add(self, row: TableRow) -> None:
        """Append a row."""
        self.counts[row.status] += 1
        if self.path is None:
            return
        self._unwritten.append(row)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self.path.exists()
            with self.path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerows(([_HEADER] if is_new else []) + [list(astuple(row)) for row in self._unwritten])
        except OSError as error:
            self.error = cannot_be_written(self.path, error)
        else:
            self._unwritten, self.error = [], None

    def finish(self) -> None:
        """Leave the last row about each image, in the order of the first ones."""
        if self.path is None or not any(self.counts.values()):
            return
        try:
            rows = {**_rows_of(self.path), **{row.key: row for row in self._unwritten}}
            with atomic_file(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([_HEADER, *(list(astuple(row)) for row in rows.values())])
        except (OSError, InputError) as error:
            self.error = error if isinstance(error, OSError) else OSError(str(error))
        else:
            self._unwritten, self.error = [], None

    @property
    def sentence(self) -> str:
        """What became of the files of this run; "" without a table."""
        if self.path is None:
            return ""
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        if self.error is not None:
            return f"{counts or 'Nothing was done'}. The table is incomplete: {sentence_of(self.error)}"
        return f"{self.path} lists the images of this run: {counts}." if counts else ""


def _rows_of(path: Path) -> dict[tuple[str, str], TableRow]:
    """Return the last row about each image; raise an InputError if the file is no such table.

    A line that a killed run has cut off is left out.
    """
    if not path.exists():
        return {}
    if not path.is_file():
        raise InputError(f"{path} is in the place of the table of enhanced images: name another folder.")
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.reader(file)
        try:
            if next(lines, _HEADER) != _HEADER:
                raise InputError(f"{path} is not a table of enhanced images: name another folder, or move it.")
            rows = [TableRow(*line) for line in lines if len(line) == len(_HEADER) and line[2] in STATUSES]
        except csv.Error as error:
            raise InputError(f"{path} is not a table of enhanced images ({error}): name another folder.") from error
    return {row.key: row for row in rows}


@dataclass
class RowInWork:
    """The row of an image whose work begins now; it gathers what the user reads about the image.

    Parameters
    ----------
    table
        The table.
    name
        Name of the widefield image; the path of a file is written in full.
    target
        The file of the result.
    """

    table: EnhancedTable
    name: str
    target: Path | None
    began: float = field(default_factory=monotonic)
    pixel_size: float | None = None
    messages: list[str] = field(default_factory=list)

    def listen(self, steps: Steps[Result]) -> Steps[Result]:
        """Pass the events of steps on, and note their messages."""
        with closing(steps):
            while True:
                try:
                    event = next(steps)
                except StopIteration as finished:
                    return finished.value  # type: ignore[no-any-return]  # it carries the generator's result
                if isinstance(event, Note):
                    self.messages.append(event.message)
                yield event

    def heard(self, read: Callable[[], Image]) -> Callable[[], Image]:
        """Return a function that reads an image and notes the warnings, which are issued again."""
        if self.table.path is None:
            return read

        def reading() -> Image:
            # Around the reading alone: what is recorded here is hidden from other threads.
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", InputWarning)
                image = read()
            for warning in caught:
                if issubclass(warning.category, InputWarning):
                    self.messages.append(str(warning.message))
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            return image

        return reading

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Add the row to the table."""
        messages = [*self.messages, *([sentence_of(error) or type(error).__name__] if error else [])]
        output = "" if self.target is None else os.path.abspath(self.target)
        row = TableRow(
            _full(self.name),
            output,
            status,
            f"{self.pixel_size:.6g}" if self.pixel_size else "",
            f"{monotonic() - self.began:.2f}",
            " ".join(dict.fromkeys(messages)),
        )
        before = self.table.before(row.key)
        if status == SKIPPED and before is not None and before.status in (ENHANCED, NO_ERROR_MAP, SKIPPED):
            row = replace(row, seconds=before.seconds, warnings=before.warnings)
        self.table.add(row)


def left_out(table: EnhancedTable, files: Sequence[Path]) -> Steps[None]:
    """Add a row for each file of a folder that is no image, and yield a Note that names the first ones."""
    files = [file for file in files if file != table.path]
    for file in files:
        table.add(TableRow(_full(str(file)), "", LEFT_OUT, "", "", "It is no image of a microscope."))
    if files:
        names = join_names(file.name for file in files)
        yield Note(f"{files[0].parent} holds files that are no images of a microscope and are left out: {names}.")


def _full(name: str) -> str:
    """Return the full path of a file; the name of anything else."""
    return os.path.abspath(name) if Path(name).exists() else name


def without_frames(error: Exception) -> Exception:
    """Return an error whose traceback has its lines and no variables, so that failures hold no images in memory."""
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
    return error
