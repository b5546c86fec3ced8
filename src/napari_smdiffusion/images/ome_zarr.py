"""OME-Zarr stores (NGFF 0.4 and 0.5) as images, read block by block, with axes, units, scale and place."""

from __future__ import annotations

import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, InputWarning
from ..base.scratch import forget_pages, scratch
from ..base.whole_files import check_room
from .axes import CHANNEL, Axis, Channel, channel_index, channel_text, fitting_axes, in_file_order
from .image import AnisotropicPixelsError, Image, read_only, with_own_pixels
from .ngff import Level, Multiscale, StoreAxis, multiscale_of
from .pixel_size import MAX_PIXEL_SIZE, MIN_PIXEL_SIZE, are_anisotropic
from .provenance import EXPERIMENTAL, METADATA
from .readers import READERS, FileMetadata, image_reader
from .tiff import OwnMetadata, checked_metadata
from .zarr_planes import ZARR_SUFFIXES, ZarrPlanes, imported_zarr

if TYPE_CHECKING:
    from ..base.arrays import Pixels

_MARKS = ("zarr.json", ".zgroup", ".zarray")  # a file of each group and array
_WITHOUT_METADATA = {2: "YX", 3: "NYX"}  # letters of the axes of an array alone


@dataclass(frozen=True, eq=False)
class Store:
    """An open store.

    Parameters
    ----------
    path
        Its folder.
    array
        The array of the finest level.
    multiscale
        What the store states about it.
    own
        What this package has stated about it.
    """

    path: Path
    array: Any
    multiscale: Multiscale
    own: OwnMetadata

    @property
    def sides(self) -> tuple[float, float] | None:
        """(y, x) sides of a pixel in nm; None if they are unknown, or no microscope has such pixels."""
        y, x = self.multiscale.side("Y"), self.multiscale.side("X")
        if y is None or x is None or not all(MIN_PIXEL_SIZE <= side <= MAX_PIXEL_SIZE for side in (y, x)):
            return None
        return y, x

    @property
    def pixel_size(self) -> float | None:
        """Pixel size in nm, along X if pixels are not square."""
        return self.own.pixel_size or (self.sides[1] if self.sides else None)

    def origin(self) -> tuple[float, float]:
        """(y, x) of the upper left corner of the first pixel in nm; the store states the centre."""
        if self.own != OwnMetadata():
            return self.own.origin
        y, x = self.multiscale.place("Y"), self.multiscale.place("X")
        if self.sides is None or y is None or x is None:
            return 0.0, 0.0
        return y - self.sides[0] / 2, x - self.sides[1] / 2


