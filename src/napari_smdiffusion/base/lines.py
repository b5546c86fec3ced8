"""Lines of text on the terminal, which never cost any work.

Standard error may be closed, full, or a pipe whose reader has ended, and its encoding may lack a sign.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from .errors import reason_of
from .printable import printable

# Signs of this package's messages, for encodings that lack them.
_PLAIN_SIGNS = str.maketrans(
    {
        "×": "x", "…": "...", "–": "-", "—": "-", "µ": "u", "μ": "u", "²": "^2", "·": "*", "→": "->", "≥": ">=",
        "≤": "<=", "±": "+-", "°": " degrees", "“": '"', "”": '"', "‘": "'", "’": "'",  # noqa: RUF001
    }
)  # fmt: skip


def write_status(line: str) -> None:
    """Write a line to standard error, if that is possible; no failure is an error."""
    with suppress(OSError, ValueError):
        _write(sys.stderr, printable(line) + "\n")


def show(*lines: str) -> None:
    """Write lines to standard output, for text that the user asked for.

    Standard output that is closed, or whose reader has ended, is no error.

    Raises
    ------
    OSError
        If it cannot be written for another reason, such as a full disk.
    """
    show_text("".join(f"{printable(line)}\n" for line in lines))


def show_text(text: str) -> None:
    """Write text with line breaks to standard output; see `show`."""
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        pass
    except OSError as error:
        raise OSError(
            f"Standard output cannot be written ({reason_of(error)}): send the output to another place."
        ) from error
    except ValueError:  # it is closed
        pass


def _write(stream: TextIO | None, text: str) -> None:
    """Write `text` to `stream` in its encoding; None is a closed stream."""
    if stream is None:
        return
    stream.write(_encodable(text, getattr(stream, "encoding", None) or "utf-8"))
    stream.flush()


def _encodable(text: str, encoding: str) -> str:
    """Return `text` with plainer signs or escapes for the characters that an encoding lacks."""
    with suppress(LookupError):
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return text.translate(_PLAIN_SIGNS).encode(encoding, "backslashreplace").decode(encoding)
    return text


def open_closed_descriptors() -> None:
    """Open the descriptors 0 to 2 that are closed on the null device; for the start of a program only.

    Otherwise the next file that is opened would get the number of standard error, and messages of libraries would be
    written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one


def discard_unwritten() -> None:
    """Discard the text that standard output and standard error could not write; for the end of a program only.

    Python would try again at its exit, and then return an exit code of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
