"""Temporary files and folders beside a result, and the removal of those that a killed program left.

Their hidden names hold a mark of this package, so that no file of the user has one:

    .NAME.TOKEN.smdiffusion.tif      a file while it is written
    .NAME.TOKEN.smdiffusion-new      a folder while it is written; -former and -old: see `store.whole_folders`
    .NAME.smdiffusion-part.tif       a result that a later run may go on with; see `images.unfinished`

A program holds the operating system's lock of its temporary files and folders. Those without a lock are of a program
that was killed, and the next program that writes into their folder removes them.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .locks import Locked, is_same_file, lock, open_for_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MARK = "smdiffusion"
_LEFTOVER = re.compile(rf"\..*\.([0-9a-f]{{12}})\.{MARK}(?:-new|-old)?(?:\.[^.]*)?", re.DOTALL)
_PART = re.compile(rf"\..*\.{MARK}-part(?:\.[^.]*)?", re.DOTALL)
# Other computers may not see the locks of this one. Their files are removed when they are old.
_AGE_ON_OTHER_COMPUTERS = 86_400.0  # s
_AGE_OF_PARTS = 30 * 86_400.0  # s; until then a later run may go on with them
_LONGEST = 100  # characters of a name in a temporary name; file systems allow 255 bytes


def new_token() -> str:
    """Return 12 hexadecimal digits for a temporary name: 4 for this computer and 8 random ones."""
    return _this_computer() + uuid.uuid4().hex[:8]


def _this_computer() -> str:
    return hashlib.sha256(platform.node().encode("utf-8", "replace")).hexdigest()[:4]


def short_name(name: str) -> str:
    """Return `name`, or its beginning and a digest if it is too long for a part of a temporary name."""
    encoded = os.fsencode(name)
    if len(encoded) <= _LONGEST:
        return name
    return f"{name[: _LONGEST // 4]}-{hashlib.sha256(encoded).hexdigest()[:16]}"


@contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """Yield the path of a new, empty, locked file beside `path`, which is removed at the end if it is still there.

    Raises
    ------
    OSError
        If no file can be created there.
    """

    def create() -> tuple[Path, int]:
        temporary = path.with_name(f".{short_name(path.name)}.{new_token()}.{MARK}{path.suffix}")
        descriptor = open_for_lock(temporary, os.O_CREAT | os.O_EXCL)
        if os.name != "nt":
            return temporary, descriptor
        os.close(descriptor)  # a locked file could not be written there, and an open one not be renamed
        return temporary, _UNLOCKED

    temporary, descriptor = _locked(create)
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink()
        _close(descriptor)


@contextmanager
def temporary_folder(path: Path, token: str = "") -> Iterator[Path]:
    """Yield the path of a new, empty, locked folder beside `path`, which is removed at the end if it is still there.

    Raises
    ------
    OSError
        If no folder can be created there.
    """
    temporary = path.with_name(f".{path.name}.{token or new_token()}.{MARK}-new")

    def create() -> tuple[Path, int]:
        temporary.mkdir(parents=True)
        try:
            return temporary, open_for_lock(temporary)
        except OSError:  # Windows opens no folders
            return temporary, _UNLOCKED

    _, descriptor = _locked(create)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        _close(descriptor)


_UNLOCKED = -1  # instead of the descriptor of a file or folder that needs no lock


def _locked(create: Callable[[], tuple[Path, int]]) -> tuple[Path, int]:
    """Create a file or folder until this program holds its lock; return its path and its descriptor."""
    while True:
        path, descriptor = create()
        # Another program may have taken the new file or folder for a leftover before it was locked.
        if descriptor == _UNLOCKED or (lock(descriptor) is not Locked.BY_ANOTHER and is_same_file(descriptor, path)):
            return path, descriptor
        os.close(descriptor)


def _close(descriptor: int) -> None:
    if descriptor != _UNLOCKED:
        os.close(descriptor)


@contextmanager
def locked_folder(folder: Path) -> Iterator[bool]:
    """Lock a folder within the block; yield whether another program has its lock."""
    try:
        descriptor = open_for_lock(folder)
    except OSError:  # Windows opens no folders
        yield False
        return
    try:
        yield lock(descriptor) is Locked.BY_ANOTHER
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` that killed programs of this user left.

    A file or folder stays if another program holds it, or if it cannot be read.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(".") and MARK in entry.name:
                with suppress(OSError):
                    _remove_if_left(folder / entry.name)


def is_abandoned(path: Path, age: float, unlocked_age: float) -> bool:
    """Return whether a temporary file or folder is this user's, is older than `age` in s, and has no lock.

    Where the system cannot report whether there is a lock, it must be older than `unlocked_age`.
    """
    status = path.lstat()
    getuid = getattr(os, "geteuid", None)
    if getuid is not None and status.st_uid != getuid():
        return False
    since = time.time() - status.st_mtime
    try:
        descriptor = open_for_lock(path)
    except OSError:  # a link, or a folder on Windows
        return since > unlocked_age
    try:
        outcome = lock(descriptor)
        if outcome is Locked.BY_ANOTHER or not is_same_file(descriptor, path):
            return False
        return since >= age if outcome is Locked.YES and os.name != "nt" else since > unlocked_age
    finally:
        os.close(descriptor)


def _remove_if_left(path: Path) -> None:
    if match := _LEFTOVER.fullmatch(path.name):
        here = match.group(1).startswith(_this_computer())
        # A folder that waits for its second rename is needed; `store.whole_folders` looks after it.
        waits = path.name.endswith("-new") and path.with_name(f"{path.name.removesuffix('-new')}-former").exists()
        if waits or not is_abandoned(path, -1.0 if here else _AGE_ON_OTHER_COMPUTERS, _AGE_ON_OTHER_COMPUTERS):
            return
    elif not (_PART.fullmatch(path.name) and is_abandoned(path, _AGE_OF_PARTS, _AGE_OF_PARTS)):
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk, so that a rename that follows cannot come before it."""
    with suppress(OSError):  # some drives and Windows cannot wait for a folder
        descriptor = os.open(path, os.O_RDONLY if os.name != "nt" or path.is_dir() else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Wait until a folder with all that it holds is on the disk."""
    for inner, _, files in os.walk(folder):
        for name in files:
            sync(folder / inner / name)
        sync(folder / inner)
