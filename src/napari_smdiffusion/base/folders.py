"""Paths that a user names, the folder of the user's models, and the folder of the bundled models."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError
from .printable import printable


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a user named; `~` at its beginning is the home folder, as in a shell.

    Shells do not expand it everywhere, for example not in `--out=~/x`. A folder named ~ needs its
    full path.

    Raises
    ------
    InputError
        If it holds the character NUL, which no name has.
    """
    if "\0" in os.fspath(path):
        raise InputError(f"{printable(os.fspath(path))} cannot be a path, as it holds the character NUL: name another.")
    try:
        return Path(path).expanduser()
    except RuntimeError:  # there is no such user or no home folder
        return Path(path)


def user_folder() -> Path:
    """Return the folder of the user's models: $SMDIFFUSION_HOME, or the default of the operating system."""
    if home := os.environ.get("SMDIFFUSION_HOME"):
        return user_path(home)
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-smdiffusion", appauthor=False)) / "models"


def bundled_folder() -> Path:
    """Return the folder of the bundled models."""
    return Path(__file__).parents[1] / "bundled"
