"""Results that are written as they are computed: killed, stopped and resumed runs of generate and enhance."""

import shutil
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import (
    EnhanceConfig,
    EnhanceJob,
    GenerateConfig,
    GenerateJob,
    Image,
    InputError,
    Stopped,
    read_image,
)
from napari_smdiffusion.base.events import Generated, TileDone, run
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.images import unfinished
from napari_smdiffusion.images.tiff import ResultElsewhereError
from napari_smdiffusion.images.unfinished import part_of
from napari_smdiffusion.images.unfinished import unfinished as hold_marks

from .interrupted import run_until

_IMAGES = GenerateConfig(count=4, height=64, width=64, steps=2, batch=2)
_TILES = EnhanceConfig(tile=64, uncertainty=True)


@pytest.fixture
def widefield(widefield):
    """Return a part of the widefield image that has four tiles."""
    return widefield.crop(slice(0, 80), slice(0, 80))


@pytest.fixture(autouse=True)
def _marks_at_once(monkeypatch):
    monkeypatch.setattr(unfinished, "_SECONDS", 0.0)


def _names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "home")


def _count(job, kind):
    """Run a job, and return its result and the number of its results of a kind."""
    seen = []
    return run(job.steps(), lambda event: seen.append(isinstance(event, kind))), sum(seen)


@pytest.mark.parametrize("kill", [False, True])
def test_an_interrupted_generation_goes_on_with_the_same_images(tmp_path, tiny_model, kill):
    job = GenerateJob(tiny_model, _IMAGES, tmp_path / "g.tif")
    run_until(job, Generated, 2, kill=kill)
    assert (tmp_path / "g.tif").exists() is not kill
    with pytest.raises(InputError, match=r"g\.tif was begun with seed 0, not 4"):
        run(replace(job, settings=replace(_IMAGES, seed=4), resume=True).steps())
    images, count = _count(replace(job, resume=True), Generated)
    assert count < 4
    assert np.array_equal(images.pixels, run(GenerateJob(tiny_model, _IMAGES).steps()).pixels)
    assert _names(tmp_path) == ["g.tif"]


def test_more_images_are_generated_into_a_finished_file(tmp_path, tiny_model):
    run(GenerateJob(tiny_model, _IMAGES, tmp_path / "g.tif").steps())
    more = GenerateJob(tiny_model, replace(_IMAGES, count=5), tmp_path / "g.tif", resume=True)
    images, count = _count(more, Generated)
    assert (len(images), count) == (5, 2)  # the last batch is completed
    assert np.array_equal(images.pixels, run(replace(more, out=None, resume=False).steps()).pixels)


def test_a_resumed_generation_of_another_model_is_refused(tmp_path, tiny_model):
    run(GenerateJob(tiny_model, _IMAGES, tmp_path / "g.tif").steps())
    other = replace(tiny_model, unet=_changed(tiny_model.unet))
    with pytest.raises(InputError, match="was begun with another weights"):
        run(GenerateJob(other, _IMAGES, tmp_path / "g.tif", resume=True).steps())
    assert _names(tmp_path) == ["g.tif"]


def _changed(network):
    network = deepcopy(network)
    next(network.parameters()).data += 1
    return network


def test_a_run_without_resume_begins_again_and_removes_the_files_of_a_killed_run(tmp_path, tiny_model):
    job = GenerateJob(tiny_model, _IMAGES, tmp_path / "g.tif")
    run_until(job, Generated, 2, kill=True)
    assert part_of(tmp_path / "g.tif").exists()
    assert _count(job, Generated)[1] == 4
    assert _names(tmp_path) == ["g.tif"]


@pytest.mark.parametrize("kill", [False, True])
def test_an_interrupted_enhancement_goes_on_with_the_same_pixels(tmp_path, tiny_enhancer, widefield, kill):
    job = EnhanceJob(tiny_enhancer, widefield, _TILES, out=tmp_path / "x.tif")
    if kill:
        run_until(job, TileDone, 2, kill=True)
    else:
        with pytest.raises(Stopped, match=r"x\.tif is not finished\. To go on .* --resume"):
            run_until(job, TileDone, 2)
    assert not (tmp_path / "x.tif").exists()
    for other, what in (
        (replace(job, settings=replace(_TILES, confidence=0.5)), "with confidence 0.9, not 0.5"),
        (replace(job, widefield=Image(widefield.pixels + 1, 80.0, widefield.origin)), "with another widefield_image"),
    ):
        with pytest.raises(InputError, match=what):
            run(replace(other, resume=True).steps())
    result, count = _count(replace(job, resume=True), TileDone)
    whole, all_tiles = _count(replace(job, out=None), TileDone)
    assert count == all_tiles - 2
    for name in ("image", "uncertainty"):
        resumed, expected = (getattr(each.images[0].enhancement, name) for each in (result, whole))
        assert np.array_equal(resumed.pixels, expected.pixels)
        assert resumed.provenance["settings"] == expected.provenance["settings"]
    assert _names(tmp_path) == ["x.tif", "x_uncertainty.tif"]


