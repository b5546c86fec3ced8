"""Checks of output files and folders, made before a job does any work."""

from __future__ import annotations

import os
from pathlib import Path

from ..base.errors import InputError


def check_output_file(path: str | os.PathLike[str]) -> Path:
    """Return the path of a TIFF file that a job will write.

    Raises
    ------
    InputError
        If it does not end in .tif.
    FileExistsError
        If it is a file that this program did not write.
    OSError
        If it cannot be written.
    """
    from ..images.tiff import TIFF_SUFFIXES, made_by_us

    path = Path(path)
    if path.suffix.lower() not in TIFF_SUFFIXES:
        raise InputError(f"out must end in .tif, not {path}.", "out")
    # A generated image can be generated again; a measured image cannot be measured again.
    if path.is_file() and not made_by_us(path):
        raise FileExistsError(f"{path} exists, and was not made by smdiffusion: name another file.")
    check_writable(path)
    return path


def check_output_folder(path: str | os.PathLike[str]) -> Path:
    """Return the path of a folder that a job will write its results into.

    Raises
    ------
    InputError
        If it is a file.
    OSError
        If it cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"out must be a folder, and {path} is a file.", "out")
    check_writable(path / "report.json")
    return path


def check_writable(path: Path) -> None:
    """Raise an OSError if a file cannot be written.

    The function writes a file and removes it, as permissions do not predict every failure.
    """
    from ..base.whole_files import atomic_file

    # Windows does not replace a file that a program has open; on other systems the folder's permission decides.
    if os.name == "nt" and path.is_file():
        try:
            path.open("r+b").close()
        except OSError as error:
            raise OSError(
                f"{path} cannot be replaced ({error.strerror}): close it in other programs, or name another file."
            ) from error
    existed = [parent for parent in path.parents if parent.exists()]
    try:
        with atomic_file(path):
            raise _TrialError
    except _TrialError:
        for parent in path.parents:
            if parent not in existed:
                parent.rmdir()


class _TrialError(Exception):
    """Ends the trial of `check_writable` so that its file is removed."""
