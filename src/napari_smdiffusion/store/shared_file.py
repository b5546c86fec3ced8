"""One file with a model, for others: a zip without code, whose table of contents states the hash of each part.

    share.json             format, kind and name of the model, and bytes and SHA-256 of each other part
    model.json             as in the model folder
    weights/               as in the model folder: safetensors, and config.json
    README.md, *.png       the model card

The parts are stored as they are, in the order of their names and without dates, so that one model always gives the same
file. The state of a training is left out: only its own computer needs it.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from ..base.errors import InputError
from ..base.json_values import checked, read_json, to_json
from ..base.printable import printable
from ..base.regular_files import open_regular, read_text
from ..base.whole_files import atomic_file, check_room
from .archives import LARGEST, DamagedArchiveError, copy_part, read_part
from .catalogue import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .folder import Kind

FORMAT = "napari-smdiffusion model"
FORMAT_VERSION = 1
CONTENTS = "share.json"
NESTED = "napari-smdiffusion.zip"  # name of such a file within the package of another format

# Every file of any kind of model, and the largest size of each in bytes. No other is read or written.
_TEXT, _PICTURE = 2**26, 2**25
_PARTS = {
    "README.md": 2**20,
    "model.json": _TEXT,
    "picture.png": _PICTURE,
    "samples.png": _PICTURE,
    "weights/config.json": 2**20,
    "weights/diffusion_pytorch_model.safetensors": LARGEST,
    "weights/enhancer.safetensors": LARGEST,
}
_NEEDED = {"model.json", "README.md"}
_BEFORE_ALL_ZIPS = (1980, 1, 1, 0, 0, 0)
_CHUNK = 2**20
_TERMS = "\n## Authors and licence\n"


@dataclass(frozen=True)
class Part:
    """A part of a shared file: its size in bytes, and its SHA-256."""

    bytes: Annotated[int, Ge(0), Le(LARGEST)]
    sha256: str


@dataclass(frozen=True)
class Contents:
    """The table of contents of a shared file.

    Parameters
    ----------
    format, format_version
        What the file is.
    kind, name
        Kind and name of the model.
    parts
        The parts by their names.
    """

    format: str
    format_version: int
    kind: str
    name: str
    parts: dict[str, Part]

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(part.bytes for part in self.parts.values())

    @property
    def model_kind(self) -> Kind:
        """The kind of the model."""
        return next(kind for kind in KINDS if kind == self.kind)


@dataclass(frozen=True)
class Terms:
    """Who made a model, and the SPDX identifier of the licence of its weights; empty if it is not stated."""

    authors: tuple[str, ...] = ()
    license: str = ""


def write_shared(folder: Path, kind: Kind, path: Path, terms: Terms | None = None) -> Contents:
    """Write the model in `folder` as one file; a file at `path` is replaced.

    Parameters
    ----------
    folder
        The model folder; the caller has read the model.
    kind
        Its kind.
    path
        The file.
    terms
        Authors and licence, which are stated in place of those of the model; None or empty ones change nothing.

    Raises
    ------
    InputError, OSError
        If a file cannot be read or written, or is larger than such files are.
    """
    texts = _texts(folder, terms or Terms())
    present = {name: folder / name for name in sorted(_PARTS) if (folder / name).exists()}
    sizes = {name: len(texts[name]) if name in texts else file.stat().st_size for name, file in present.items()}
    for name, size in sizes.items():
        if size > _PARTS[name]:
            raise InputError(
                f"{folder / name} has {size / 1e6:.3g} MB, which is too large to share: train the model again."
            )
    check_room(path, sum(sizes.values()) + 2**16)
    parts = {}
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, file in present.items():
            parts[name] = _stored(archive, name, sizes[name], _chunks(file, texts.get(name)))
        contents = Contents(FORMAT, FORMAT_VERSION, kind, folder.name, parts)
        text = json.dumps(to_json(contents), indent=2, ensure_ascii=True).encode()
        _stored(archive, CONTENTS, len(text), iter([text]))
    return contents


def _texts(folder: Path, terms: Terms) -> dict[str, bytes]:
    """Return the facts and the card of a model, with the name of its folder and the stated terms."""
    values = read_json(read_text(folder / "model.json"))
    values["name"] = folder.name
    if terms.authors:
        values["authors"] = list(terms.authors)
    if terms.license:
        values["license"] = terms.license
    facts = json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False)
    card = read_text(folder / "README.md") if (folder / "README.md").exists() else f"# {folder.name}\n"
    if stated := _stated(values.get("authors", []), values.get("license", "")):
        card = f"{card.partition(_TERMS)[0].rstrip()}\n{_TERMS}\n{stated}\n"
    return {name: text.encode("utf-8", "replace") for name, text in (("model.json", facts), ("README.md", card))}


def _stated(authors: Sequence[str], license_id: str) -> str:
    """Return the authors and the licence as sentences."""
    sentences = [f"Authors: {', '.join(authors)}."] if authors else []
    return " ".join([*sentences, *([f"Licence of the weights: {license_id}."] if license_id else [])])


def _chunks(file: Path, text: bytes | None) -> Iterator[bytes]:
    if text is not None:
        yield text
        return
    with open_regular(file) as opened_file:
        while chunk := opened_file.read(_CHUNK):
            yield chunk


def _stored(archive: zipfile.ZipFile, name: str, size: int, chunks: Iterator[bytes]) -> Part:
    """Add a part to a zip, uncompressed and without a date."""
    entry = zipfile.ZipInfo(name, _BEFORE_ALL_ZIPS)
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.create_system = 3  # also on Windows: the file does not depend on the computer
    entry.file_size = size
    digest, written = hashlib.sha256(), 0
    with archive.open(entry, "w") as part:
        for chunk in chunks:
            part.write(chunk)
            digest.update(chunk)
            written += len(chunk)
    return Part(written, digest.hexdigest())


def read_contents(archive: zipfile.ZipFile, shown: str) -> Contents:
    """Return the checked table of contents of a shared file.

    Raises
    ------
    DamagedArchiveError
        If the parts of the zip are not exactly those that the table states, each stored as it is.
    """
    text = read_part(archive, CONTENTS, _TEXT, shown)
    try:
        values = read_json(text.decode("utf-8"))
        contents = checked(Contents, values if isinstance(values, dict) else {})
    except (ValueError, TypeError) as error:
        reason = f" ({str(error).removesuffix('.')})" if isinstance(error, InputError) else ""
        raise DamagedArchiveError(f"{shown} has a damaged {CONTENTS}{reason}: get it again.") from error
    if contents.format != FORMAT or contents.kind not in KINDS:
        raise DamagedArchiveError(f"{shown} holds no model that this version knows: update napari-smdiffusion.")
    if contents.format_version > FORMAT_VERSION:
        raise DamagedArchiveError(
            f"{shown} was written by a newer napari-smdiffusion (format {contents.format_version}): update to open it."
        )
    _check_parts(contents, archive, shown)
    return contents


def _check_parts(contents: Contents, archive: zipfile.ZipFile, shown: str) -> None:
    """Raise an error unless the entries of the zip are the stated parts, and each has a known name and size."""
    entries = {entry.filename: entry for entry in archive.infolist() if entry.filename != CONTENTS}
    if unknown := sorted((entries.keys() | contents.parts.keys()) - _PARTS.keys()):
        raise DamagedArchiveError(
            f"{shown} has a part {printable(unknown[0], 80)!r}, which belongs to no model: it is not used."
        )
    if missing := sorted((_NEEDED | contents.parts.keys()) - entries.keys()):
        raise DamagedArchiveError(f"{shown} has no {missing[0]}: get it again.")
    for name, entry in entries.items():
        if name not in contents.parts:
            raise DamagedArchiveError(f"{shown} does not state the hash of its part {name}: it is not used.")
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise DamagedArchiveError(
                f"{shown} was packed again, and is compressed: ask for the file that `smdiffusion share` wrote."
            )
        if entry.file_size != contents.parts[name].bytes:
            raise DamagedArchiveError(f"{shown} is damaged ({name} has another size than is stated): get it again.")
        if entry.file_size > _PARTS[name]:
            raise DamagedArchiveError(f"{shown} has a {name} of {entry.file_size / 1e6:.3g} MB: it is not used.")


def extract(archive: zipfile.ZipFile, contents: Contents, folder: Path, shown: str) -> None:
    """Write the parts into an empty folder, and check the hash of each.

    Raises
    ------
    DamagedArchiveError
        If a part has another hash, or the card or a picture is none.
    OSError
        If the folder cannot be written.
    """
    for name, part in contents.parts.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        if copy_part(archive, archive.getinfo(name), target, shown) != part.sha256:
            raise DamagedArchiveError(f"{shown} is damaged ({name} has another hash than is stated): get it again.")
        if name.endswith(".png"):
            _check_picture(target, shown)
    read_text(folder / "README.md")  # it is text


def _check_picture(path: Path, shown: str) -> None:
    """Raise an error unless a file begins as a PNG picture of a size that a viewer can show."""
    with open_regular(path) as file:
        begin = file.read(24)
    width, height = (int.from_bytes(begin[start : start + 4], "big") for start in (16, 20))
    if begin[:8] != b"\x89PNG\r\n\x1a\n" or not (0 < width <= 2**14 and 0 < height <= 2**14):
        raise DamagedArchiveError(f"{shown} has a {path.name} that is no picture: it is not used.")


def weights_of(contents: Contents) -> Mapping[str, Part]:
    """Return the parts of a shared file that hold weights."""
    return {name: part for name, part in contents.parts.items() if name.endswith(".safetensors")}


def file_name(name: str, kind: Kind) -> str:
    """Return the name of the file that a model is shared as: its name and kind, in characters that every system has."""
    return f"{re.sub(r'[^A-Za-z0-9._+-]+', '_', name).strip('._') or 'model'}.{kind}.zip"


def nested_in(archive: zipfile.ZipFile, shown: str) -> zipfile.ZipInfo | None:
    """Return the entry of a shared file within a bioimage.io package; None if the zip is itself a shared file.

    Raises
    ------
    DamagedArchiveError
        If the package has no such entry, or one that unpacks to far more than it has.
    """
    names = set(archive.namelist())
    if CONTENTS in names or not names & {"rdf.yaml", "bioimageio.yaml"}:
        return None
    if NESTED not in names:
        raise DamagedArchiveError(
            f"{shown} is a bioimage.io package of another program, or of an earlier version: ask for the file that "
            "`smdiffusion share` writes."
        )
    entry = archive.getinfo(NESTED)
    # Weights can hardly be compressed.
    if entry.file_size > min(LARGEST, 4 * entry.compress_size + _CHUNK):
        raise DamagedArchiveError(f"{shown} unpacks to {entry.file_size / 1e9:.3g} GB: it is not used.")
    return entry
