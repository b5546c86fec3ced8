"""Zip files from strangers: opened after checks, and read part by part within the sizes that they declare.

Nothing is extracted by name. A caller asks for parts that it knows, and writes them where it chooses. A zip can claim
more than it holds: millions of entries, entries that share their bytes, or zeros that unpack to terabytes. All of that
is refused before memory or disk space is taken.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from ..base.errors import InputError
from ..base.printable import printable
from ..base.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

LARGEST = 2**31 - 2**20  # bytes of a file; above, a zip has another form, and no network of this package comes near
_MOST_ENTRIES = 256
_MOST_DIRECTORY = 2**18  # bytes of the table of entries
_END = struct.Struct("<4s4H2LH")  # the record at the end of a zip file
_CHUNK = 2**20
_ENCRYPTED = 0x1


class DamagedArchiveError(InputError):
    """A file is no zip, or a damaged or hostile one; the message is one sentence that begins with its name."""


@contextmanager
def opened(path: Path, shown: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip file whose entries are few, stand side by side, and hold what they declare.

    Parameters
    ----------
    path
        The file.
    shown
        Name of the file in errors.

    Raises
    ------
    DamagedArchiveError
        If it is no such zip, also for errors of the zip within the block.
    InputError, OSError
        If it is no regular file, or cannot be read.
    """
    with open_regular(path) as file:
        size = _checked_end(file, shown)
        try:
            with zipfile.ZipFile(file) as archive:
                _check_entries(archive, size, shown)
                yield archive
        # A damaged zip raises errors of many kinds in the standard library.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, struct.error) as error:
            raise DamagedArchiveError(f"{shown} is a damaged zip file: get it again.") from error


def _checked_end(file: BinaryIO, shown: str) -> int:
    """Return the size of a zip file in bytes; the record at its end must have no comment, and be of no zip64."""
    begin = file.read(4)
    size = file.seek(0, 2)
    if size > LARGEST:
        raise DamagedArchiveError(
            f"{shown} has {size / 1e9:.3g} GB, which no file of a model has: choose the file that "
            "`smdiffusion share` wrote."
        )
    if begin[:2] != b"PK":
        page = ": it begins like a page of the web. Give the link of the file itself" if begin[:1] == b"<" else ""
        raise DamagedArchiveError(
            f"{shown} is no file of a model{page or ': choose the file that `smdiffusion share` wrote'}."
        )
    tail = _END.size + 20  # 20 bytes: the pointer to the record of a zip64
    file.seek(max(size - tail, 0))
    content = file.read(tail)
    file.seek(0)
    if len(content) < _END.size:
        raise DamagedArchiveError(f"{shown} is a damaged zip file: get it again.")
    mark, _, _, here, entries, directory, _, comment = _END.unpack(content[-_END.size :])
    if mark != b"PK\x05\x06" or comment or here != entries:
        raise DamagedArchiveError(f"{shown} is cut off, or more was added to its end: get it again.")
    if b"PK\x06\x07" in content[: -_END.size] or entries > _MOST_ENTRIES or directory > _MOST_DIRECTORY:
        raise DamagedArchiveError(f"{shown} has far more entries than the file of a model: it is not used.")
    return size


def _check_entries(archive: zipfile.ZipFile, size: int, shown: str) -> None:
    """Raise an error unless the entries have different names and, together, no more bytes than the file."""
    entries = archive.infolist()
    if len({entry.filename for entry in entries}) < len(entries):
        raise DamagedArchiveError(f"{shown} has two parts of the same name: it is not used.")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise DamagedArchiveError(f"{shown} is encrypted: ask for the file that `smdiffusion share` wrote.")
    if sum(entry.compress_size for entry in entries) > size:
        raise DamagedArchiveError(f"{shown} declares more bytes than it has: it is not used.")


def read_part(archive: zipfile.ZipFile, name: str, most: int, shown: str) -> bytes:
    """Return the bytes of a small part; raises DamagedArchiveError if it is missing, or larger than `most` bytes."""
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise DamagedArchiveError(f"{shown} has no {name}: ask for the file that `smdiffusion share` wrote.") from None
    if entry.file_size > most:
        raise DamagedArchiveError(f"{shown} has a {name} of {entry.file_size / 1e6:.3g} MB: it is not used.")
    with archive.open(entry) as part:
        content = part.read(most + 1)
    if len(content) != entry.file_size:
        raise DamagedArchiveError(f"{shown} is damaged ({name}): get it again.")
    return content


def copy_part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, shown: str) -> str:
    """Write an entry, of at most its declared size, to the file `target`; return the SHA-256 of its bytes.

    Raises
    ------
    DamagedArchiveError
        If the entry has more or fewer bytes than it declares.
    OSError
        If the file cannot be written.
    """
    digest, left = hashlib.sha256(), entry.file_size
    with archive.open(entry) as part, target.open("wb") as file:
        while chunk := part.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                break
            digest.update(chunk)
            file.write(chunk)
    if left:
        raise DamagedArchiveError(f"{shown} is damaged ({printable(entry.filename, 80)}): get it again.")
    return digest.hexdigest()


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a regular file."""
    with open_regular(path) as file:
        return digest_of_stream(file)


def digest_of_stream(file: IO[bytes]) -> str:
    """Return the SHA-256 of what is left of an open file."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
