"""Atomic writing of files: a file appears only when it is complete."""

from __future__ import annotations

import errno
import gc
import math
import os
import shutil
import traceback
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside `path`, which replaces `path` if the block ends without an error.

    Raises
    ------
    OSError
        If `path` is a folder, or cannot be written or replaced.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file to write.")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.open("xb").close()
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror}): choose another place.") from error
    try:
        yield temporary
    except BaseException as error:
        if os.name == "nt":
            # Windows cannot delete a mapped file, and the frames of the error hold the mapped arrays.
            traceback.clear_frames(error.__traceback__)
            gc.collect()
        with suppress(OSError):
            temporary.unlink()
        raise
    rename_into_place(temporary, path)


def rename_into_place(temporary: Path, path: Path) -> None:
    """Rename a complete file to `path`.

    On Windows this fails while another program uses `path`. The file then gets another name beside `path`.

    Raises
    ------
    OSError
        If `path` cannot be replaced; the message names the file that holds the result.
    """
    try:
        temporary.replace(path)
    except OSError as error:
        saved = path.with_name(f"{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
        try:
            temporary.replace(saved)
        except OSError:
            saved = temporary
        raise OSError(
            f"{path} cannot be replaced ({error.strerror}): close the program that uses it. "
            f"The result is saved in {saved}."
        ) from error


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
    needed = files * (itemsize * math.prod(shape) + 2**20)
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if shutil.disk_usage(folder).free < needed:
        raise OSError(f"{path} needs {needed / 1e6:.0f} MB: free some space or choose another disk.")


def _allocate(temporary: Path, path: Path) -> None:
    """Allocate the disk space of a mapped file; `path` is its final name, for the message.

    Without this the file grows while it is filled, and a full disk kills the process.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    size = temporary.stat().st_size
    with temporary.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            # Some file systems cannot allocate space; for these, `check_space` was the only check.
            if error.errno == errno.ENOSPC:
                raise OSError(f"{path} needs {size / 1e6:.0f} MB: free some space or choose another disk.") from error
