"""Strips and tiles of TIFF files that are images of another format, whose own headers state their size.

Their decoders take the memory that this header states, not what the TIFF file states. LZW, Deflate and similar codecs
are decoded into memory of the size that the TIFF file states.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

from .tiff_chain import UnboundedTiffError

if TYPE_CHECKING:
    from collections.abc import Callable

# Compressions without a header of their own: none, CCITT, LZW, Deflate, PackBits, Pixar, LZMA, Zstandard, EER, Jetraw.
_BOUNDED = {1, 2, 3, 4, 5, 8, 32773, 32909, 32946, 34925, 34926, 48124, 50000, 50013, 65000, 65001, 65002}
_HEAD = 2**16  # bytes of a segment that are searched for its header
_ALWAYS = 2**22  # pixels that any segment may have
_SLACK = 4  # times its stated pixels that a segment may have; the last tiles of an image are padded


def check_segments(file: Any, page: Any) -> None:
    """Raise an UnboundedTiffError if a strip or tile of a page has far more pixels than the page states for it.

    Parameters
    ----------
    file
        tifffile's handle of the open file.
    page
        tifffile's page.
    """
    compression = int(page.compression)
    if compression in _BOUNDED:
        return
    size_of = _HEADERS.get(compression)
    if size_of is None:
        name = getattr(page.compression, "name", str(compression))
        raise UnboundedTiffError(f"its compression, {name}, is not supported; LZW and Deflate are")
    most = max(_ALWAYS, _SLACK * math.prod(page.chunks))
    heads = [head for head in (page.jpegtables, page.jpegheader) if head] if size_of is _jpeg_size else []
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(offset)
        heads.append(file.read(min(count, _HEAD)))
        while heads:
            height, width = size_of(heads.pop())
            if height * width > most:
                raise UnboundedTiffError(f"a part of it unpacks to {height} × {width} pixels")


def _jpeg_size(head: bytes) -> tuple[int, int]:
    """Return (height, width) in the frame header of JPEG; (0, 0) if there is none, as in a damaged segment."""
    place = 2
    while place + 9 <= len(head) and head[place] == 0xFF:
        marker, length = head[place + 1], struct.unpack(">H", head[place + 2 : place + 4])[0]
        # The last one is that of JPEG-LS.
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            height, width = struct.unpack(">HH", head[place + 5 : place + 9])
            return height, width
        place += 2 + length if marker != 0xFF else 1
    # Header fields of other programs may be longer than the part that was read.
    return (0, 0) if place < _HEAD - 9 else (2**16, 2**16)


def _jpeg2000_size(head: bytes) -> tuple[int, int]:
    """Return (height, width) in the SIZ segment of a JPEG 2000 codestream, with or without a JP2 box around it."""
    place = 0
    while not head.startswith(b"\xff\x4f\xff\x51", place):
        # Boxes have a length and a name; that of the codestream is "jp2c", and all others are skipped.
        if place + 8 > len(head):
            return (0, 0) if place < _HEAD else (2**16, 2**16)
        length, name = struct.unpack(">I4s", head[place : place + 8])
        place += 8 if name == b"jp2c" else max(length, 8)
    if place + 24 > len(head):
        return 0, 0
    width, height, left, top = struct.unpack(">4I", head[place + 8 : place + 24])
    return max(height - top, 0), max(width - left, 0)


def _png_size(head: bytes) -> tuple[int, int]:
    """Return (height, width) in the header of PNG; (0, 0) if it is another format."""
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        return 0, 0
    width, height = struct.unpack(">II", head[16:24])
    return height, width


def _jpeg_xr_size(head: bytes) -> tuple[int, int]:
    """Return (height, width) in the directory of JPEG XR; (0, 0) if it has none."""
    values = {0xBC80: 0, 0xBC81: 0}
    if head[:3] != b"II\xbc" or len(head) < 8:
        return 0, 0
    place = struct.unpack("<I", head[4:8])[0]
    if place + 2 > len(head):
        return 2**16, 2**16
    (count,) = struct.unpack("<H", head[place : place + 2])
    for k in range(place + 2, min(place + 2 + 12 * count, len(head) - 11), 12):
        tag, kind, _ = struct.unpack("<HHI", head[k : k + 8])
        if tag in values:
            values[tag] = struct.unpack("<H" if kind == 3 else "<I", head[k + 8 : k + (10 if kind == 3 else 12)])[0]
    return values[0xBC81], values[0xBC80]


def _lerc_size(head: bytes) -> tuple[int, int]:
    """Return (height, width · values per pixel) in the header of LERC 2.

    Older versions, and those that are packed once more, state no bounded size.
    """
    if head[:6] != b"Lerc2 " or len(head) < 26:
        return _UNKNOWN
    (version,) = struct.unpack("<i", head[6:10])
    place = 14 if version >= 3 else 10  # after the checksum
    height, width, values = struct.unpack("<3i", head[place : place + 12])
    return max(height, 0), max(width, 0) * (max(values, 1) if version >= 4 else 1)


def _jpeg_xl_size(head: bytes) -> tuple[int, int]:
    """Return (height, width) in the size header of JPEG XL, with or without boxes around it (ISO/IEC 18181-1, annex D).

    Animations state no bounded size, because each of their frames is decoded.
    """
    place = 0
    if not head.startswith(b"\xff\x0a"):
        place = head.find(b"jxlc") + 4
        if place < 4:  # the codestream is in parts, each with a number of 4 bytes
            place = head.find(b"jxlp") + 8
        if place < 8 or not head.startswith(b"\xff\x0a", place):
            return _UNKNOWN
    bits = _Bits(int.from_bytes(head[place + 2 : place + 18], "little"))
    in_eights = bits.take(1)
    height = _jpeg_xl_length(bits, in_eights)
    ratio = bits.take(3)
    numerator, denominator = _RATIOS[ratio]
    width = height * numerator // denominator if ratio else _jpeg_xl_length(bits, in_eights)
    all_default = bits.take(1)
    has_extra_fields = not all_default and bits.take(1)
    return _UNKNOWN if has_extra_fields else (height, width)


_UNKNOWN = (2**16, 2**16)  # more than any part may have
_RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Bits:
    """The bits of a header, the lowest first."""

    def __init__(self, value: int) -> None:
        self.value = value

    def take(self, count: int) -> int:
        """Return the next `count` bits as a number."""
        taken = self.value & ((1 << count) - 1)
        self.value >>= count
        return taken


def _jpeg_xl_length(bits: _Bits, in_eights: int) -> int:
    """Return the next length in pixels."""
    if in_eights:
        return 8 * (bits.take(5) + 1)
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


_HEADERS: dict[int, Callable[[bytes], tuple[int, int]]] = {
    **dict.fromkeys((6, 7, 33007, 34892), _jpeg_size),
    **dict.fromkeys((33003, 33004, 33005, 34712), _jpeg2000_size),
    34933: _png_size,
    **dict.fromkeys((22610, 34934), _jpeg_xr_size),
    34887: _lerc_size,
    **dict.fromkeys((50002, 52546), _jpeg_xl_size),
}
