"""The widefield images of an enhancement: images and files, and the image files of folders."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.folders import user_path
from ..images.provenance import RESULT_KINDS
from ..images.readers import READERS, is_folder_of_images
from ..images.reading import image_files
from .job import as_sources
from .outputs import RESULT_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .job import ImageSource

ALL = "*"


def check_pattern(pattern: str) -> None:
    """Raise an InputError if a pattern of file names is empty, or names folders."""
    if not pattern or "/" in pattern or "\\" in pattern:
        raise InputError(
            f"glob must be a pattern of file names such as 'cell*.tif', without a folder, not {pattern!r}.", "glob"
        )


def expanded(widefield: ImageSource | Sequence[ImageSource], pattern: str = ALL) -> list[ImageSource]:
    """Return the sources of a job; each folder is replaced by its image files, without results of an earlier run.

    Parameters
    ----------
    widefield
        Images, files, folders and other sources.
    pattern
        Pattern of the names of the files in folders. Upper and lower case are the same.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no image.
    InputError
        If no name in a folder matches the pattern, or there is a pattern and no folder.
    """
    sources: list[ImageSource] = []
    folders = 0
    for source in as_sources(widefield):
        if not isinstance(source, (str, os.PathLike)):
            sources.append(source)
            continue
        files = image_files([source], _suffixes(), left_out=RESULT_KINDS)
        if is_folder_of_images(user_path(source)):
            folders += 1
            files = [file for file in files if _matches(file, pattern)]
            if not files:
                raise InputError(f"glob {pattern} matches no image in {os.fspath(source)}: correct it.", "glob")
        sources += files
    if pattern != ALL and not folders:
        raise InputError("glob chooses the files of a folder: name a folder, or leave it out.", "glob")
    return sources


def other_files(widefield: ImageSource | Sequence[ImageSource], pattern: str = ALL) -> list[Path]:
    """Return the files in the folders that the pattern matches and that are no images, sorted by name.

    Hidden files and folders are none of them.
    """
    suffixes = _suffixes()
    folders = [user_path(source) for source in as_sources(widefield) if isinstance(source, (str, os.PathLike))]
    return [
        file
        for folder in folders
        if is_folder_of_images(folder)
        for file in sorted(folder.iterdir())
        if not file.name.startswith(".") and file.suffix.lower() not in suffixes
        if file.is_file() and _matches(file, pattern)
    ]


def _suffixes() -> tuple[str, ...]:
    """Return the suffixes of the images in folders: not those of tables of localizations, which are no widefield."""
    return (*RESULT_SUFFIXES, *(suffix for reader in READERS.values() if reader.scenes for suffix in reader.suffixes))


def _matches(file: Path, pattern: str) -> bool:
    return fnmatchcase(file.name.lower(), pattern.lower())
