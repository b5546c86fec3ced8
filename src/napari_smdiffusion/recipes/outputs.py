"""Checks of the files and folders that a job will write, before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from ..base.errors import InputError


def check_output_file(path: str | os.PathLike[str]) -> Path:
    """Return where a TIFF file will be written, or raise before any work is done."""
    from ..images.tiff import TIFF_SUFFIXES, made_by_us

    path = Path(path)
    if path.suffix.lower() not in TIFF_SUFFIXES:
        raise InputError(f"out must end in .tif, not {path}.", "out")
    # What was generated can be generated again; a measured image cannot be measured again.
    if path.is_file() and not made_by_us(path):
        raise FileExistsError(f"{path} exists, and was not made by smdiffusion: name another file, so that it is kept.")
    check_writable(path)
    return path


def check_output_folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder that results will be written into, or raise before any work is done."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"out must be a folder, and {path} is a file.", "out")
    check_writable(path / "report.json")
    return path


def check_writable(path: Path) -> None:
    """Raise an OSError if a file cannot be written; try it, rather than guess from permissions."""
    from ..base.whole_files import atomic_file

    # Windows replaces no file that a program has open; elsewhere the folder alone must allow it.
    if os.name == "nt" and path.is_file():
        try:
            path.open("r+b").close()
        except OSError as error:
            raise OSError(
                f"{path} cannot be replaced ({error.strerror}): close what has it open, or name another file."
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
    pass
