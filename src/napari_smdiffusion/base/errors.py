"""Errors with a message for the user, and the exception of a stopped job."""

from __future__ import annotations


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
    """Return whether the message of an error is sufficient for the user.

    The class decides: `UserError` and `Stopped` of this package, and the operating system's errors about files and
    memory. Any other error is a defect and keeps its traceback.
    """
    return isinstance(error, (UserError, Stopped, OSError, MemoryError))
