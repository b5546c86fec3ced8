"""The pixels in a TIFF file with the axes that the file states, also of files that are incomplete."""

from __future__ import annotations

import math
import re
import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError
from .axes import CHANNEL, axis_kind
from .tiff_scifio import scifio_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_COLOR = (2, 5, 6, 8, 9, 10)  # RGB, CMYK, YCbCr and the CIE L*a*b* spaces of PhotometricInterpretation
_ALPHA = (1, 2)  # of ExtraSamples
# ImageJ's orders of the axes in a file, the fastest first, as letters from the slowest to the fastest.
_IMAGEJ_ORDERS = {"czt": "TZC", "ctz": "ZTC", "zct": "TCZ", "ztc": "CTZ", "tcz": "ZCT", "tzc": "CZT"}


class UnsuitableError(InputError):
    """An intact TIFF file holds no image that this package can use."""


@dataclass(frozen=True)
class TiffStack:
    """The pixels in a file.

    Parameters
    ----------
    pixels
        Array with an axis for each of `letters`.
    letters
        Axes as tifffile names them: "TZCYX".
    notes
        Messages for the user on parts that are missing or changed.
    """

    pixels: npt.NDArray[Any]
    letters: str
    notes: tuple[str, ...] = ()


def read_stack(tiff: Any, path: Any) -> TiffStack:
    """Read the pixels of an open TIFF file.

    Raises
    ------
    UnsuitableError
        If the file holds a color image, images of several sizes, or channels that cannot be distinguished.
    """
    first, *others = tiff.series
    _check_gray(first, path)
    # Planes that were written one by one are a series each, as are stage positions. Previews are skipped.
    others = [series for series in others if not series.keyframe.is_reduced]
    if any((series.shape, series.dtype) != (first.shape, first.dtype) for series in others):
        raise UnsuitableError(
            f"{path} holds {1 + len(others)} images of different sizes or types: save each as a separate file."
        )
    every = (first, *others)
    stack = _incomplete_imagej(tiff, first, path)
    if stack is None and any(series.is_multifile or None in series.pages for series in every):
        # One file of a multi-file set: only its own planes are read, since the other files may be missing.
        stack = _joined([part for series in every if (part := _own_planes(tiff, series, path)) is not None], path)
    elif stack is None:
        stack = _joined([TiffStack(series.asarray(), series.axes) for series in every], path)
        stack = replace(stack, notes=_cut_off(tiff, path))
    return _with_dark_background(tiff, _with_stated_axes(tiff, stack, path), path)


def stated_axes(tiff: Any) -> tuple[str, tuple[int, ...]]:
    """Return (letters, lengths) of the first image of an open TIFF file, without reading pixels."""
    first = tiff.series[0]
    return _scifio_axes(tiff, first.axes, first.shape)


def channel_names(tiff: Any, count: int) -> tuple[str, ...]:
    """Return the names of `count` channels in an open TIFF file; () if it states none."""
    names: Sequence[Any] = ()
    # Any program may have written the metadata, and tifffile raises many kinds of errors for damaged ones.
    with suppress(Exception):
        if tiff.is_ome:
            elements = re.findall(r"<(?:\w+:)?Channel\s[^>]*", tiff.pages[0].description)
            named = [re.search(r'\sName\s*=\s*"([^"]*)"', element) for element in elements]
            names = [match[1] if match else "" for match in named]
        elif tiff.is_imagej:
            names = tiff.imagej_metadata.get("Labels", ())
        elif tiff.is_lsm:
            names = tiff.lsm_metadata["ChannelColors"]["ColorNames"]
        elif tiff.is_micromanager:
            names = tiff.micromanager_metadata["Summary"]["ChNames"]
        elif tiff.shaped_metadata:
            names = tiff.shaped_metadata[0]["Channel"]["Name"]
    # Some versions of tifffile return names of fixed length, filled up with NUL.
    texts = [" ".join(str(name).replace("\0", " ").split())[:40] for name in names[:count]]
    return tuple(texts) if len(texts) == count and any(texts) and len(set(texts)) == count else ()


def _check_gray(series: Any, path: Any) -> None:
    """Raise an UnsuitableError for a color image; samples of another kind are channels."""
    if "S" not in series.axes or series.shape[series.axes.index("S")] == 1:
        return
    page = series.keyframe
    if int(page.photometric) in _COLOR or any(int(extra) in _ALPHA for extra in page.extrasamples):
        raise UnsuitableError(f"{path} is a color (RGB) image: convert it to grayscale first.")


