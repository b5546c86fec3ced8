"""Errors with a message for the user, and the exception of a stopped job."""

from __future__ import annotations

import errno


class UserError(Exception):
    """An error whose cause the user can correct; the message is a full sentence that states the remedy."""


class InputError(UserError, ValueError):
    """An image, a file, a setting or a command is unsuitable for the job.

    Parameters
    ----------
    message
        One sentence that states the remedy.
    setting
        Name of the unsuitable setting, if the message begins with it. The command line replaces it by the flag.
    """

    def __init__(self, message: str, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class Stopped(Exception):
    """A job was stopped before it had a result; the message is a full sentence."""


class InputWarning(UserWarning):
    """A part of the input is unused; the message is a full sentence that names the part."""


def is_user_error(error: BaseException) -> bool:
    """Return whether `sentence_of` states everything about an error that the user needs.

    The class decides: `UserError` and `Stopped` of this package, the operating system's errors about files, and too
    little memory in any form. Any other error is a defect and keeps its traceback.
    """
    return isinstance(error, (UserError, Stopped, OSError)) or is_out_of_memory(error)


# Parts of the messages of plain RuntimeErrors: torch's allocators, oneDNN, C++, CUDA's libraries and MPS.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "failed to allocate",
    "unable to allocate",
    "could not create a primitive",
    "could not allocate",
    "defaultcpuallocator",
    "bad_alloc",
    "bad allocation",
    "alloc_failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` reports too little memory, on any device."""
    if isinstance(error, MemoryError):  # NumPy's is a MemoryError too
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, ImportError):  # of a library that is loaded when it is first used
        return "failed to map segment" in str(error)
    # torch.OutOfMemoryError is a RuntimeError with such a message.
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY)


# Reasons in words, and remedies, by the number of the operating system's error. EDQUOT is missing on Windows.
_FULL = "free some space or choose another place"
_WORDS = {
    "ENOSPC": ("the disk is full", _FULL),
    "EDQUOT": ("your quota on this disk is used up", _FULL),
    "EFBIG": ("the file is larger than this disk or a limit of the system allows", "choose another place"),
    "EACCES": ("you have no permission", "ask its owner for the permission, or choose another place"),
    "EPERM": ("you have no permission", "ask its owner for the permission, or choose another place"),
    "EROFS": ("the disk is read-only", "choose another place"),
    "ENOENT": ("there is no such file or folder", "check the name"),
    "ENOTDIR": ("a part of its path is a file and no folder", "check the name"),
    "EISDIR": ("it is a folder", "name a file"),
    "EEXIST": ("it exists already", "choose another name"),
    "ENAMETOOLONG": ("the name is too long", "choose a shorter name"),
    "ELOOP": ("it is a link that cannot be followed", "name the file itself"),
    "EIO": ("the disk or the drive reports an error", "try again, or choose another place"),
    "ESTALE": ("the network drive has lost it", "try again, or choose another place"),
    "EBUSY": ("another program uses it", "close that program"),
    "ETXTBSY": ("another program uses it", "close that program"),
    "EMFILE": ("too many files are open", "close other programs, or raise the limit (ulimit -n)"),
    "ENFILE": ("too many files are open", "close other programs"),
    "EPIPE": ("its reader has ended", "send the output to another place"),
    "EINVAL": ("the name is not allowed on this disk", "choose another name or place"),
    "EILSEQ": ("the name is not allowed on this disk", "choose another name or place"),
}
_BY_NUMBER = {getattr(errno, name): words for name, words in _WORDS.items() if hasattr(errno, name)}


def reason_of(error: OSError) -> str:
    """Return the reason of an operating system's error in words, for the middle of a sentence."""
    reason, _ = _BY_NUMBER.get(error.errno or 0, ("", ""))
    return reason or error.strerror or str(error) or type(error).__name__


def remedy_of(error: OSError) -> str:
    """Return what to do about an operating system's error, for the end of a sentence."""
    _, remedy = _BY_NUMBER.get(error.errno or 0, ("", "try again, or choose another place"))
    return remedy


def sentence_of(error: BaseException) -> str:
    """Return the message of an error for the user, as one line; empty if the error has none.

    Errors of the operating system that no part of this package has explained name the file, the reason and the remedy.
    """
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno is not None and not is_out_of_memory(error):
        names = [str(name) for name in (error.filename, error.filename2) if name not in (None, "")]
        subject = " and ".join(names) or "A file"
        return f"{subject} cannot be used ({reason_of(error)}): {remedy_of(error)}."
    explained = isinstance(error, MemoryError) and text.endswith(".") and "allocate" not in text.lower()
    if is_out_of_memory(error) and not explained:
        return "Memory ran out: close other programs, or choose smaller images, patches or batches."
    return text
