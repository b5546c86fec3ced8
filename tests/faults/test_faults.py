"""The short form of `benchmarks.faults`, and whether it finds what it looks for."""

import os
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from benchmarks import common, faults
from napari_smdiffusion import Image, read_image, write_image

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork and the limits of Linux")
WORKS = {work.name: work for work in faults.WORKS}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Return a folder with the images and models of all works."""
    folder = tmp_path_factory.mktemp("inputs")
    faults.prepare(folder)
    return folder


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("kill", "save"),
        ("kill", "generate"),
        ("size", "generate"),
        ("disk", "save"),
        ("removed", "save"),
        ("permission", "generate"),
        ("power", "enhance stores"),
        ("power", "save"),
    ],
)
def test_a_fault_leaves_whole_results_that_the_next_run_completes(inputs, fault, name):
    if fault == "disk" and not _may_mount():
        pytest.skip("needs the privilege to mount a disk")
    found = faults.measured(inputs, fault, WORKS[name], 1, seed=1)
    assert faults.faulty(found) == {}
    assert found["tried"] == 1
    assert found.get("renames", 1) > 0


def _may_mount():
    child = os.fork()  # this process would keep the mounts
    if child == 0:
        code = 1
        try:
            with faults._as("disk"):
                code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _careless(folder):
    """Write a result in place, as a program does that takes no care."""
    with (folder / "out" / "i.tif").open("wb") as file:
        file.write(b"II*\0")
        file.flush()
        time.sleep(0.5)
    write_image(folder / "out" / "i.tif", read_image(folder / "cell.tif"))


def test_a_result_that_is_written_in_place_is_found(inputs):
    work = replace(WORKS["save"], name="careless", call=_careless)
    found = faults.measured(inputs, "kill", work, 3, seed=0)
    assert faults.faulty(found)["half"] > 0


def _too_early(folder):
    """Rename a file that is not on the disk."""
    hidden = folder / "out" / ".i.tif"
    tifffile.imwrite(hidden, np.zeros((32, 32), np.float32))
    os.replace(hidden, folder / "out" / "i.tif")


def test_a_rename_without_fsync_is_found(inputs):
    work = replace(WORKS["save"], name="early", call=_too_early, replaces=False)
    assert faults.faulty(faults.measured(inputs, "power", work, 1, seed=0)) == {"wrong order": 2}


def _litter(folder):
    write_image(folder / "out" / "i.tif", Image(np.zeros((32, 32), np.float32)))
    (folder / "out" / ".litter").touch()
    (folder / "tmp" / "more").touch()


def test_litter_is_found(inputs):
    work = replace(WORKS["save"], name="litter", call=_litter, replaces=False)
    assert faults.faulty(faults.measured(inputs, "power", work, 1, seed=0)) == {"litter": 1, "temporary files": 1}


def test_a_cut_run_goes_on_and_the_table_follows(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(faults, "prepare", lambda folder: None)
    tried = []

    def measured(folder, fault, work, times, seed, first):
        tried.append((work.name, times, first))
        return {"fault": fault, "work": work.name, "seed": seed, "tried": times, "half": first, "shown": ["a | b"]}

    monkeypatch.setattr(faults, "measured", measured)
    works = [WORKS["save"], WORKS["generate"]]
    assert faults.measure(["kill"], works[:1], 2, 0, again=False)
    assert faults.measure(["kill"], works, 2, 0, again=False)
    assert tried == [("save", 2, 0), ("generate", 2, 0)]
    assert not faults.measure(["kill"], works[:1], 13, 0, again=False)  # the later ones have faults
    assert tried[2:] == [("save", 10, 2), ("save", 1, 12)]
    text = faults.with_table(f"above\n{faults._BEGIN}old{faults._END}\nbelow", common.entries("faults"))
    assert text.startswith("above")
    assert text.endswith("below")
    assert "| killed (SIGKILL) | generate | 2, 0 | nothing | a \\| b |" in text


def test_the_table_in_the_docs_is_that_of_the_results():
    text = faults.TABLE.read_text(encoding="utf-8")
    assert faults.with_table(text, common.entries(faults.RESULT)) == text
