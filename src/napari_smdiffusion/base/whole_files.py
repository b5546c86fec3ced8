"""Atomic writing of files: a file appears only when it is complete."""

from __future__ import annotations

import errno
import gc
import math
import os
import shutil
import tempfile
import traceback
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import reason_of, remedy_of
from .folders import user_folder
from .temporary import remove_leftovers, sync, temporary_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def cannot_be_written(path: Path, error: OSError) -> OSError:
    """Return an OSError whose message names the path, the reason in words and the remedy."""
    remedy = remedy_of(error)
    remedies = remedy if "place" in remedy or "name" in remedy else f"{remedy}, or choose another place"
    return OSError(f"{path} cannot be written ({reason_of(error)}): {remedies}.")


@contextmanager
def atomic_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield the path of a temporary file beside `path`, which replaces `path` if the block ends without an error.

    Parameters
    ----------
    path
        File to write.
    durable
        Whether to wait until the file is on the disk, so that it also survives a power cut.

    Raises
    ------
    OSError
        If `path` is a folder, or cannot be written or replaced.
    """
    with whole_file(path) as temporary:
        try:
            yield temporary
        except BaseException as error:
            _release_mapped(error)
            raise
        rename_into_place(temporary, path, durable=durable)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside `path`, and remove it at the end if it was not renamed.

    Files that killed programs left beside it are removed first.

    Raises
    ------
    OSError
        If `path` is a folder or cannot be written.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file to write.")
    with created_beside(path, temporary_file(path)) as temporary:
        try:
            yield temporary
        except OSError as error:  # nobody knows the name of the temporary file
            if error.errno is not None and str(error.filename) == str(temporary):
                raise cannot_be_written(path, error) from error
            raise


@contextmanager
def created_beside(path: Path, temporary: AbstractContextManager[Path]) -> Iterator[Path]:
    """Create a temporary file or folder beside `path`, and yield its path.

    Files and folders that killed programs left there are removed first.

    Raises
    ------
    OSError
        If nothing can be written there; the message names `path`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        created = temporary.__enter__()
    except OSError as error:
        raise cannot_be_written(path, error) from error
    try:
        yield created
    finally:
        temporary.__exit__(None, None, None)


def _release_mapped(error: BaseException) -> None:
    """Close the mapped arrays that the frames of an error hold: Windows cannot delete a mapped file."""
    if os.name == "nt":
        traceback.clear_frames(error.__traceback__)
        gc.collect()


def rename_into_place(temporary: Path, path: Path, *, durable: bool = True, stays: bool = False) -> None:
    """Rename a complete file to `path`.

    Where that fails, the file is saved in another place: beside `path`, in the user's folder or in the folder of
    temporary files. On Windows it fails while another program uses `path`.

    Parameters
    ----------
    temporary, path
        The complete file and its name.
    durable
        Whether to wait until the file is on the disk.
    stays
        Whether `temporary` stays if it can be saved nowhere, so that a later run can go on with it.

    Raises
    ------
    OSError
        If `path` cannot be replaced; the message names the file that holds the result, if there is one.
    """
    if durable:
        sync(temporary)
    try:
        temporary.replace(path)
    except OSError as error:
        saved = _saved_elsewhere(temporary, path)
        where = _where(saved, stays and temporary.exists())
        remedy = ""
        if isinstance(error, PermissionError):  # Windows names a missing permission if a program has the file open
            cause = "close the program that uses it" if os.name == "nt" else "ask its owner for the permission"
            remedy = f": {cause}, or name another file"
        raise OSError(f"{path} cannot be replaced ({reason_of(error)}){remedy}. {where}") from error
    if durable:
        sync(path.parent)


def _where(saved: Path | None, stays: bool) -> str:
    """Return the sentence that names the file of a result."""
    if saved is None and stays:
        return "The result is kept for a run with resume: free some space, and run the job with it."
    if saved is None:
        return "The result is lost, because no other place could be written either: run the job again."
    return f"The result is saved in {saved}."


def _saved_elsewhere(temporary: Path, path: Path) -> Path | None:
    """Return the file that a complete temporary file was moved or copied to, or None if there is no such place."""
    for place in other_places(path):
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.replace(place)
            except OSError:  # another disk, or no permission for the folder that it is in
                try:
                    shutil.copyfile(temporary, place)
                except OSError:
                    place.unlink(missing_ok=True)
                    raise
                with suppress(OSError):
                    temporary.unlink()
            sync(place)
            return place
    return None


def other_places(path: Path, folder_in_home: str = "results") -> Iterator[Path]:
    """Yield paths for a result that cannot be written to `path`, the nearest first; none of them exists."""
    name = f"{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}"
    yield path.with_name(name)
    with suppress(OSError, RuntimeError):  # no home folder
        yield user_folder() / folder_in_home / name
    with suppress(OSError):  # no folder for temporary files
        yield Path(tempfile.gettempdir()) / name


def existing_folder(path: Path) -> Path:
    """Return the nearest folder above `path` that exists."""
    for parent in path.absolute().parents:
        with suppress(OSError):
            if parent.exists():
                return parent
    return Path(path.anchor or ".")


def check_space(path: Path, shape: tuple[int, int, int], files: int = 1, itemsize: int = 4) -> None:
    """Raise an OSError if the disk of `path` has too little space for `files` images.

    Parameters
    ----------
    path
        File that will be written.
    shape
        (N, Y, X) of each image.
    files
        Number of files.
    itemsize
        Bytes of a pixel.
    """
    check_room(path, files * (itemsize * math.prod(shape) + 2**20))


def check_room(path: Path, needed: int) -> None:
    """Raise an OSError if the disk of `path` has fewer than `needed` bytes free."""
    if shutil.disk_usage(existing_folder(path)).free < needed:
        raise needs_room(path, needed)


def needs_room(path: Path, needed: int) -> OSError:
    """Return an OSError that names the space that `path` needs, in bytes."""
    return OSError(f"{path} needs {max(needed, 10**5) / 1e6:.3g} MB: free some space or choose another disk.")


def check_allocation(path: Path, needed: int) -> None:
    """Raise an OSError if `needed` bytes cannot be written beside `path`, by a trial that leaves nothing.

    A trial sees quotas too. Its folder is made if it does not exist, and removed again.
    """
    check_room(path, needed)
    path = path.absolute()
    new_parents = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        with temporary_file(path) as temporary:
            allocate(temporary, path, needed)
    except OSError as error:
        if error.errno is None:
            raise
        raise cannot_be_written(path, error) from error
    finally:
        with suppress(OSError):
            for parent in new_parents:
                parent.rmdir()


def allocate(temporary: Path, path: Path, size: int) -> None:
    """Allocate the disk space of a file of `size` bytes; `path` is its final name, for the message.

    Without this a mapped file grows while it is filled, and a full disk kills the process.
    """
    if not hasattr(os, "posix_fallocate") or not size:
        return
    with temporary.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            # Some file systems cannot allocate space; for these, `check_space` was the only check.
            if error.errno in FULL:
                if error.errno == errno.ENOSPC:
                    raise needs_room(path, size) from error
                raise cannot_be_written(path, error) from error
