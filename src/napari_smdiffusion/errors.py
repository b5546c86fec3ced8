"""The errors that people see as one sentence, and the exception that ends stopped work.

The class of an error decides how it is shown. A `UserError` is shown as its message alone. Any other exception of this
package is a defect and keeps its traceback.
"""


class UserError(Exception):
    """A person can correct the cause; the message is a whole sentence that says what to do."""


class InputError(UserError, ValueError):
    """An image, a file, a setting or a command does not fit the work that was asked for."""


class Stopped(Exception):
    """Work was stopped before it had a result; the message is a whole sentence."""


class InputWarning(UserWarning):
    """A part of the input is not used; the message is a whole sentence that says which."""
