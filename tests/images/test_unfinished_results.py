"""The hidden files of a result that is computed: damaged, of another shape, or in a place that cannot be written."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import Stopped, read_image
from napari_smdiffusion.images import unfinished
from napari_smdiffusion.images.provenance import Provenance
from napari_smdiffusion.images.unfinished import UnfinishedTiff, finish_all, part_of
from napari_smdiffusion.images.unfinished import unfinished as hold_marks

SHAPE = (2, 16, 16)


@pytest.fixture(autouse=True)
def _marks_at_once(monkeypatch):
    monkeypatch.setattr(unfinished, "_SECONDS", 0.0)


def _begin(target):
    """Leave a result whose first plane is finished, as a stopped run does."""
    with suppress(Stopped), hold_marks(target, {"seed": 1}, resume=False) as work:
        UnfinishedTiff(work, target, SHAPE).pixels[0] = 5
        work.add(0)
        raise Stopped("Stopped.")
    assert part_of(target).exists()


def _finished_and_pixels(target, shape=SHAPE):
    with hold_marks(target, {"seed": 1}, resume=True) as work:
        pixels = UnfinishedTiff(work, target, shape).pixels
        return set(work.finished), float(pixels.max())


def test_a_later_run_goes_on_unless_the_pixels_have_another_shape(tmp_path):
    target = tmp_path / "x.tif"
    _begin(target)
    assert _finished_and_pixels(target, (3, 16, 16)) == (set(), 0.0)
    _begin(target)
    assert _finished_and_pixels(target) == ({(0,)}, 5.0)


@pytest.mark.parametrize("damaged", [b"{\n[0]\n", b'{"seed": 1}\n5\n', b"[" * 100_000 + b"\n[0]\n"])
def test_damaged_marks_begin_the_result_again(tmp_path, damaged):
    target = tmp_path / "x.tif"
    _begin(target)
    (marks,) = (path for path in tmp_path.iterdir() if path not in (part_of(target), tmp_path / "home"))
    marks.write_bytes(damaged)
    assert _finished_and_pixels(target) == (set(), 0.0)


def test_a_disk_that_is_full_in_the_middle_of_a_mark_keeps_the_marks_before(tmp_path, monkeypatch):
    target, write = tmp_path / "x.tif", os.write

    def half(descriptor, lines):
        if b"[1]" not in lines:
            return write(descriptor, lines)
        write(descriptor, lines[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"), hold_marks(target, {"seed": 1}, resume=False) as work:  # noqa: PT012
        UnfinishedTiff(work, target, SHAPE).pixels[:] = 5
        work.add(0)
        work.commit()
        monkeypatch.setattr(os, "write", half)
        work.add(1)
        work.commit()
    assert _finished_and_pixels(target) == ({(0,)}, 5.0)


def test_a_damaged_mark_costs_its_part_only(tmp_path):
    target = tmp_path / "x.tif"
    _begin(target)
    (marks,) = (path for path in tmp_path.iterdir() if path not in (part_of(target), tmp_path / "home"))
    marks.write_bytes(marks.read_bytes() + b"[1[2]\n[3]\n")
    assert _finished_and_pixels(target) == ({(0,), (3,)}, 5.0)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve space")
def test_a_description_that_does_not_fit_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    with hold_marks(tmp_path / "x.tif", {}, resume=False) as work:
        file = UnfinishedTiff(work, tmp_path / "x.tif", SHAPE)
        before = part_of(tmp_path / "x.tif").read_bytes()
        monkeypatch.setattr(os, "posix_fallocate", _full)
        with pytest.raises(OSError, match=r"x\.tif cannot be written \(the disk is full\)"):
            file.restate(Provenance("enhanced", meaning="long" * 1000))
        assert part_of(tmp_path / "x.tif").read_bytes() == before


def test_marks_that_another_run_removed_are_made_again(tmp_path, monkeypatch):
    same = [False, True]
    monkeypatch.setattr(unfinished, "is_same_file", lambda descriptor, path: same.pop(0))
    with hold_marks(tmp_path / "x.tif", {}, resume=False):
        assert not same


def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    blocked = hold_marks(tmp_path / "file" / "x.tif", {}, resume=False)
    with pytest.raises(OSError, match=r"file/x\.tif cannot be written"):
        blocked.__enter__()
    with hold_marks(tmp_path / "x.tif", {}, resume=False) as work:
        with pytest.raises(OSError, match=r"file/x\.tif cannot be written"):
            UnfinishedTiff(work, tmp_path / "file" / "x.tif", SHAPE)
        with pytest.raises(OSError, match=r"x\.tif needs .* MB: free some space"):
            UnfinishedTiff(work, tmp_path / "x.tif", (10**6, 10**6, 10**6))
        file = UnfinishedTiff(work, tmp_path / "x.tif", SHAPE)
        monkeypatch.setattr(tifffile, "tiffcomment", _full)
        with pytest.raises(OSError, match=r"x\.tif cannot be written \(the disk is full\)"):
            file.restate(Provenance("enhanced"))


def _full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_each_of_several_results_that_cannot_be_renamed_is_named(tmp_path, monkeypatch):
    targets, replace = [tmp_path / "x.tif", tmp_path / "y.tif"], Path.replace

    def refuse(self, destination):
        if Path(destination) in targets:
            raise PermissionError(errno.EACCES, "in use")
        return replace(self, destination)

    monkeypatch.setattr(Path, "replace", refuse)
    with hold_marks(targets[0], {}, resume=False, others=(targets[1],)) as work:
        files = [UnfinishedTiff(work, target, SHAPE) for target in targets]
        for file in files:
            file.pixels[:] = 7
        with pytest.raises(OSError, match=r"x\.tif cannot be replaced .*y\.tif cannot be replaced") as error:
            finish_all(files)
    saved = [Path(part.split(".tif")[0] + ".tif") for part in str(error.value).split("is saved in ")[1:]]
    assert len(saved) == 2
    for path in saved:
        np.testing.assert_array_equal(read_image(path).pixels, np.full(SHAPE, 7))
