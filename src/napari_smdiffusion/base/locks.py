"""Locks of the operating system on files and folders, which it releases when a program is killed."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class Locked(Enum):
    """The outcome of an attempt to lock."""

    YES = "yes"
    BY_ANOTHER = "by another"
    UNKNOWN = "unknown"  # this drive or system has no such locks


def lock(descriptor: int) -> Locked:
    """Lock an open file or folder until its descriptor is closed, without waiting."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Locked.BY_ANOTHER if error.errno in _TAKEN else Locked.UNKNOWN
    return Locked.YES


def is_same_file(descriptor: int, path: Path) -> bool:
    """Return whether `path` still names the open file; another program may have removed or replaced it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def open_for_lock(path: Path, flags: int = 0) -> int:
    """Return a descriptor of a file or, where the system allows it, of a folder; links are not followed."""
    access = os.O_RDONLY if path.is_dir() else os.O_RDWR
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):  # not every system has all of them
        access |= getattr(os, name, 0)
    return os.open(path, access | flags, 0o666)


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold the lock of the file `path`, which exists only while a program holds it.

    On drives without locks the block runs without one.

    Raises
    ------
    BlockingIOError
        If another holder has the lock.
    OSError
        If the file cannot be created.
    """
    while True:
        descriptor = open_for_lock(path, os.O_CREAT)
        outcome = lock(descriptor)
        if outcome is Locked.BY_ANOTHER:
            os.close(descriptor)
            raise BlockingIOError(errno.EWOULDBLOCK, "another program holds the lock", str(path))
        # The former holder may have removed the file between the two calls. Its lock would then exclude no process.
        if is_same_file(descriptor, path):
            break
        os.close(descriptor)
    try:
        yield
    finally:
        # Removed while it is locked, so that no other process loses its lock file. Windows cannot remove an open file.
        if os.name == "nt":
            os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        if os.name != "nt":
            os.close(descriptor)
