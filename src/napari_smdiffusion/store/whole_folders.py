"""Atomic replacement of a model folder, and the recovery of an interrupted replacement.

A save writes `.NAME.TOKEN.smdiffusion-new`, and then takes three renames:

    NAME                           → .NAME.TOKEN.smdiffusion-former
    .NAME.TOKEN.smdiffusion-new    → NAME
    .NAME.TOKEN.smdiffusion-former → .NAME.TOKEN.smdiffusion-old, which is removed

A program that is killed leaves either the former model or the new one. If NAME is missing and both the former and the
new folder are there, the save was interrupted between the first two renames. The new folder is complete then, and
becomes NAME. If the new folder is gone too, the user has deleted the model, and it stays deleted.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..base.errors import sentence_of
from ..base.temporary import (
    MARK,
    is_abandoned,
    locked_folder,
    new_token,
    sync,
    sync_tree,
    temporary_folder,
)
from ..base.whole_files import cannot_be_written, created_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Between the first two renames of a save the folder is missing. This lock stops other threads from reading it then.
SWAPPING = threading.RLock()
_FORMER = re.compile(rf"\.(.+)\.([0-9a-f]{{12}})\.{MARK}-former", re.DOTALL)
_WAITS = 20  # number of 10 ms waits for another process that is in the middle of saving


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` when the block ends without an error.

    Raises
    ------
    OSError
        If `folder` cannot be written.
    """
    folder = folder.resolve()
    settle(folder)
    remove_formers(folder)
    token = new_token()
    with created_beside(folder, temporary_folder(folder, token)) as fresh:
        yield fresh
        sync_tree(fresh)
        try:
            _swap_in(fresh, folder, token)
        except OSError as error:
            raise cannot_be_written(folder, error) from error


def _swap_in(fresh: Path, folder: Path, token: str) -> None:
    former, old = (folder.with_name(f".{folder.name}.{token}.{MARK}-{word}") for word in ("former", "old"))
    for retry in (True, False):
        try:
            with SWAPPING:
                if folder.exists():
                    folder.rename(former)
                try:
                    fresh.rename(folder)
                except OSError:
                    _put_back(former, folder)
                    raise
        # Another process had the folder open at that moment.
        except OSError:
            if not retry or not fresh.exists():
                raise
            time.sleep(0.01)
        else:
            break
    sync(folder.parent)
    if former.exists():
        with suppress(OSError):
            former.rename(old)
        shutil.rmtree(old, ignore_errors=True)


def _put_back(former: Path, folder: Path) -> None:
    if former.exists() and not folder.exists():
        with suppress(OSError):
            former.rename(folder)


def settle(folder: Path) -> None:
    """Complete a replacement of `folder` that was interrupted; one that is in progress is waited for.

    Nothing happens if the folder is there, or if there was no replacement.
    """
    for _ in range(_WAITS):
        with SWAPPING:
            if exists(folder) or all(_settled(former, folder) for former in _formers(folder)):
                return
        # Another process is between two of the renames, which takes a moment.
        time.sleep(0.01)


def remove_formers(folder: Path) -> None:
    """Remove the former folders that killed programs left; `settle` comes first."""
    for former in _formers(folder):
        with suppress(OSError), locked_folder(folder) as busy:
            if not busy and not _fresh(former).exists() and is_abandoned(former, -1.0, 0.0):
                shutil.rmtree(former, ignore_errors=True)


def _formers(folder: Path) -> list[Path]:
    """Return the former folders of a model, the newest first; usually none."""
    found: list[Path] = []
    with suppress(OSError, ValueError):
        for entry in os.scandir(folder.parent):
            match = _FORMER.fullmatch(entry.name)
            if match and match.group(1) == folder.name:
                found.append(folder.parent / entry.name)
        found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return found


def _fresh(former: Path) -> Path:
    """Return the new folder that belongs to a former one."""
    return former.with_name(f"{former.name.removesuffix('-former')}-new")


def _settled(former: Path, folder: Path) -> bool:
    """Complete one replacement, unless the new folder is gone; return False if another process is busy with it."""
    fresh = _fresh(former)
    if not fresh.exists():
        # The new folder was renamed to `folder`, which is gone: either just now by another process, or deleted.
        return True
    with locked_folder(fresh) as busy:
        if busy:
            return False
        complete = (fresh / "model.json").exists()
        with suppress(OSError):  # another process has done it, or the drive allows no change
            (fresh if complete else former).rename(folder)
            sync(folder.parent)
    return True


def model_folders(base: Path) -> list[Path]:
    """Return the folders in `base` that may be models, sorted by name, including one that is being replaced.

    A folder that cannot be read holds none.
    """
    with SWAPPING:
        try:
            present = [path.name for path in base.iterdir()]
        except (OSError, ValueError):
            return []
    names = set()
    for name in present:
        match = _FORMER.fullmatch(name)
        names.add(match.group(1) if match else name)
    return [base / name for name in sorted(names) if name and not name.startswith(".")]


def unreadable(folder: Path) -> str:
    """Return a sentence if a folder exists and cannot be read, or an empty text."""
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return sentence_of(error)
    return ""


def exists(path: Path) -> bool:
    """Return whether there is a file or folder; False also where the folder above may not be read."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