def _with_stated_axes(tiff: Any, stack: TiffStack, path: Any) -> TiffStack:
    """Return a stack with the axes that its description states, where tifffile does not read them.

    Raises
    ------
    UnsuitableError
        If the file states channels that its planes cannot be assigned to.
    """
    letters, lengths = _scifio_axes(tiff, stack.letters, stack.pixels.shape)
    stack = TiffStack(stack.pixels.reshape(lengths), letters, stack.notes)
    has_channels = any(axis_kind(letter) == CHANNEL for letter in letters)
    planes = stack.pixels.size // max(math.prod(tiff.pages[0].shape), 1)
    count = _stated_channels(tiff)
    if count > 1 and planes > 1 and not has_channels:
        raise UnsuitableError(
            f"{path} states {count} channels, but its {planes} planes do not fit its metadata. Save it again, or each "
            "channel as a file of its own."
        )
    return stack


def _scifio_axes(tiff: Any, letters: str, lengths: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Return the axes in the description of SCIFIO, if there is one that fits, otherwise those given."""
    layout = scifio_layout(tiff.pages[0].description)
    if layout is not None and math.prod(layout.lengths) == math.prod(lengths):
        plane = layout.letters[-2:], layout.lengths[-2:]
        if plane == ("YX", tuple(lengths[-2:])):
            return layout.letters, layout.lengths
    return letters, tuple(lengths)


def _stated_channels(tiff: Any) -> int:
    """Return the number of channels in the metadata of a file; 1 if they state none."""
    with suppress(Exception):
        if tiff.is_imagej:
            return int(tiff.imagej_metadata.get("channels", 1))
        if tiff.is_stk:
            waves = np.ravel(tiff.stk_metadata.get("Wavelengths", ()))
            return max(len(np.unique(waves)), 1)
        if layout := scifio_layout(tiff.pages[0].description):
            return dict(zip(layout.letters, layout.lengths, strict=True)).get("C", 1)
        if tiff.is_ome:
            return int(re.search(r'\sSizeC\s*=\s*"(\d+)"', tiff.pages[0].description)[1])  # type: ignore[index]
    return 1


def _joined(stacks: Sequence[TiffStack], path: Any) -> TiffStack:
    """Return the stacks of several series of one size, such as stage positions, as one stack.

    Raises
    ------
    UnsuitableError
        If the stacks have different axes, or there is none.
    """
    notes = tuple(note for stack in stacks for note in stack.notes)
    shapes = {(stack.letters, stack.pixels.shape) for stack in stacks}
    if len(stacks) == 1:
        return stacks[0]
    if len(shapes) == 1:
        return TiffStack(np.stack([stack.pixels for stack in stacks]), f"R{stacks[0].letters}", notes)
    raise UnsuitableError(f"{path} holds {len(stacks)} incomplete images: save each of them as a separate file.")


def _own_planes(tiff: Any, series: Any, path: Any) -> TiffStack | None:
    """Read the planes of a series that are in this file; None if there is none.

    Their axes are those of the series where they fill a part of it that is a block; otherwise they are planes of one
    kind. The planes of an aborted recording are such a block as a rule.
    """
    lengths, inner = series.shape[: len(series.shape) - len(series.keyframe.shape)], series.keyframe.axes
    letters = series.axes[: len(lengths)]
    own = [(k, page) for k, page in enumerate(series.pages) if page is not None and page.parent is tiff]
    if not own:
        return None
    if math.prod(lengths) != len(series.pages):
        if any(axis_kind(letter) == CHANNEL for letter in letters):
            raise UnsuitableError(
                f"{path} holds channels that cannot be distinguished: save each as a file of its own."
            )
        return TiffStack(np.stack([page.asarray() for _, page in own]), f"I{inner}")
    notes: tuple[str, ...] = ()
    if len(own) < len(series.pages) and len(set(re.findall(r'FileName="([^"]*)"', tiff.pages[0].description))) < 2:
        notes = (_incomplete(path, len(series.pages), len(own)),)
    positions = np.array(np.unravel_index([k for k, _ in own], lengths or (1,))).reshape(-1, len(own))
    whole = _whole_part(letters, positions)
    if len(whole) < len(own):
        notes = (*notes, f"{path} lacks a channel of {len(own) - len(whole)} of its planes, which are left out.")
    planes, positions = np.stack([own[k][1].asarray() for k in whole]), positions[:, whole]
    block = [len(np.unique(row)) for row in positions][: len(letters)]
    if math.prod(block) == len(planes):
        return TiffStack(planes.reshape(*block, *planes.shape[1:]), f"{letters}{inner}", notes)
    # Sorted by channel, so that each channel is one row of the same number of planes.
    channels = [k for k, letter in enumerate(letters) if axis_kind(letter) == CHANNEL]
    count = math.prod(block[k] for k in channels)
    if channels:
        planes = planes[np.lexsort(positions[channels])]
    letter = letters[channels[0]] if channels else "C"
    return TiffStack(planes.reshape(count, -1, *planes.shape[1:]), f"{letter}I{inner}", notes)


def _whole_part(letters: str, positions: npt.NDArray[np.intp]) -> list[int]:
    """Return the indices of the planes that exist in every channel."""
    rows = [k for k, letter in enumerate(letters) if axis_kind(letter) == CHANNEL]
    channels = [tuple(position) for position in positions[rows].T]
    places = [tuple(position) for position in np.delete(positions, rows, axis=0).T]
    count = len(set(channels))
    found: dict[tuple[Any, ...], int] = {}
    for place in places:
        found[place] = found.get(place, 0) + 1
    return [k for k, place in enumerate(places) if found[place] == count]


def _incomplete(path: Any, stated: int, read: int) -> str:
    return f"{path} is incomplete: it states {stated} planes and holds {read}. These {read} are read."


def _incomplete_imagej(tiff: Any, series: Any, path: Any) -> TiffStack | None:
    """Return the planes that are there in a file of ImageJ that states more; None for a complete file."""
    if not tiff.is_imagej:
        return None
    metadata = tiff.imagej_metadata or {}
    page = tiff.pages[0]
    order = _IMAGEJ_ORDERS.get(str(metadata.get("order", "czt")).lower(), "TZC")
    keys = {"T": "frames", "Z": "slices", "C": "channels"}
    lengths = {letter: max(int(metadata.get(key, 1)), 1) for letter, key in keys.items()}
    stated = math.prod(lengths.values())
    if stated == 1:
        order, stated = "I", max(int(metadata.get("images", 1)), 1)
        lengths = {"I": stated}
    planes_read = math.prod(series.shape) // max(math.prod(page.shape), 1)
    if "S" in page.axes or stated <= max(planes_read, len(tiff.pages)):
        return None
    planes = _planes_there(tiff, page, stated)
    # Plain stacks may state more images than were written.
    if len(planes) <= planes_read and series.kind == "imagej":
        return None
    shape = [lengths[letter] for letter in order]
    count = len(planes)
    # The slowest axis is cut off where its last image is not complete.
    for k in range(len(shape)):
        inner = math.prod(shape[k + 1 :])
        if count >= inner:
            shape[k] = count // inner
            count = shape[k] * inner
            break
        shape[k] = 1
    read = math.prod(shape)
    planes = planes[:read].reshape(*shape, *page.shape)
    return TiffStack(planes, f"{order}{page.axes}", (_incomplete(path, stated, read),))


def _planes_there(tiff: Any, page: Any, stated: int) -> npt.NDArray[Any]:
    """Return the planes (N, Y, X) of a file that was cut off.

    ImageJ writes the planes one after the other behind the first directory, and the other directories at the end.
    """
    if len(tiff.pages) > 1 or not page.is_contiguous:
        return np.stack([plane.asarray() for plane in tiff.pages])
    start = page.dataoffsets[0]
    count = min((tiff.filehandle.size - start) // page.nbytes, stated)
    tiff.filehandle.seek(start)
    dtype = np.dtype(page.dtype).newbyteorder(tiff.byteorder)
    planes = tiff.filehandle.read_array(dtype, count=count * math.prod(page.shape))
    return np.asarray(planes).reshape(count, *page.shape)


def _cut_off(tiff: Any, path: Any) -> tuple[str, ...]:
    """Return a note if the chain of directories in the file leads out of the file."""
    # The reading of the planes was successful, so that anything strange here is not worth an error.
    with suppress(Exception):
        layout, file = tiff.tiff, tiff.filehandle
        file.seek(tiff.pages[len(tiff.pages) - 1].offset)
        entries = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))[0]
        file.seek(entries * layout.tagsize, 1)
        following = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))[0]
        if following >= file.size:
            return (
                f"{path} is incomplete: its end is missing, and with it all planes after number {len(tiff.pages)}.",
            )
    return ()


def _with_dark_background(tiff: Any, stack: TiffStack, path: Any) -> TiffStack:
    """Return a stack in which larger values are brighter.

    "0 is white" inverts the values of a file. ImageJ means an inverted color map by it: its values are counts.

    Raises
    ------
    UnsuitableError
        If 0 is white, and the values have no largest one.
    """
    page = tiff.pages[0]
    if 262 not in page.tags or int(page.photometric) != 0 or tiff.is_imagej:
        return stack
    pixels = stack.pixels
    if pixels.dtype.kind not in "bu":
        raise UnsuitableError(f"{path} states that 0 is white, and has {pixels.dtype} pixels: save it with 0 as black.")
    bits = 1 if pixels.dtype.kind == "b" else int(page.bitspersample)
    white = 2**bits - 1
    inverted = ~pixels if pixels.dtype.kind == "b" else (white - pixels).astype(pixels.dtype)
    note = f"{path} states that 0 is white: its pixels are read as {white} minus their value."
    return TiffStack(inverted, stack.letters, (*stack.notes, note))
