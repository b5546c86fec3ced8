"""Models as one file: the same bytes each time, nothing but the model in them, and every change is noticed."""

import copy
import hashlib
import io
import json
import shutil
import struct
import zipfile

import pytest

from napari_smdiffusion import InputError
from napari_smdiffusion.base.folders import bundled_folder
from napari_smdiffusion.store.archives import DamagedArchiveError, copy_part, opened
from napari_smdiffusion.store.card import quoted
from napari_smdiffusion.store.managing import write_name
from napari_smdiffusion.store.shared_file import (
    CONTENTS,
    NESTED,
    Terms,
    extract,
    file_name,
    nested_in,
    read_contents,
    write_shared,
)


@pytest.fixture(scope="module")
def folder(tiny_sampler, tmp_path_factory):
    """Return the folder of an enhancer with all files that such a folder may hold."""
    folder = tmp_path_factory.mktemp("models") / "my model"
    tiny_sampler.save(folder)
    for name in ("picture.png", "samples.png"):
        shutil.copy(bundled_folder() / "enhancer" / "microtubules-x4" / "picture.png", folder / name)
    (folder / "training_state.pt").write_bytes(b"state")
    (folder / ".DS_Store").write_bytes(b"of Finder")
    return folder


@pytest.fixture(scope="module")
def shared(folder, tmp_path_factory):
    """Return the file of this enhancer."""
    path = tmp_path_factory.mktemp("shared") / "a.zip"
    write_shared(folder, "enhancer", path)
    return path


def _read(path, target=None):
    """Check a file, and extract it into a folder."""
    with opened(path, path.name) as archive:
        contents = read_contents(archive, path.name)
        if target is not None:
            target.mkdir()
            extract(archive, contents, target, path.name)
    return contents


def _parts(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path, parts, stated=(), compression=zipfile.ZIP_STORED):
    """Write a zip of parts, whose table of contents is right except for `stated`; return its path."""
    parts = dict(parts)
    contents = json.loads(parts.pop(CONTENTS))
    contents["parts"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in parts.items()
    }
    contents.update(stated)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in {**parts, CONTENTS: json.dumps(contents).encode()}.items():
            archive.writestr(name, content)
    return path


def test_one_model_always_gives_the_same_file(folder, shared, tmp_path):
    again = tmp_path / "b.zip"
    contents = write_shared(folder, "enhancer", again)
    assert again.read_bytes() == shared.read_bytes()
    assert _read(again) == contents
    assert set(_parts(shared)) == {
        *("README.md", "model.json", "picture.png", "samples.png", CONTENTS),
        *(f"weights/{name}" for name in ("config.json", "diffusion_pytorch_model.safetensors", "enhancer.safetensors")),
    }


