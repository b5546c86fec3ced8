"""Checks of output files and folders, made before a job does any work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.folders import user_path

if TYPE_CHECKING:
    from pathlib import Path


# Endings of the results of an enhancement: TIFF files and Zarr stores.
RESULT_SUFFIXES = (".tif", ".tiff", ".zarr")


def check_output_store(path: Path) -> Path:
    """Return the path of a Zarr store that a job will write.

    Raises
    ------
    InputError
        If the package zarr is missing.
    FileExistsError
        If something is there that this program did not write.
    OSError
        If it cannot be written.
    """
    from ..images.ome_zarr import store_made_by_us
    from ..images.replaced_stores import settle_store
    from ..images.zarr_planes import imported_zarr

    imported_zarr(path)
    settle_store(path)
    if path.exists() and not store_made_by_us(path):
        raise FileExistsError(f"{path} exists, and was not made by smdiffusion: name another store.")
    trial = path.with_name(f"{path.name}.tif")
    try:
        check_writable(trial)
    except OSError as error:
        raise OSError(str(error).replace(str(trial), str(path))) from error
    return path


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

    path = user_path(path)
    if path.suffix.lower() not in TIFF_SUFFIXES:
        raise InputError(f"out must end in .tif, not {path}.", "out")
    # A generated image can be generated again; a measured image cannot be measured again.
    if path.is_file() and not made_by_us(path):
        raise FileExistsError(f"{path} exists, and was not made by smdiffusion: name another file.")
    check_writable(path)
    return path


def check_output_folder(path: str | os.PathLike[str], picture: str, *, replace: bool = True) -> Path:
    """Return the path of a folder that a job will write report.json and a picture into.

    Parameters
    ----------
    path
        The folder.
    picture
        Name of the picture.
    replace
        Whether a report that this program wrote earlier may be replaced.

    Raises
    ------
    InputError
        If it is a file.
    FileExistsError
        If it holds a report.json that may not be replaced or that this program did not write, or the picture without
        a report.
    OSError
        If it cannot be written.
    """
    path = user_path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"out must be a folder, and {path} is a file.", "out")
    _check_report(path / "report.json", path / picture)
    if not replace and (path / "report.json").exists():
        raise FileExistsError(
            f"{path / 'report.json'} holds an earlier report: name another folder for the results, or remove it."
        )
    check_writable(path / "report.json")
    return path


def _check_report(report: Path, picture: Path) -> None:
    """Raise a FileExistsError if a report, or a picture, is not of this program."""
    if report.exists():
        if not _is_report(report):
            raise FileExistsError(
                f"{report} exists, and was not made by smdiffusion: name another folder for the results."
            )
    elif picture.exists():
        raise FileExistsError(f"{picture} exists, without a report.json: name another folder for the results.")


def _is_report(path: Path) -> bool:
    """Return whether a file is a report of this program, of any version."""
    from ..base.json_values import read_json

    try:
        values = read_json(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False
    return isinstance(values, dict) and not {"format_version", "meanings", "provenance"}.isdisjoint(values)


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
