"""Errors: messages for the user, and the stop of long work."""

from __future__ import annotations


class UserError(Exception):
    """A person can correct the cause; the message is a whole sentence that says what to do."""


class InputError(UserError, ValueError):
    """An image, a file, a setting or a command does not fit the work that was asked for.

    Parameters
    ----------
    message
        One sentence that says what to do.
    setting
        Name of the setting that does not fit, if the message begins with it: the command line names its flag instead.
    """

    def __init__(self, message: str, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class Stopped(Exception):
    """Work was stopped before it had a result; the message is a whole sentence."""


class InputWarning(UserWarning):
    """A part of the input is not used; the message is a whole sentence that says which."""


def is_for_people(error: BaseException) -> bool:
    """Return whether the message of an error is enough for a person; any other error is a defect with a traceback.

    The class decides. The errors of this package for users and its stops are for people, as are those of the operating
    system about files and memory.
    """
    return isinstance(error, (UserError, Stopped, OSError, MemoryError))