def test_the_parts_are_those_of_the_folder_with_their_hashes(folder, shared, tmp_path):
    contents = _read(shared, tmp_path / "model")
    assert (contents.kind, contents.name) == ("enhancer", "my model")
    for name, part in contents.parts.items():
        content = (tmp_path / "model" / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (part.bytes, part.sha256)
        if name != "model.json":  # which gets the name of the folder
            assert content == (folder / name).read_bytes()
    assert contents.total == sum(part.bytes for part in contents.parts.values())


def test_authors_and_licence_are_stated_once(folder, tmp_path):
    texts = []
    for count, terms in enumerate((Terms(("Ada", "Bob"), "CC0-1.0"), Terms(("Eve",)), Terms())):
        write_shared(folder, "enhancer", tmp_path / "a.zip", terms)
        parts = _parts(tmp_path / "a.zip")
        texts.append((json.loads(parts["model.json"]), parts["README.md"].decode()))
        if count == 0:  # the second time, they replace those of a model that has some
            folder = tmp_path / "taken"
            _read(tmp_path / "a.zip", folder)
    assert (texts[0][0]["authors"], texts[0][0]["license"]) == (["Ada", "Bob"], "CC0-1.0")
    assert texts[0][1].endswith("## Authors and licence\n\nAuthors: Ada, Bob. Licence of the weights: CC0-1.0.\n")
    assert (texts[1][0]["authors"], texts[1][0]["license"]) == (["Eve"], "CC0-1.0")
    assert texts[1][1].count("Authors") == 2
    assert "Ada" not in texts[1][1]
    assert texts[2][1] == texts[0][1]


def test_every_bundled_model_can_be_shared(tmp_path):
    for kind in ("diffusion", "enhancer"):
        for folder in (bundled_folder() / kind).iterdir():
            contents = write_shared(folder, kind, tmp_path / "a.zip")
            files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
            assert set(contents.parts) == files


def test_a_flipped_bit_anywhere_is_noticed_or_changes_nothing(shared, tmp_path):
    content, refused = shared.read_bytes(), 0
    contents = _read(shared)
    for place in range(7, len(content), len(content) // 60):
        changed = bytearray(content)
        changed[place] ^= 4
        path, model = tmp_path / f"{place}.zip", tmp_path / str(place)
        path.write_bytes(changed)
        try:
            assert _read(path, model) == contents
        except InputError:
            refused += 1
            continue
        for name, part in contents.parts.items():  # a bit that has no meaning, such as one of the date
            assert hashlib.sha256((model / name).read_bytes()).hexdigest() == part.sha256
    assert refused > 50


def test_a_file_that_is_cut_off_or_longer_is_noticed(shared, tmp_path):
    content = shared.read_bytes()
    for name, changed in (
        ("cut.zip", content[:-40]),
        ("half.zip", content[: len(content) // 2]),
        ("longer.zip", content + b"more"),
        ("end.zip", content[-10:]),
    ):
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(DamagedArchiveError, match=name):
            _read(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/tmp/evil.txt",
        "weights/../../evil.txt",
        "C:\\evil.txt",
        "training_state.pt",
        "weights/model.pt",
        "weights/",
        "MODEL.JSON",
        "setup.py",
        ".hidden",
        "\x1b[31m.txt",
    ],
)
def test_a_part_that_belongs_to_no_model_is_refused(shared, tmp_path, name):
    path = _write(tmp_path / "a.zip", {**_parts(shared), name: b""})
    with pytest.raises(DamagedArchiveError, match="belongs to no model") as error:
        _read(path, tmp_path / "model")
    assert "\x1b" not in str(error.value)
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.zip"}


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"format": "other"}, "no model that this version knows"),
        ({"kind": "classifier"}, "no model that this version knows"),
        ({"kind": 3}, "kind: "),
        ({"format_version": 2}, "newer napari-smdiffusion"),
        ({"format_version": "1"}, "format_version: "),
        ({"parts": {}}, "does not state the hash"),
        ({"parts": None}, "parts: "),
        ({"parts": {"model.json": {"bytes": -1, "sha256": ""}}}, "bytes: "),
        ({"parts": {"README.md": {"bytes": 1, "sha256": ""}}}, "another size"),
        ({"name": None}, "name: "),
    ],
)
def test_a_table_of_contents_with_other_statements_is_refused(shared, tmp_path, stated, message):
    with pytest.raises(DamagedArchiveError, match=message):
        _read(_write(tmp_path / "a.zip", _parts(shared), stated))


@pytest.mark.parametrize("missing", ["model.json", "README.md"])
def test_a_missing_part_is_named(shared, tmp_path, missing):
    parts = _parts(shared)
    del parts[missing]
    with pytest.raises(DamagedArchiveError, match=f"has no {missing}"):
        _read(_write(tmp_path / "a.zip", parts))


def test_parts_of_other_kinds_than_their_names_are_refused(shared, tmp_path):
    parts = _parts(shared)
    huge = parts["picture.png"][:16] + (10**6).to_bytes(4, "big") * 2
    for name, content, message in (
        ("picture.png", b"<svg onload='alert(1)'/>" + bytes(30), "no picture"),
        ("picture.png", huge, "no picture"),
        ("README.md", b"\xff\xfe\x00", "no text"),
        ("README.md", bytes(2**20 + 1), r"README\.md of 1\.05 MB"),
    ):
        path = _write(tmp_path / f"{len(list(tmp_path.iterdir()))}.zip", {**parts, name: content})
        with pytest.raises(InputError, match=message):
            _read(path, tmp_path / f"{path.stem} model")