def is_store(path: Path) -> bool:
    """Return whether a path is a folder of Zarr."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def open_store(path: Path) -> Store:
    """Open an image in a store.

    Raises
    ------
    InputError
        If zarr is missing, or the store is damaged, holds no image or an image of another form.
    """
    zarr = imported_zarr(path)
    if not is_store(path):
        raise InputError(f"{path} is no OME-Zarr store: it has none of the files {', '.join(_MARKS)}.")
    # zarr raises many kinds of errors for damaged stores.
    try:
        node = zarr.open(str(path), mode="r")
        attributes = dict(node.attrs)
        if hasattr(node, "shape"):
            return Store(path, _checked(node, path), _of_array(node, path), OwnMetadata())
        multiscale = multiscale_of(attributes, str(path))
        array = _checked(node[multiscale.levels[0].path], path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read as an OME-Zarr store ({error}): copy it again.") from error
    if array.ndim != len(multiscale.axes):
        raise InputError(f"{path} states {len(multiscale.axes)} axes, and its array has {array.ndim}: save it again.")
    own = attributes.get(METADATA)
    return Store(path, array, multiscale, checked_metadata(own) if isinstance(own, dict) else OwnMetadata())


def check_written(store: Store) -> None:
    """Raise an InputError if no pixel of a store was written; a result of this package may be 0 everywhere."""
    if store.own == OwnMetadata() and store.array.nchunks_initialized == 0:
        raise InputError(f"{store.path} is empty: none of its pixels was written. Copy it again.")


def coarser_levels(store: Store) -> list[Any]:
    """Return the arrays of a store after the finest one, as far as they can be read."""
    levels = []
    for level in store.multiscale.levels[1:]:
        with suppress(Exception):  # zarr raises many kinds of errors for damaged stores
            array = imported_zarr(store.path).open(str(store.path), mode="r")[level.path]
            if array.ndim == store.array.ndim:
                levels.append(array)
    return levels


def _checked(array: Any, path: Path) -> Any:
    if not hasattr(array, "chunks") or array.dtype.kind not in "buif":
        raise InputError(f"{path} holds no array of real numbers: name the folder of a gray image.")
    return array


def _of_array(array: Any, path: Path) -> Multiscale:
    """Return what is known of an array without metadata."""
    letters = _WITHOUT_METADATA.get(array.ndim)
    if letters is None:
        raise InputError(f"{path} is an array of {array.ndim} axes without names: save it as OME-Zarr.")
    ones, zeros = (1.0,) * array.ndim, (0.0,) * array.ndim
    return Multiscale(tuple(StoreAxis(letter.lower(), letter) for letter in letters), (Level("", ones, zeros),))


def planes_of(store: Store, channel: Channel = None) -> tuple[ZarrPlanes, tuple[Axis, ...], str]:
    """Return the planes of one channel, their axes in the order of files, and the channel in words.

    Raises
    ------
    InputError
        If no channel is chosen of several, or there is no such channel.
    """
    letters, shape = store.multiscale.letters, store.array.shape
    fixed = {k: 0 for k, letter in enumerate(letters) if letter == CHANNEL and shape[k] == 1}
    chosen = [k for k, letter in enumerate(letters) if letter == CHANNEL and shape[k] > 1]
    text = ""
    if len(chosen) > 1:
        raise InputError(f"{store.path} has several axes of channels: save one of them as a store of its own.")
    if chosen:
        count = shape[chosen[0]]
        names = store.multiscale.channels if len(store.multiscale.channels) == count else ()
        index = channel_index(channel, count, names, where=str(store.path))
        fixed[chosen[0]], text = index, channel_text(index, names)
    leading = [k for k in range(len(letters) - 2) if k not in fixed]
    axes = [Axis(letters[k], shape[k], store.multiscale.side(letters[k])) for k in leading]
    order = in_file_order(axes)
    lengths = [axes[k].length for k in order]
    planes = ZarrPlanes(store.array, lengths, [order.index(k) for k in range(len(leading))], fixed)
    return planes, fitting_axes([axes[k] for k in order], len(planes)), text


def _metadata(path: Path) -> FileMetadata:
    """Return the metadata of a store; empty if it cannot be read."""
    with suppress(InputError, OSError):
        store = open_store(path)
        sides = store.sides
        axes = tuple(
            Axis(letter, length, store.multiscale.side(letter))
            for letter, length in zip(store.multiscale.letters[:-2], store.array.shape, strict=False)
        )
        anisotropic = sides if sides and are_anisotropic(sides) else None
        problem = "its pixels are not square" if anisotropic else ""
        size = None if anisotropic else store.pixel_size
        return FileMetadata(store.own.provenance, size, problem, axes, store.multiscale.channels, anisotropic)
    return FileMetadata()


@READERS.register("Zarr store")
@image_reader(*ZARR_SUFFIXES, metadata=_metadata, supports=is_store, in_napari=False, channels=True, folders=True)
def read_store(path: Path, pixel_size: float | None, channel: Channel = None) -> Image:
    """Read the finest level of a store; `pixel_size` in nm replaces its own.

    A large image is kept in a temporary file, so that the memory stays flat.

    Raises
    ------
    InputError
        If the store holds no gray image, is damaged, or holds several channels and none is chosen.
    AnisotropicPixelsError
        If the pixels are not square, and no pixel size is given.
    OSError
        If the folder of temporary files has too little space.
    """
    store = open_store(path)
    check_written(store)
    planes, axes, chosen = planes_of(store, channel)
    for note in _notes(store, channel, chosen):
        warnings.warn(InputWarning(note), stacklevel=4)
    provenance = replace(store.own.provenance, channel=chosen) if chosen else store.own.provenance
    pixels = _copied(planes, path)
    with suppress(ValueError):  # another program changed the planes
        axes = fitting_axes(store.own.axes or axes, len(pixels))
    size = pixel_size or store.pixel_size
    image = Image(pixels, size, store.origin(), str(path), provenance, axes)
    forget_pages(pixels)
    sides = None if pixel_size or store.own.pixel_size else store.sides
    if sides is not None and are_anisotropic(sides):
        raise AnisotropicPixelsError(str(path), sides, image)
    return image


def _notes(store: Store, channel: Channel, chosen: str) -> list[str]:
    """Return sentences on what is not used of a store, and on what is missing in it."""
    notes = []
    if channel is not None and not chosen and channel not in (0, "0"):
        notes.append(f"{store.path} has a single channel, which is read instead of channel {channel}.")
    stated = [axis for axis in store.multiscale.axes if axis.letter in "YX" and axis.unit]
    if stated and store.pixel_size is None:
        notes.append(
            f"{store.path} states a pixel size that no microscope has, or in an unknown unit: it is not used. Give "
            "the pixel size."
        )
    pixel = [store.multiscale.levels[0].scale[k] for k in (-2, -1)]
    if not stated and pixel != [1.0, 1.0] and store.own == OwnMetadata():
        notes.append(
            f"{store.path} states pixels of {pixel[0]:g} by {pixel[1]:g} without a unit: the size is not used. Give "
            "the pixel size in nm."
        )
    missing = store.array.nchunks - store.array.nchunks_initialized
    if missing > 0 and store.own.provenance.kind == EXPERIMENTAL:
        notes.append(
            f"{store.path} has no file for {missing} of its {store.array.nchunks} chunks: their pixels count as "
            f"{store.array.fill_value}. If the store was copied, compare it with the original."
        )
    return notes


def _copied(planes: ZarrPlanes, path: Path) -> Pixels:
    """Return the planes in memory, or in a temporary file if they are large."""
    if min(planes.shape[1:]) == 0 or not len(planes):
        raise InputError(f"{path} is empty: give an image with pixels in it.")
    check_room(Path(tempfile.gettempdir()) / path.name, 4 * int(np.prod(planes.shape)))
    pixels = scratch(planes.shape)
    try:
        for numbers, rows, columns, values in planes.read():
            for n, plane in zip(numbers, values, strict=True):
                pixels[n, rows, columns] = plane
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of zarr and its codecs
        raise InputError(f"{path} cannot be read as an OME-Zarr store ({error}): copy it again.") from error
    return read_only(pixels)


def lazy_store(path: Path) -> Image:
    """Return an image of this package in a store, whose pixels are read when they are used."""
    store = open_store(path)
    planes, axes, _ = planes_of(store)
    own = store.own
    empty = Image(np.zeros((16, 16), np.float32), own.pixel_size, own.origin, str(path), own.provenance)
    pixels: Any = planes
    return with_own_pixels(empty, pixels, axes=fitting_axes(own.axes or axes, len(planes)))


def store_made_by_us(path: Path) -> bool:
    """Return whether this package has written a store, with a kind other than "experimental"."""
    with suppress(InputError, OSError):
        return open_store(path).own.provenance.kind != EXPERIMENTAL
    return False
