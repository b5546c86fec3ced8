"""Only regular files are opened, and text is read up to a limit."""

import os
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from napari_smdiffusion.base import regular_files
from napari_smdiffusion.base.errors import InputError
from napari_smdiffusion.base.json_values import checked, read_json
from napari_smdiffusion.base.regular_files import check_regular, open_regular, read_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes and devices in folders")


@pytest.fixture(params=["pipe", "link to a pipe", "link to /dev/zero", "folder"])
def irregular(request, tmp_path):
    path = tmp_path / "x"
    if request.param == "folder":
        path.mkdir()
    elif request.param == "link to /dev/zero":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / "p")
        path.symlink_to(tmp_path / "p")
        path = tmp_path / "p" if request.param == "pipe" else path
    return path


@pytest.mark.parametrize("function", [check_regular, open_regular, read_text])
def test_pipes_devices_and_folders_are_refused_at_once(irregular, function):
    with pytest.raises(InputError, match=f"{irregular} is a (pipe|device|folder) and cannot be read as a file: choose"):
        function(irregular)


def test_regular_files_and_links_to_them_are_read(tmp_path):
    (tmp_path / "a").write_text("größer")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_text(tmp_path / "b") == "größer"
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "c")


def test_long_and_foreign_text_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 11)
    assert len(read_text(tmp_path / "a", 11)) == 11
    with pytest.raises(InputError, match="a has more than"):
        read_text(tmp_path / "a", 10)
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="a is no text in UTF-8"):
        read_text(tmp_path / "a")


@pytest.mark.parametrize("depth", [70, 900, 100_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":@}'])
def test_deeply_nested_json_is_refused(depth, pair):
    opening, _, closing = pair.partition("@") if "@" in pair else ("[", "", "]")
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(opening * depth + "1" + closing * depth)
    assert read_json(opening * 60 + "1" + closing * 60)


def test_integers_that_no_program_writes_are_refused():
    assert read_json(str(2**64)) == 2**64
    with pytest.raises(ValueError, match="digits"):
        read_json("1" + "0" * 400)


def test_a_file_that_becomes_a_folder_while_it_is_opened_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    check, checks = regular_files._check_mode, []

    def exchanged(path, mode):
        checks.append(mode)
        check(path, mode if len(checks) == 1 else tmp_path.stat().st_mode)

    monkeypatch.setattr(regular_files, "_check_mode", exchanged)
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    with pytest.raises(InputError, match="a is a folder and cannot be read as a file"):
        open_regular(tmp_path / "a")
    assert before == (len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0)


@dataclass(frozen=True)
class _Facts:
    values: Any = None
    number: float = 0.0


def test_facts_that_no_program_can_hold_are_refused_in_a_sentence():
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(InputError, match="_Facts is nested too deeply"):
        checked(_Facts, {"values": nested})
    with pytest.raises(InputError, match="_Facts has a number that is too large"):
        checked(_Facts, {"values": 10**5000})
    with pytest.raises(InputError, match="number: "):
        checked(_Facts, {"number": "x"})
