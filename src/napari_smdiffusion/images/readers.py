"""The registry of readers of image files. Each reader is a module of this package that registers itself."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ..base.errors import InputError, InputWarning
from ..base.registry import Registry
from ..base.regular_files import check_regular, is_regular
from .provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from pathlib import Path

    from .axes import Axis, Channel
    from .image import Image
    from .microscope_files import OpenFile

    # (path, pixel size), a channel if `Reader.channels` is True, and a scene if `Reader.scenes` is True.
    ReadImage: TypeAlias = Callable[..., Image]

# Index (the first is 0) or name of a scene; None if the file has only one.
SceneChoice: TypeAlias = int | str | None


@dataclass(frozen=True)
class FileMetadata:
    """The metadata of an image file.

    Parameters
    ----------
    provenance
        Source of the image; empty for files of other programs.
    pixel_size
        Pixel size in nm, or None if the file states none or an unusable one.
    problem
        Message that states why the pixel size is unusable: the pixels are not square, or the unit is not known. Empty
        if there is no problem.
    axes
        Axes before Y and X of the array in the file, as other programs read it. "C" is the axis of channels. Empty if
        they are not known.
    channels
        Names of the channels; empty if they are not known.
    sides
        (y, x) sides of a pixel in nm, if the pixels are not square; otherwise None.
    """

    provenance: Provenance = field(default_factory=Provenance)
    pixel_size: float | None = None
    problem: str = ""
    axes: tuple[Axis, ...] = ()
    channels: tuple[str, ...] = ()
    sides: tuple[float, float] | None = None


# Remedies for common files that no reader reads.
_EXPORT_TABLE = "export the localizations as CSV with the columns 'x [nm]' and 'y [nm]'."
_OTHER_FILES = {
    ".mat": f"is a MATLAB file, which is not read unless it is a table of SMAP: {_EXPORT_TABLE}",
    ".json": f"is a JSON file, which is not read: {_EXPORT_TABLE}",
    ".npz": f"is an archive of NumPy arrays, which is not read: {_EXPORT_TABLE}",
    ".pmx": f"is a project of PyMINFLUX, which is not read: {_EXPORT_TABLE}",
    ".msr": "is a file of Imspector, which is not read: export MINFLUX localizations as .npy, and images as TIFF.",
    ".xlsx": f"is an Excel workbook, which is not read: {_EXPORT_TABLE}",
    ".bin": f"is a binary molecule list (Insight3), which is not read: {_EXPORT_TABLE}",
    ".gz": "is compressed, and is not read: unpack it first.",
    ".zip": "is an archive, which is not read: unpack it first.",
    ".oib": "is a file of FluoView, which is not read: export its images as TIFF.",
    ".oif": "is a file of FluoView, which is not read: export its images as TIFF.",
    ".vsi": "is a file of cellSens, which is not read: export its images as TIFF.",
    ".dv": "is a file of DeltaVision, which is not read: export its images as TIFF.",
    ".ims": "is a file of Imaris, which is not read: export its images as TIFF.",
    ".lof": "is a file of LAS X that is not read: export its images as .lif or TIFF.",
    ".xlef": "is a project of LAS X, which is not read: export its images as .lif or TIFF.",
    ".png": "is a PNG image, which is not read: export the original image as TIFF, with its pixel size.",
    ".jpg": "is a JPEG image, which is not read: export the original image as TIFF, with its pixel size.",
}


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
        Function of the path and a pixel size in nm. The pixel size replaces the one in the file; None uses the file's
        own. The function raises InputError with a message that names the file if it cannot read the file.
    suffixes
        Endings of the file names, in lower case with the dot.
    metadata
        Function of the path. It reads no pixels, and returns an empty `FileMetadata` if it cannot read the file.
    supports
        Function of the path that checks quickly whether this reader can read the file. It decides where several
        readers share a suffix. Where it returns False, napari offers the file to other plugins.
    in_napari
        Whether napari uses this reader to open files; `napari.yaml` lists the patterns.
    also_other_files
        Those of the suffixes that files of other kinds have too, such as ".txt". Of a folder, such a file is an image
        if the reader supports it.
    channels
        Whether `read` takes the index or name of a channel as its third argument, None if the user chose none.
    folders
        Whether an image is a folder, as that of a Zarr store.
    scenes
        Whether `read` takes the index or name of a scene as its fourth argument, None if the user chose none.
    open_file
        Function that opens a file whose planes can be read one by one; see `microscope_files`. None if there is none.
    """

    read: ReadImage
    suffixes: tuple[str, ...]
    metadata: Callable[[Path], FileMetadata] = _no_metadata
    supports: Callable[[Path], bool] = _any_file
    in_napari: bool = True
    also_other_files: tuple[str, ...] = ()
    channels: bool = False
    folders: bool = False
    scenes: bool = False
    open_file: OpenFile | None = None

    def image(self, path: Path, pixel_size: float | None, channel: Channel = None, scene: SceneChoice = None) -> Image:
        """Read a file; warns with an InputWarning if a channel is chosen and files of this kind have none.

        Raises
        ------
        InputError
            If it is no regular file, or cannot be read. Also if a scene is chosen and files of this kind have none.
        """
        if not (self.folders and path.is_dir()):
            check_regular(path)
        if self.scenes:
            return self.read(path, pixel_size, channel, scene)
        if scene is not None:
            raise InputError(f"{path} is no file of scenes: leave out the scene.")
        if self.channels:
            return self.read(path, pixel_size, channel)
        if channel not in (None, 0):
            message = f"{path} has no channels: the choice of channel {channel} does not apply to it."
            warnings.warn(InputWarning(message), stacklevel=3)
        return self.read(path, pixel_size)


