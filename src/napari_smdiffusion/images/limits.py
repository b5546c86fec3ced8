"""TIFF files whose reading takes no more time and memory than their size and their images warrant.

A file of kilobytes can state a circle of pages, a stack of a thousand million planes, or an image that unpacks to
gigabytes. The library tifffile follows such statements, and `open_tiff` refuses them first.
"""

from __future__ import annotations

import math
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.regular_files import check_regular
from ..base.stated_limit import stated_limit
from .tiff_chain import UnboundedTiffError, check_chain
from .tiff_segments import check_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LIMIT_VARIABLE = "SMDIFFUSION_MAX_IMAGE_GB"  # environment variable that replaces the limits below
_FLOAT = 4  # bytes of a pixel in memory
# An image of this size may come from a file of any size. It is 8192 × 8192 pixels.
_ALWAYS = 2**28  # bytes in memory
# Bytes in memory per byte of the file. Sparse images of filaments, with 8 bits, have 30 to 100.
_PER_BYTE = 400
_MOST = 2**36  # bytes in memory, where the memory of the computer is unknown
_MOST_PLANES = 10**6  # that OME-XML states; they may be in many files
_READ_AGAIN = 4  # times that the bytes of a file are read; parts may belong to several pages


@contextmanager
def open_tiff(path: Path) -> Iterator[Any]:
    """Open a TIFF file with tifffile, after checking that its pages and images are bounded.

    Yields
    ------
    tifffile.TiffFile, whose `series` are checked: all their pixels together are within the limit.

    Raises
    ------
    InputError
        If it is no regular file, or states more than it holds, or its images are larger than the limit.
    Errors of many kinds
        If the file is damaged.
    """
    import tifffile

    check_regular(path)
    try:
        check_chain(path)
        with tifffile.TiffFile(path) as tiff:
            elements = _ome_elements(tiff)
            _check_ome(elements, tiff)
            _check_companions(elements, tiff, path)
            _check_pixels(tiff, path)
            yield tiff
    except UnboundedTiffError as error:
        raise InputError(
            f"{path} cannot be read as a TIFF image: {error}. Save it again with another program."
        ) from error


def largest_image(file_size: int) -> float:
    """Return the largest size in memory, in bytes, of the images in a file of this size in bytes.

    Raises
    ------
    InputError
        If the environment variable that states the limit is no positive number.
    """
    stated = stated_limit(LIMIT_VARIABLE, "GB", 1e9)
    return float(min(max(_ALWAYS, _PER_BYTE * file_size), _memory())) if stated is None else stated * 1e9


def _memory() -> int:
    """Return the memory of the computer in bytes."""
    with suppress(AttributeError, ValueError, OSError):  # Windows has no `sysconf`
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _MOST


def _check_pixels(tiff: Any, path: Path) -> None:
    """Raise an InputError if the images of an open file are larger than the limit, or its parts overlap endlessly."""
    size = tiff.filehandle.size
    total = sum(math.prod(series.shape) * max(_FLOAT, series.dtype.itemsize) for series in tiff.series)
    limit = largest_image(size)
    if total > limit:
        raise InputError(
            f"{path} has {size / 1e6:.3g} MB, and its images take {total / 1e9:.3g} GB of memory, more than "
            f"{limit / 1e9:.3g} GB. Crop it or save it in parts, or set the environment variable {LIMIT_VARIABLE} to "
            "more GB."
        )
    read = 0
    for page in {id(page): page for series in tiff.series for page in series.pages if page is not None}.values():
        # Pages of other files have their own bytes.
        if page.parent is tiff:
            read += sum(page.databytecounts)
            check_segments(tiff.filehandle, page)
        if read > _READ_AGAIN * size + 2**20:
            raise UnboundedTiffError("many of its parts are at the same place in the file")


def _ome_elements(tiff: Any) -> list[Any]:
    """Return the elements of the OME-XML in an open file, in their order; none if there is no valid OME-XML."""
    if not tiff.is_ome:
        return []
    from xml.etree import ElementTree

    text = tiff.pages[0].description
    for encoded in (text, text.encode(errors="ignore").decode(errors="ignore")):
        with suppress(ElementTree.ParseError, ValueError):
            return list(ElementTree.fromstring(encoded).iter())
    return []


def _check_ome(elements: Sequence[Any], tiff: Any) -> None:
    """Raise an UnboundedTiffError if OME-XML states far more planes than a set of files has.

    tifffile makes a list with an entry for each.
    """
    page = max(math.prod(tiff.pages[0].shape), 1)
    stated = [0.0]
    for element in elements:
        kind = element.tag.rpartition("}")[2]
        if kind == "Pixels":
            sizes = {axis: _number(element, f"Size{axis}", 1) for axis in "XYZCT"}
            stated[0] += max(1, sizes["X"] * sizes["Y"] / page) * sizes["Z"] * sizes["C"] * sizes["T"]
        elif kind == "TiffData":
            stated += [_number(element, key, 0) for key in ("NumPlanes", "PlaneCount")]
        elif kind.startswith("ModuloAlong"):
            # The axis has a label for each step from its start to its end.
            start, end, step = (_number(element, key, usual) for key, usual in (("Start", 0), ("End", 0), ("Step", 1)))
            stated.append(abs((end - start) / step) if step else math.inf)
    if not max(stated) <= max(_MOST_PLANES, 4 * len(tiff.pages)):
        raise UnboundedTiffError(f"its OME-XML states {max(stated):.3g} planes")


def _number(element: Any, key: str, usual: float) -> float:
    """Return the size of a number in an XML attribute; `usual` where it is missing or no number."""
    try:
        return abs(float(element.attrib.get(key, usual)))
    except ValueError:
        return usual  # tifffile refuses it


def _check_companions(elements: Sequence[Any], tiff: Any, path: Path) -> None:
    """Check the files of a set that tifffile opens too; files that are missing are left to tifffile.

    Raises
    ------
    UnboundedTiffError
        If one of them is no regular file, or has a circle of pages.
    """
    names = {element.attrib["FileName"] for element in elements if "FileName" in element.attrib}
    others = {path.parent / name for name in names}
    if tiff.is_micromanager:
        others |= {*path.parent.glob("*.tif"), path.parent / "NDTiff.index"}
    for other in others - {path}:
        if _exists(other):
            _check_companion(other)


def _exists(path: Path) -> bool:
    # A name in a file may be too long, or hold characters that no name has.
    with suppress(OSError, ValueError):
        return path.exists()
    return False


def _check_companion(path: Path) -> None:
    try:
        check_regular(path)
        check_chain(path)
    except InputError as error:
        raise UnboundedTiffError(f"it belongs to a set with {path.name}, which cannot be read") from error
