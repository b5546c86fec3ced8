"""The reader of TIFF files of this package, of ImageJ, of OME and of microscopes."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, InputWarning
from ..base.regular_files import open_regular
from .axes import CHANNEL, PLANE, Axis, Channel, arranged, axis_kind, fitting_axes
from .image import AnisotropicPixelsError, Image, read_only
from .limits import open_tiff
from .pixel_size import are_anisotropic
from .readers import READERS, FileMetadata, image_reader
from .tiff import TIFF_SUFFIXES, OwnMetadata, own_metadata
from .tiff_calibration import Calibration, calibration
from .tiff_stacks import TiffStack, UnsuitableError, channel_names, read_stack, stated_axes

if TYPE_CHECKING:
    from pathlib import Path


def is_tiff(path: Path) -> bool:
    """Return whether a file begins with the signature of a TIFF or BigTIFF file."""
    with suppress(OSError, InputError), open_regular(path) as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return False


def tiff_metadata(path: Path) -> FileMetadata:
    """Return the metadata of a TIFF file; empty if the file cannot be read."""
    try:
        with open_tiff(path) as tiff:
            own, stated = own_metadata(tiff), calibration(tiff)
            axes, channels = _axes_of_first_image(tiff, own, stated)
            facts = FileMetadata(own.provenance, own.pixel_size, "", axes, channels)
            if own.pixel_size is None and (sides := _anisotropic_sides(stated)) is not None:
                return replace(facts, sides=sides)
            try:
                return replace(facts, pixel_size=own.pixel_size or _pixel_size(stated, path))
            except UnsuitableError as error:
                return replace(facts, problem=str(error))
    # tifffile and its codecs raise many kinds of errors for damaged files.
    except Exception:
        return FileMetadata()


@READERS.register("TIFF")
@image_reader(*TIFF_SUFFIXES, metadata=tiff_metadata, supports=is_tiff, in_napari=False, channels=True)
def read_tiff(path: Path, pixel_size: float | None, channel: Channel = None) -> Image:
    """Read a TIFF file with one plane or a stack, of 8, 16 or 32 bits or float.

    Parameters
    ----------
    path
        The file.
    pixel_size
        In nm; replaces that of the file.
    channel
        Index or name of the channel to read; None if there is only one.

    Raises
    ------
    InputError
        If the file is damaged, holds no gray image, or holds several channels and none is chosen.
    AnisotropicPixelsError
        If the pixels are not square, and no pixel size is given.

    Warns
    -----
    InputWarning
        If planes are missing or changed, or the file states a pixel size that is not understood.
    """
    try:
        with open_tiff(path) as tiff:
            stack = read_stack(tiff, path)
            own, stated = own_metadata(tiff), calibration(tiff)
            names = _names(tiff, stack)
    except InputError:
        raise
    # tifffile and its codecs raise many kinds of errors for damaged files; the user needs the same message for all.
    except Exception as error:
        raise InputError(f"{path} cannot be read as a TIFF image ({error}).") from error
    notes = [
        *stack.notes,
        *(f"{path} states {problem}, which has a wrong type or range: it is not used." for problem in own.problems),
    ]
    size = pixel_size or own.pixel_size
    anisotropic = _anisotropic_sides(stated) if size is None else None
    if size is None:
        try:
            size = _pixel_size(stated, path)
        except _NotUnderstoodError as error:
            notes.append(str(error))
    stack = _with_channel_axis(stack, own, channel, path, notes)
    pixels, axes, chosen = arranged(
        stack.pixels, stack.letters, channel, where=str(path), names=names, steps=stated.plane_steps
    )
    if channel is not None and not chosen and own == OwnMetadata() and channel != 0:
        notes.append(f"{path} has a single channel, which is read instead of channel {channel}.")
    with suppress(ValueError):  # another program changed the planes
        axes = fitting_axes(own.axes or axes, len(pixels))
    for note in notes:
        warnings.warn(InputWarning(note), stacklevel=4)
    provenance = replace(own.provenance, channel=chosen) if chosen else own.provenance
    image = Image(read_only(pixels), size, own.origin, str(path), provenance, axes)
    if anisotropic is not None:
        raise AnisotropicPixelsError(str(path), anisotropic, image)
    return image


def _with_channel_axis(stack: TiffStack, own: OwnMetadata, channel: Channel, path: Path, notes: list[str]) -> TiffStack:
    """Return a stack in which an axis without a name is that of the channels, if the user chooses a channel.

    Raises
    ------
    UnsuitableError
        If two axes have no name: one of them may be that of the channels.
    """
    kinds = [axis_kind(letter) for letter in stack.letters]
    longer = [k for k, n in enumerate(stack.pixels.shape) if n > 1 and stack.letters[k] in "QI"]
    if len(longer) > 1:
        sizes = " × ".join(str(stack.pixels.shape[k]) for k in longer)
        raise UnsuitableError(
            f"{path} does not name its axes of {sizes} planes: save it as an ImageJ hyperstack or OME-TIFF, which "
            "distinguish channels from times and depths."
        )
    has_channels = any(kind == CHANNEL and n > 1 for kind, n in zip(kinds, stack.pixels.shape, strict=True))
    if channel is None or has_channels or not longer or own != OwnMetadata():
        return stack
    (k,) = longer
    notes.append(f"{path} does not name its axes: its {stack.pixels.shape[k]} planes are taken for channels.")
    return replace(stack, letters=stack.letters[:k] + CHANNEL + stack.letters[k + 1 :])


class _NotUnderstoodError(UnsuitableError):
    """A file states a pixel size that is not understood."""


def _pixel_size(stated: Calibration, path: Path) -> float | None:
    """Return the pixel size in nm that a file states, along X if the pixels are not square; None if there is none.

    Raises
    ------
    _NotUnderstoodError
        If the file states a size in an unknown unit, or one that no microscope image has.
    """
    sides = [stated.steps[axis] for axis in "YX" if axis in stated.steps]
    if stated.problem:
        raise _NotUnderstoodError(
            f"{path} states {stated.problem}: give its pixel size in nm (smdiffusion: --pixel-size)."
        )
    return sides[-1] if sides else None


def _anisotropic_sides(stated: Calibration) -> tuple[float, float] | None:
    """Return the (y, x) sides of a pixel in nm if a file states that they differ; otherwise None."""
    y, x = (stated.steps.get(axis) for axis in "YX")
    return (y, x) if y and x and are_anisotropic((y, x)) else None


def _names(tiff: Any, stack: TiffStack) -> tuple[str, ...]:
    """Return the names of the channels of a stack; () if there is one channel, or they have no names."""
    counts = [n for letter, n in zip(stack.letters, stack.pixels.shape, strict=True) if axis_kind(letter) == CHANNEL]
    return channel_names(tiff, max(counts)) if counts else ()


def _axes_of_first_image(tiff: Any, own: OwnMetadata, stated: Calibration) -> tuple[tuple[Axis, ...], tuple[str, ...]]:
    """Return the axes before Y and X of the array that other programs read, and the names of its channels.

    No axes are returned if they are not known, or are behind Y and X.
    """
    if own.axes:
        return own.axes, ()
    letters, lengths = stated_axes(tiff)
    if not letters.endswith("YX"):
        return (), ()
    axes = tuple(
        Axis(axis_kind(letter), n, stated.plane_steps.get(axis_kind(letter)))
        for letter, n in zip(letters[:-2], lengths[:-2], strict=True)
    )
    counts = [axis.length for axis in axes if axis.name == CHANNEL]
    known = any(axis.name != PLANE for axis in axes)
    return (axes, channel_names(tiff, counts[0]) if counts else ()) if known else ((), ())
