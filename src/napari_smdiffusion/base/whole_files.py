"""Files that are written whole or not at all."""

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
    """Give the name of a temporary file beside `path` that takes its place only when everything went well."""
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
            # Windows removes no file that is mapped: the frames that failed hold the arrays of the map.
            traceback.clear_frames(error.__traceback__)
            gc.collect()
        with suppress(OSError):
            temporary.unlink()
        raise
    rename_into_place(temporary, path)


def rename_into_place(temporary: Path, path: Path) -> None:
    """Give a whole file its name; where that is not to be had (Windows, while a program has it open) another one."""
    try:
        temporary.replace(path)
    except OSError as error:
        kept = path.with_name(f"{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
        try:
            temporary.replace(kept)
        except OSError:
            kept = temporary
        raise OSError(
            f"{path} cannot be replaced ({error.strerror}): close what has it open. The result is kept in {kept}."
        ) from error


def check_space(path: Path, shape: tuple[int, int, int], files: int = 1, itemsize: int = 4) -> None:
    """Raise an OSError if `files` files of (N, Y, X) pixels of `itemsize` bytes do not fit where `path` is to be."""
    needed = files * (itemsize * math.prod(shape) + 2**20)
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if shutil.disk_usage(place).free < needed:
        raise OSError(f"{path} needs {needed / 1e6:.0f} MB: free some space or choose another disk.")


def _allocate(temporary: Path, path: Path) -> None:
    """Take the room that a mapped file will need: it grows while it is filled, and a full disk kills the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    size = temporary.stat().st_size
    with temporary.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            # Some file systems cannot: then the room was only looked for.
            if error.errno == errno.ENOSPC:
                raise OSError(f"{path} needs {size / 1e6:.0f} MB: free some space or choose another disk.") from error
