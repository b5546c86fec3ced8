"""Files that can be read to their end: regular files, of a limited size.

A pipe or a device can take the place of any file, by a link or by the name that another file states. Opening a pipe
waits for ever, and /dev/zero has no end.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from .errors import InputError
from .printable import printable

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST_TEXT = 64 * 2**20  # bytes; the model.json of the longest training has a tenth of it

_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise an error unless `path` is a regular file, or a link to one. The file is not opened.

    Raises
    ------
    InputError
        If it is a folder, a pipe, a socket or a device.
    OSError
        If there is no such file, or it cannot be looked up.
    """
    _check_mode(path, os.stat(path).st_mode)


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` is a regular file, or a link to one, that can be looked up."""
    try:
        check_regular(path)
    except (InputError, OSError, ValueError):
        return False
    return True


def _check_mode(path: str | os.PathLike[str], mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kind = "a folder" if stat.S_ISDIR(mode) else _KINDS.get(stat.S_IFMT(mode), "no file")
    raise InputError(f"{printable(os.fspath(path))} is {kind} and cannot be read as a file: choose a regular file.")


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; the errors are those of `check_regular`.

    The kind is checked again after the opening, so that a file that is exchanged in between does no harm.
    """
    check_regular(path)
    # Opening a pipe in this mode does not wait for a writer. Windows has neither the mode nor such pipes.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_text(path: Path, most: int = _LARGEST_TEXT) -> str:
    """Return the text of a regular file in UTF-8.

    Parameters
    ----------
    path
        The file.
    most
        Largest size in bytes.

    Raises
    ------
    InputError
        If it is no regular file, larger than `most`, or not in UTF-8.
    OSError
        If it cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InputError(
            f"{printable(path)} has more than {most / 1e6:.0f} MB, which no such file has: choose another."
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{printable(path)} is no text in UTF-8: copy or save it again.") from error
