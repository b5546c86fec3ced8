"""TIFF results that are written as they are computed, and that a later run can go on with.

While `x.tif` is computed, two hidden files are beside it:

    .x.tif.smdiffusion-part.tif     the pixels so far
    .x.tif.smdiffusion-part.json    a line with what identifies the run, and a line for each finished part

They stay when the run is killed or stopped. A run with `resume` goes on with them, one without removes them, and the
run that finishes the result renames the first and removes the second.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, sentence_of
from ..base.locks import Locked, is_same_file, lock, open_for_lock
from ..base.scratch import forget_pages
from ..base.temporary import MARK, remove_leftovers, short_name
from ..base.whole_files import cannot_be_written, rename_into_place
from .tiff import ResultElsewhereError, mapped_file, restate, write_again

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from ..base.json_values import Json
    from .provenance import Provenance
    from .zarr_results import UnfinishedZarr

    Mark = tuple[int, ...]

_SECONDS = 5.0  # between two times that pixels and marks are brought to the disk


def part_of(path: Path) -> Path:
    """Return the hidden file that holds a result until it is finished."""
    return path.with_name(f".{short_name(path.name)}.{MARK}-part{path.suffix}")


def _marks_of(path: Path) -> Path:
    return path.with_name(f".{short_name(path.name)}.{MARK}-part.json")


class Unfinished:
    """The finished parts of a result that is being computed.

    Attributes
    ----------
    finished
        The marks of the parts that are finished.
    """

    def __init__(self, descriptor: int, finished: set[Mark]) -> None:
        self._descriptor = descriptor
        self._pending: list[Mark] = []
        self._last = time.monotonic()
        self._arrays: list[Any] = []
        self.finished = finished

    def add(self, *mark: int) -> None:
        """Note that a part is finished; its pixels are written already."""
        self._pending.append(mark)
        self.finished.add(mark)
        if time.monotonic() - self._last > _SECONDS:
            self.commit()

    def commit(self) -> None:
        """Write the pixels to the disk, and then the marks: no mark may be written before its pixels."""
        if not self._pending:
            return
        for array in self._arrays:
            array.flush()
            forget_pages(array)  # otherwise the memory of the process grows with the image
        _append(self._descriptor, b"".join(json.dumps(mark).encode() + b"\n" for mark in self._pending))
        with suppress(OSError):  # some drives cannot wait
            os.fsync(self._descriptor)
        self._pending.clear()
        self._last = time.monotonic()

    def watch(self, array: Any) -> None:
        """Write the pixels of a mapped array to the disk before the marks."""
        self._arrays.append(array)

    def release(self) -> None:
        """Forget the arrays: Windows cannot rename mapped files."""
        self._arrays.clear()

    def begin_again(self) -> None:
        """Forget the marks, because the pixels are gone."""
        self.finished.clear()


@contextmanager
def unfinished(
    target: Path, identity: Mapping[str, Json], *, resume: bool, others: tuple[Path, ...] = ()
) -> Iterator[Unfinished]:
    """Hold the marks of a result while it is computed.

    Parameters
    ----------
    target
        The file of the result.
    identity
        The values that the pixels depend on, by name. A later run may go on only with the same values.
    resume
        Go on with the parts that an earlier run has finished.
    others
        Further files that are computed together with `target`, such as maps.

    Raises
    ------
    InputError
        If the earlier run had another identity.
    OSError
        If another run is writing `target`, or it cannot be written.
    """
    files = tuple(part_of(path) for path in (target, *others))
    marks = _marks_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent)
        descriptor = _locked(marks, target)
    except BlockingIOError as error:
        raise FileExistsError(f"Another run is writing {target}: wait for its end, or choose another name.") from error
    except OSError as error:
        raise cannot_be_written(target, error) from error
    keep = True  # the unfinished result of another run
    try:
        finished = _finished_by(descriptor, identity, target) if resume else set()
        keep = bool(finished)
        if not finished:
            _remove(*files)
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, json.dumps(identity).encode() + b"\n")
        work = Unfinished(descriptor, finished)
        try:
            yield work
            keep = False
        except InputError:  # a result that cannot be computed: the next run would fail as well
            keep = False
            raise
        except BaseException:
            with suppress(OSError, ValueError):
                work.commit()
            keep = bool(work.finished)
            raise
        finally:
            work.release()
    finally:
        if not keep:
            _remove(*files, marks)
        os.close(descriptor)


def was_begun(target: Path, identity: Mapping[str, Json]) -> bool:
    """Return whether a run with this identity was interrupted, also before its first part was finished."""
    with suppress(OSError, ValueError, RecursionError), _marks_of(target).open("rb") as file:
        first = file.readline()
        return first.endswith(b"\n") and bool(json.loads(first) == json.loads(json.dumps(identity)))
    return False


def forget_unfinished(target: Path, others: tuple[Path, ...] = ()) -> None:
    """Remove what a killed run has left of results that are finished already; nothing of a run that goes on."""
    marks = _marks_of(target)
    if not marks.exists():
        return
    with suppress(OSError):
        descriptor = _locked(marks, target)
        try:
            _remove(*(part_of(path) for path in (target, *others)), marks)
        finally:
            os.close(descriptor)


def _locked(marks: Path, target: Path) -> int:
    """Return the descriptor of the locked file of the marks."""
    while True:
        descriptor = open_for_lock(marks, os.O_CREAT)
        if os.name != "nt" and lock(descriptor) is Locked.BY_ANOTHER:
            os.close(descriptor)
            raise BlockingIOError
        if is_same_file(descriptor, marks):
            return descriptor
        os.close(descriptor)


def _finished_by(descriptor: int, identity: Mapping[str, Json], target: Path) -> set[Mark]:
    """Return the marks of an earlier run with this identity; empty if there was none."""
    with open(os.dup(descriptor), "rb") as file:
        lines = file.read().split(b"\n")
    # The last line is empty, or was not written completely.
    if len(lines) < 3 or not part_of(target).exists():
        return set()
    try:
        before = dict(json.loads(lines[0]))
    except (ValueError, TypeError, RecursionError):  # damaged
        return set()
    check_same_run(before, identity, target)
    finished = set()
    for line in lines[1:-1]:
        with suppress(ValueError, TypeError, RecursionError):  # damaged: the part is computed again
            finished.add(tuple(int(number) for number in json.loads(line)))
    return finished


def check_same_run(before: Mapping[str, Json], identity: Mapping[str, Json], target: Path) -> None:
    """Raise an InputError that names the first value in which the run of an unfinished result differs from this one."""
    for key, value in json.loads(json.dumps(identity)).items():
        if before.get(key) != value:
            shown = isinstance(value, (int, float, str, bool)) and not key.endswith("sha256")
            what = f"{key} {before.get(key)}, not {value}" if shown else f"another {key.removesuffix('_sha256')}"
            raise InputError(
                f"{target} was begun with {what}: resume it with the same input and settings, or leave out resume to "
                "begin again."
            )


def _append(descriptor: int, lines: bytes) -> None:
    """Write whole lines at the end of a file, or none: a disk may be full in the middle of one."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    try:
        while lines:
            lines = lines[os.write(descriptor, lines) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
        raise


def _remove(*paths: Path) -> None:
    for path in paths:
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():  # a store
                shutil.rmtree(path)
            else:
                path.unlink()


class UnfinishedTiff:
    """The (N, Y, X) float32 array of a result, mapped to its hidden file.

    Parameters
    ----------
    work
        The marks. Without the pixels of an earlier run they are forgotten.
    path
        The file of the result.
    shape
        (N, Y, X) in pixels.
    **metadata
        See `new_tiff`.

    Attributes
    ----------
    pixels
        The array; None after `finish`.

    Raises
    ------
    OSError
        If the file cannot be written, or the disk has too little space.
    """

    def __init__(self, work: Unfinished, path: Path, shape: tuple[int, int, int], **metadata: Any) -> None:
        self._work, self._path, self._metadata = work, path, metadata
        part = part_of(path)
        pixels = _pixels_of_before(part, shape) if work.finished else None
        if pixels is None:
            work.begin_again()
            try:
                pixels = mapped_file(part, path, shape, **metadata)
            except OSError as error:
                if error.errno is None:
                    raise
                raise cannot_be_written(path, error) from error
        self.pixels: Any = pixels
        work.watch(pixels)

    def restate(self, provenance: Provenance) -> None:
        """Replace the provenance that the file states, before it is finished.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        self._metadata = {**self._metadata, "provenance": provenance}
        if (part := part_of(self._path)).exists():  # otherwise `finish` writes the file again
            try:
                restate(part, self.pixels.shape, **self._metadata)
            except OSError as error:
                raise cannot_be_written(self._path, error) from error

    def finish(self) -> None:
        """Rename the hidden file to the file of the result.

        No other references to the pixels may be left: Windows does not rename mapped files.

        Raises
        ------
        OSError, ResultElsewhereError
            If that fails. The message names the file that holds the result, if there is one.
        """
        part = part_of(self._path)
        self.pixels.flush()
        try:
            if not part.exists():
                write_again(self.pixels, part, self._path, **self._metadata)
            self._work.release()
            self.pixels = None
            rename_into_place(part, self._path, stays=True)
        except (OSError, ResultElsewhereError):
            if not part.exists():  # the result is in another place
                self._work.begin_again()
            raise


def finish_all(files: Iterable[UnfinishedTiff | UnfinishedZarr]) -> None:
    """Finish several files, also if one of them fails; the error has the message of each that failed."""
    errors: list[OSError | ResultElsewhereError] = []
    for file in files:
        try:
            file.finish()
        except (OSError, ResultElsewhereError) as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise OSError(" ".join(sentence_of(error) for error in errors)) from errors[0]


def _pixels_of_before(part: Path, shape: tuple[int, int, int]) -> npt.NDArray[Any] | None:
    """Return the mapped pixels of an earlier run, or None if they are gone or of another shape."""
    import tifffile

    # tifffile raises many kinds of errors for damaged files.
    with suppress(Exception):
        pixels: Any = tifffile.memmap(part, mode="r+")
        if pixels.size == np.prod(shape) and pixels.dtype == np.float32:
            return pixels.reshape(shape)  # type: ignore[no-any-return]  # tifffile is untyped
    return None
