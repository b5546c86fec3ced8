"""Folders of widefield images: which files are enhanced, and the table of what became of them."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import EnhanceConfig, EnhanceJob, Image, InputError, run, write_image
from napari_smdiffusion.base.errors import InputWarning
from napari_smdiffusion.base.events import Note, TileDone
from napari_smdiffusion.recipes import enhanced_table


@pytest.fixture
def job(tmp_path, tiny_enhancer, widefield):
    """Return a job for a folder with two cells, a constant image, a text and an image in RGB."""
    cell = widefield.crop(slice(0, 40), slice(0, 40))
    for name, pixels in (("cell1", cell.pixels), ("cell2", 2 * cell.pixels), ("flat", 0 * cell.pixels)):
        write_image(tmp_path / "in" / f"{name}.tif", Image(pixels, 80.0), np.float32)
    tifffile.imwrite(tmp_path / "in" / "odd.TIF", np.zeros((40, 40, 3), np.uint8), photometric="rgb")
    (tmp_path / "in" / "notes.txt").write_text("about the cells")
    return EnhanceJob(tiny_enhancer, tmp_path / "in", out=tmp_path / "out")


def _rows(job):
    with (job.out / "enhanced.csv").open(newline="", encoding="utf-8") as file:
        return {row["input"].replace("\\", "/").split("/")[-1]: row for row in csv.DictReader(file)}


def _statuses(job):
    return {name: row["status"] for name, row in _rows(job).items()}


def _run(job):
    """Run a job, and return its result, its messages and the number of its tiles."""
    events = []
    result = run(job.steps(), events.append)
    tiles = sum(isinstance(event, TileDone) for event in events)
    return result, [event.message for event in events if isinstance(event, Note)], tiles


def test_a_table_lists_what_became_of_each_file_with_its_messages(job):
    result, notes, _ = _run(job)
    states = {"cell1.tif": "enhanced", "cell2.tif": "enhanced", "flat.tif": "failed", "odd.TIF": "failed"}
    assert _statuses(job) == {**states, "notes.txt": "left out"}
    rows = _rows(job)
    assert rows["cell1.tif"]["output"] == str(job.out / "cell1_enhanced.tif")
    assert (rows["cell1.tif"]["pixel_size_nm"], float(rows["cell1.tif"]["seconds"]) > 0) == ("80", True)
    assert "All pixels of" in rows["flat.tif"]["warnings"]
    assert result.table == job.out / "enhanced.csv"
    assert any("no images of a microscope and are left out: notes.txt." in note for note in notes)
    assert notes[-1] == f"{result.table} lists the images of this run: 2 enhanced, 2 failed, 1 left out."
    # What is printed about an image is in its row.
    about = [note for note in notes if "cell1" in note and "out:" not in note]
    assert about
    assert all(note in rows["cell1.tif"]["warnings"] for note in about)


def test_a_second_run_skips_what_is_the_same_and_replaces_the_rows(job):
    _run(job)
    before = _rows(job)["cell1.tif"]
    _, _, tiles = _run(job)
    assert tiles == 0
    rows = _rows(job)
    assert [rows[name]["status"] for name in ("cell1.tif", "cell2.tif", "flat.tif")] == ["skipped", "skipped", "failed"]
    assert rows["cell1.tif"] == {**before, "status": "skipped"}
    assert len((job.out / "enhanced.csv").read_text(encoding="utf-8").splitlines()) == 6
    # Other settings, and an image that has changed, are enhanced anew.
    _run(replace(job, settings=EnhanceConfig(uncertainty=True)))
    assert _statuses(job)["cell1.tif"] == "enhanced"
    write_image(job.widefield[0] / "cell2.tif", Image(np.eye(40, dtype=np.float32), 80.0))
    _run(replace(job, settings=EnhanceConfig(uncertainty=True)))
    assert (_statuses(job)["cell1.tif"], _statuses(job)["cell2.tif"]) == ("skipped", "enhanced")


def test_a_failed_error_map_is_a_status_and_is_made_by_the_next_run(job, monkeypatch):
    job = replace(job, glob="CELL1.tif", error_map=True)
    with monkeypatch.context() as patch:
        patch.setattr("napari_smdiffusion.report.enhanced.error_map", lambda *_: 1 / 0)
        _run(job)
    assert _statuses(job) == {"cell1.tif": "enhanced without error map"}
    assert "division by zero" in _rows(job)["cell1.tif"]["warnings"]
    for status in ("enhanced", "skipped"):
        _run(job)
        assert (job.out / "cell1_enhanced_error.tif").exists()
        assert _statuses(job) == {"cell1.tif": status}


def test_warnings_of_a_reader_are_in_the_row_and_still_warn(job, monkeypatch):
    import warnings

    from napari_smdiffusion.recipes import enhance

    def read(source, *args):
        warnings.warn(InputWarning(f"{source} is cut off."), stacklevel=2)
        return Image(np.random.default_rng(0).random((40, 40), np.float32), 80.0, name=str(source))

    monkeypatch.setattr(enhance, "read_source", read)
    with pytest.warns(InputWarning, match=r"cell1\.tif is cut off"):
        _run(replace(job, glob="cell1*"))
    assert "cell1.tif is cut off." in _rows(job)["cell1.tif"]["warnings"]


def test_a_table_that_cannot_be_written_ends_no_run(job, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(enhanced_table.csv, "writer", refuse)
        result, notes, _ = _run(job)
    assert len(result.images) == 2
    assert "The table is incomplete" in notes[-1]
    # A line that was cut off by a kill is no row, and a later run completes the table.
    (job.out / "enhanced.csv").write_text("input,output,status,pixel_size_nm,seconds,warnings\nx,y\n", encoding="utf-8")
    _run(job)
    assert sorted(_statuses(job).values()) == ["failed", "failed", "left out", "skipped", "skipped"]


def test_a_file_that_is_no_such_table_and_wrong_patterns_are_refused(job):
    job.out.mkdir()
    (job.out / "enhanced.csv").write_text("my,own\n", encoding="utf-8")
    with pytest.raises(InputError, match="is not a table of enhanced images"):
        run(job.steps())
    with pytest.raises(InputError, match="glob x\\* matches no image"):
        run(replace(job, glob="x*").steps())
    with pytest.raises(InputError, match="glob chooses the files of a folder"):
        run(replace(job, widefield=job.widefield[0] / "cell1.tif", glob="x*").steps())
    with pytest.raises(InputError, match=r"without a folder, not '\.\./\*'"):
        replace(job, glob="../*")