def test_a_file_that_was_packed_again_is_refused_with_the_reason(shared, tmp_path):
    with pytest.raises(DamagedArchiveError, match="was packed again"):
        _read(_write(tmp_path / "a.zip", _parts(shared), compression=zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("my model/model.json", "{}")
    with pytest.raises(DamagedArchiveError, match=r"has no share\.json"):
        _read(tmp_path / "b.zip")


def test_files_that_are_no_zip_are_named(tmp_path):
    for content, message in (
        (b"", "no file of a model"),
        (b"<!DOCTYPE html>", "like a page of the web"),
        (b"PK", "damaged"),
        (b"\x80\x04\x95 a pickle", "no file of a model"),
    ):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(DamagedArchiveError, match=message):
            _read(tmp_path / "a.zip")


def test_zips_that_claim_more_than_they_hold_take_no_memory(shared, tmp_path):
    parts = _parts(shared)
    # Millions of entries: the record at the end states them before any is read.
    many = bytearray(shared.read_bytes())
    many[-14:-10] = struct.pack("<2H", 60_000, 60_000)
    # Entries of different names that share their bytes.
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model.json", bytes(10_000))
        for name in ("README.md", "picture.png"):
            entry = copy.copy(archive.infolist()[0])
            entry.filename = name
            archive.filelist.append(entry)
    double = io.BytesIO()
    with zipfile.ZipFile(double, "w") as archive:
        archive.writestr("model.json", parts["model.json"])
        archive.filelist *= 2
    for name, changed, message in (
        ("a.zip", bytes(many), "far more entries"),
        ("b.zip", content.getvalue(), "declares more bytes than it has"),
        ("c.zip", double.getvalue(), "two parts of the same name"),
    ):
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(DamagedArchiveError, match=message):
            _read(tmp_path / name, tmp_path / "model")


def test_a_part_is_never_longer_than_it_declares(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(10**6))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        entry = archive.getinfo("a")
        for size in (10, 10**7):
            entry.file_size = size
            with pytest.raises((DamagedArchiveError, zipfile.BadZipFile, EOFError)):
                copy_part(archive, entry, tmp_path / "b", "a.zip")
            assert (tmp_path / "b").stat().st_size <= 2**20


def test_a_package_of_another_format_may_hold_the_file(shared, tmp_path):
    package = tmp_path / "package.zip"

    def write(content, compression=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(package, "w", compression) as archive:
            archive.writestr("rdf.yaml", "name: a")
            if content is not None:
                archive.writestr(NESTED, content)

    write(shared.read_bytes())
    with opened(package, "package.zip") as archive:
        entry = nested_in(archive, "package.zip")
        assert copy_part(archive, entry, tmp_path / "b.zip", "package.zip")
    assert (tmp_path / "b.zip").read_bytes() == shared.read_bytes()
    with opened(shared, "a.zip") as archive:
        assert nested_in(archive, "a.zip") is None
    for content, message in ((None, "of another program"), (bytes(3 * 10**7), "unpacks to 0.03 GB")):
        write(content)
        with opened(package, "package.zip") as archive, pytest.raises(DamagedArchiveError, match=message):
            nested_in(archive, "package.zip")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mine", "mine.enhancer.zip"), ("für mich: ×4", "f_r_mich_4.enhancer.zip"), ("×", "model.enhancer.zip")],
)
def test_the_name_of_the_file_is_one_that_every_system_has(name, expected):
    assert file_name(name, "enhancer") == expected


def test_a_new_name_is_written_into_the_heading_and_the_command(tmp_path):
    (tmp_path / "model.json").write_text('{"name": "mine"}')
    (tmp_path / "README.md").write_text("# mine: an enhancer\n\n    smdiffusion enhance mine w.tif\n\n- mine.tif\n")
    write_name(tmp_path, "mine", "mine 2")
    assert (tmp_path / "README.md").read_text() == (
        f"# mine 2: an enhancer\n\n    smdiffusion enhance {quoted('mine 2')} w.tif\n\n- mine.tif\n"
    )
