"""The kinds of image files that can be read: each reader is a file of this package that registers itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ..base.errors import InputError
from ..base.registry import Registry
from .provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .image import Image

    ReadImage: TypeAlias = Callable[[Path, float | None], Image]


@dataclass(frozen=True)
class FileMetadata:
    """What a file states beside its pixels.

    Parameters
    ----------
    provenance
        Where the image came from; empty in files of other programs.
    pixel_size
        In nm, or None where the file states none that can be used.
    problem
        Why the pixel size cannot be used, as a sentence: the pixels are not square.
    """

    provenance: Provenance = field(default_factory=Provenance)
    pixel_size: float | None = None
    problem: str = ""


def _no_metadata(path: Path) -> FileMetadata:
    return FileMetadata()


def _any_file(path: Path) -> bool:
    return True


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of file.

    Parameters
    ----------
    read
        Function of the path and of a pixel size in nm, which replaces the one in the file; None: the file's own. It
        raises InputError with a sentence that names the file where it cannot be read.
    suffixes
        What the names of these files end in, in lower case with the dot.
    metadata
        Function of the path. It reads no pixels, and returns an empty `FileMetadata` where the file cannot be read.
    supports
        Function of the path that looks into the file, quickly. It is asked where the suffix alone does not decide, and
        by napari, which offers the file to other plugins where it says no.
    in_napari
        Whether napari opens these files with it, by the patterns in `napari.yaml`.
    """

    read: ReadImage
    suffixes: tuple[str, ...]
    metadata: Callable[[Path], FileMetadata] = _no_metadata
    supports: Callable[[Path], bool] = _any_file
    in_napari: bool = True


READERS: Registry[Reader] = Registry("reader", "READERS", __package__)


def image_reader(
    *suffixes: str,
    metadata: Callable[[Path], FileMetadata] = _no_metadata,
    supports: Callable[[Path], bool] = _any_file,
    in_napari: bool = True,
) -> Callable[[ReadImage], Reader]:
    """Return a decorator that makes a reader from the function that reads a file.

    The parameters are those of `Reader`.
    """
    return lambda read: Reader(read, suffixes, metadata, supports, in_napari)


def image_suffixes() -> tuple[str, ...]:
    """Return the suffixes of all files that can be read."""
    return tuple(dict.fromkeys(suffix for reader in READERS.values() for suffix in reader.suffixes))


def readers_of_suffix(path: Path) -> list[Reader]:
    """Return the readers of the files with the suffix of `path`."""
    return [reader for reader in READERS.values() if path.suffix.lower() in reader.suffixes]


def reader_of(path: Path) -> Reader:
    """Return the reader of a file: by its suffix, and where this does not decide, by what is in the file.

    Raises
    ------
    InputError
        If there is none.
    """
    named = readers_of_suffix(path)
    if len(named) == 1:
        return named[0]
    for reader in named or READERS.values():
        if reader.supports(path):
            return reader
    raise InputError(
        f"{path} cannot be read as an image: give a file of a kind that ends in {', '.join(image_suffixes())}."
    )