def test_a_killed_run_that_replaces_a_result_is_resumed(tmp_path, tiny_model, tiny_enhancer, widefield):
    """The former result is of other settings: it is kept until the new one is complete, and no reason to refuse."""
    generate = GenerateJob(tiny_model, _IMAGES, tmp_path / "g.tif")
    enhance = EnhanceJob(tiny_enhancer, widefield, _TILES, out=tmp_path / "x.tif")
    run(replace(generate, settings=replace(_IMAGES, seed=4)).steps())
    run(replace(enhance, settings=replace(_TILES, confidence=0.5)).steps())
    former = {name: read_image(tmp_path / name).pixels for name in ("g.tif", "x.tif", "x_uncertainty.tif")}
    run_until(generate, Generated, 1, kill=True)
    run_until(enhance, TileDone, 2, kill=True)
    assert all(np.array_equal(read_image(tmp_path / name).pixels, pixels) for name, pixels in former.items())
    run(replace(generate, resume=True).steps())
    assert _count(replace(enhance, resume=True), TileDone)[1] < 4
    assert np.array_equal(read_image(tmp_path / "g.tif").pixels, run(GenerateJob(tiny_model, _IMAGES).steps()).pixels)
    assert not np.array_equal(read_image(tmp_path / "x_uncertainty.tif").pixels, former["x_uncertainty.tif"])
    assert _names(tmp_path) == ["g.tif", "x.tif", "x_uncertainty.tif"]


@pytest.mark.parametrize("resume", [False, True])
def test_the_maps_of_a_former_result_are_not_taken_for_those_of_a_killed_run(
    tmp_path, tiny_enhancer, widefield, resume
):
    """A run that replaces a result can be killed between the renames of the result and of its map."""
    job = EnhanceJob(tiny_enhancer, widefield, _TILES, out=tmp_path / "x.tif")
    run(job.steps())
    right = read_image(tmp_path / "x_uncertainty.tif").pixels
    run(replace(job, settings=replace(_TILES, confidence=0.5), out=tmp_path / "y.tif").steps())
    (tmp_path / "y_uncertainty.tif").replace(tmp_path / "x_uncertainty.tif")
    assert not np.array_equal(read_image(tmp_path / "x_uncertainty.tif").pixels, right)
    run(replace(job, resume=resume).steps())
    np.testing.assert_array_equal(read_image(tmp_path / "x_uncertainty.tif").pixels, right)


def test_finished_images_of_an_interrupted_run_are_kept(tmp_path, tiny_enhancer, widefield):
    second = Image(widefield.pixels[:, ::-1].copy(), 80.0, name="other")
    job = EnhanceJob(tiny_enhancer, [widefield, second], EnhanceConfig(tile=64), out=tmp_path / "all")
    _, all_tiles = _count(job, TileDone)
    (tmp_path / "all" / "other_enhanced.tif").unlink()
    before = (tmp_path / "all" / "cell_enhanced.tif").stat().st_mtime_ns
    result, count = _count(replace(job, resume=True), TileDone)
    assert (len(result.images), count) == (2, all_tiles // 2)
    assert (tmp_path / "all" / "cell_enhanced.tif").stat().st_mtime_ns == before
    result = run(replace(job, widefield=[second, widefield.crop(slice(0, 64), slice(0, 64))], resume=True).steps())
    assert "was begun with another widefield_image" in result.failures[0].sentence


def test_two_runs_do_not_write_one_file(tmp_path):
    with hold_marks(tmp_path / "x.tif", {}, resume=False):
        second = hold_marks(tmp_path / "x.tif", {}, resume=False)
        with pytest.raises(OSError, match="Another run is writing"):
            second.__enter__()
    assert _names(tmp_path) == []


def test_results_whose_folder_is_removed_are_written_again(tmp_path, tiny_enhancer, widefield):
    removed = []

    def remove(event):
        if isinstance(event, TileDone) and not removed:
            removed.append(shutil.rmtree(tmp_path / "out"))

    job = EnhanceJob(tiny_enhancer, widefield, EnhanceConfig(tile=64), out=tmp_path / "out" / "x.tif")
    result = run(job.steps(), remove)
    expected = run(replace(job, out=None).steps())
    assert np.array_equal(result.images[0].enhancement.image.pixels, expected.images[0].enhancement.image.pixels)


def test_a_result_whose_folder_became_a_file_is_in_the_folder_of_the_user(tmp_path, tiny_enhancer, widefield):
    removed = []

    def replace_folder(event):
        if isinstance(event, TileDone) and not removed:
            removed.append(shutil.rmtree(tmp_path / "out"))
            (tmp_path / "out").touch()

    job = EnhanceJob(tiny_enhancer, widefield, EnhanceConfig(tile=64), out=tmp_path / "out" / "x.tif")
    with pytest.raises(ResultElsewhereError, match="The result is in"):
        run(job.steps(), replace_folder)
    assert len(list((user_folder() / "results").iterdir())) == 1


def test_resume_needs_a_file():
    with pytest.raises(InputError, match="out must name"):
        GenerateJob("tiny", resume=True)
    with pytest.raises(InputError, match="out must name"):
        EnhanceJob("tiny", "a.tif", resume=True)
