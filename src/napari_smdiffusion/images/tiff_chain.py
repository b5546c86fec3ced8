"""The chain of directories in a TIFF file: each page has one, which states where the next is."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..base.errors import InputError
from ..base.regular_files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_MOST_TAGS = 4096  # tifffile reads no directory with more
_MOST_LEVELS = 64  # sub-directories of a page, which hold an image at lower resolutions
_SUBIFDS, _PLACES = 330, (273, 279, 324, 325)  # tags with places and sizes of strips and tiles
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_SHARED = 2  # times that the places of strips are read; pages may share them


class UnboundedTiffError(InputError):
    """The reading of a file would never end, or take far more memory than its size warrants.

    The message is a clause with the reason. The caller names the file.
    """


class _Layout(NamedTuple):
    """The numbers in a directory: formats for `struct`, and bytes."""

    number: str
    offset: str
    entry: str
    number_bytes: int
    offset_bytes: int
    entry_bytes: int


def check_chain(path: Path) -> None:
    """Check the chain of directories in a TIFF file; a file of another kind, or one that is cut off, passes.

    Raises
    ------
    UnboundedTiffError
        If directories run in a circle, overlap, or state far more parts than the file has room for.
    InputError
        If it is no regular file.
    OSError
        If it cannot be read.
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        layout, offset = _header(file.read(16))
        if layout is not None:
            _follow(file, layout, offset, size)


def _header(header: bytes) -> tuple[_Layout | None, int]:
    """Return the layout of a file and the place of its first directory; None if it is no TIFF file."""
    order = {b"II": "<", b"MM": ">", b"EP": "<"}.get(header[:2])
    if order is None or len(header) < 16:
        return None, 0
    if struct.unpack(f"{order}H", header[2:4])[0] == 43:
        return _Layout(f"{order}Q", f"{order}Q", f"{order}HHQ", 8, 8, 20), struct.unpack(f"{order}Q", header[8:16])[0]
    return _Layout(f"{order}H", f"{order}I", f"{order}HHI", 2, 4, 12), struct.unpack(f"{order}I", header[4:8])[0]


def _follow(file: BinaryIO, layout: _Layout, offset: int, size: int) -> None:
    seen: set[int] = set()
    directories = places = 0
    while 0 < offset < size:
        if offset in seen:
            raise UnboundedTiffError("its pages run in a circle")
        seen.add(offset)
        file.seek(offset)
        start = file.read(layout.number_bytes)
        if len(start) < layout.number_bytes:
            return
        tags = struct.unpack(layout.number, start)[0]
        if tags > _MOST_TAGS:
            return
        body = file.read(tags * layout.entry_bytes + layout.offset_bytes)
        places += _bytes_of_places(body[: tags * layout.entry_bytes], layout)
        directories += layout.number_bytes + len(body)
        if directories > size:
            raise UnboundedTiffError("its directories overlap")
        if places > _SHARED * size + 2**16:
            raise UnboundedTiffError("it states more parts than it has room for")
        if len(body) < tags * layout.entry_bytes + layout.offset_bytes:
            return
        offset = struct.unpack(layout.offset, body[-layout.offset_bytes :])[0]


def _bytes_of_places(entries: bytes, layout: _Layout) -> int:
    """Return the bytes of the places and sizes of the strips and tiles that a directory states."""
    total = 0
    for k in range(0, len(entries) - layout.entry_bytes + 1, layout.entry_bytes):
        tag, kind, count = struct.unpack_from(layout.entry, entries, k)
        if tag == _SUBIFDS and count > _MOST_LEVELS:
            raise UnboundedTiffError(f"a page states {count} images at lower resolutions")
        if tag in _PLACES:
            total += count * _TYPE_BYTES.get(kind, 1)
    return total