READERS: Registry[Reader] = Registry("reader", "READERS", __package__)


def image_reader(
    *suffixes: str,
    metadata: Callable[[Path], FileMetadata] = _no_metadata,
    supports: Callable[[Path], bool] = _any_file,
    in_napari: bool = True,
    also_other_files: tuple[str, ...] = (),
    channels: bool = False,
    folders: bool = False,
    scenes: bool = False,
) -> Callable[[ReadImage], Reader]:
    """Return a decorator that makes a `Reader` from a function `read`.

    `Reader` describes the parameters. Functions other than `read` are asked about regular files only: opening a pipe
    would wait for ever.
    """

    def metadata_of_regular(path: Path) -> FileMetadata:
        return metadata(path) if (folders and path.is_dir()) or is_regular(path) else FileMetadata()

    def supports_regular(path: Path) -> bool:
        return ((folders and path.is_dir()) or is_regular(path)) and supports(path)

    return lambda read: Reader(
        read, suffixes, metadata_of_regular, supports_regular, in_napari, also_other_files, channels, folders, scenes
    )


def image_suffixes() -> tuple[str, ...]:
    """Return the suffixes of all readers."""
    return tuple(dict.fromkeys(suffix for reader in READERS.values() for suffix in reader.suffixes))


def is_named_as_image(path: Path, suffixes: Container[str]) -> bool:
    """Return whether the name of a file, or its content if the name is not enough, is that of an image.

    Parameters
    ----------
    path
        The file.
    suffixes
        Suffixes of image files.
    """
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        return False
    readers = readers_of_suffix(path)
    return not readers or any(suffix not in reader.also_other_files or reader.supports(path) for reader in readers)


def is_folder_of_images(path: Path) -> bool:
    """Return whether a path is a folder that holds images, and is not itself an image, as a Zarr store is."""
    return path.is_dir() and not any(reader.folders and reader.supports(path) for reader in READERS.values())


def readers_of_suffix(path: Path) -> list[Reader]:
    """Return the readers for the suffix of `path`."""
    return [reader for reader in READERS.values() if path.suffix.lower() in reader.suffixes]


def reader_of(path: Path) -> Reader:
    """Return the reader of a file, by its suffix.

    If no reader or several readers have the suffix, the content of the file decides.

    Raises
    ------
    InputError
        If no reader supports the file.
    """
    candidates = readers_of_suffix(path)
    if len(candidates) == 1:
        return candidates[0]
    for reader in candidates or READERS.values():
        if reader.supports(path):
            return reader
    if path.suffix.lower() in _OTHER_FILES:
        raise InputError(f"{path} {_OTHER_FILES[path.suffix.lower()]}")
    raise InputError(
        f"{path} cannot be read as an image: give a file of a kind that ends in {', '.join(image_suffixes())}."
    )
