"""Tests of the demo, with trainings of seconds."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import DemoJob, Image, Stopped, load_diffusion_model, read_image, simulate
from napari_smdiffusion.base.events import Event, Note, run
from napari_smdiffusion.recipes import demo

RESULTS = ("generated.tif", "enhanced.tif", "overview.png", "report.json")


def _check(folder, report):
    assert all((folder / name).stat().st_size > 1000 for name in RESULTS)
    assert json.loads((folder / "report.json").read_text()) == report
    assert set(report) >= {"realism", "seconds", "provenance"}
    # If the held-out part has too few patches for the search for copies, the report has the reason.
    assert ("memorization" in report) != ("memorization_left_out" in report)
    assert set(report["seconds"]) == {"train", "generate", "train_enhancer", "enhance", "judge"}


@pytest.fixture
def two_fields(monkeypatch, quick_calibration):
    """Generate two fields of 256² pixels instead of eight of 512²."""
    assert (demo._FIELDS, demo._FIELD) == (8, 512)
    monkeypatch.setattr(demo, "_FIELDS", 2)
    monkeypatch.setattr(demo, "_FIELD", 256)


@pytest.mark.slow
def test_the_demo_runs_on_the_bundled_sample(tmp_path, two_fields):
    from napari_smdiffusion.cli.entry import main

    assert main(["demo", "--out", str(tmp_path), "--minutes", "0.02"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    _check(tmp_path, report)
    assert set(report["enhancement"]) == {"enhanced", "interpolated", "registered", "misplaced", "columns"}
    assert read_image(tmp_path / "generated.tif").pixels.shape == (2, 256, 256)


def test_a_stopped_demo_keeps_its_results_and_names_their_folder(tmp_path):
    """The demo is stopped when its diffusion model is saved."""
    image = simulate("microtubules", size=256, pixel_size=20.0, seed=2)
    model_folder = tmp_path / "diffusion_model"
    steps = DemoJob([image], upscale=4, minutes=0.01, out=tmp_path).steps(model_folder.exists)
    with pytest.raises(Stopped, match=re.escape(f"results so far are kept in {tmp_path}")):
        run(steps)
    assert [path.name for path in tmp_path.iterdir()] == ["diffusion_model"]
    assert load_diffusion_model(model_folder).facts.steps > 0


def test_a_demo_that_is_stopped_before_training_writes_nothing(tmp_path):
    image = simulate("microtubules", size=256, pixel_size=20.0, seed=2)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(Stopped, match=r"nothing was trained\.$"):
        run(DemoJob([image], upscale=4, minutes=1, out=tmp_path).steps(lambda: True))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["diffusion_model", "enhancer"])
def test_the_demo_keeps_a_model_of_another_name(tmp_path, tiny_model, name):
    tiny_model.save(tmp_path / name)
    image = simulate("microtubules", size=256, pixel_size=20.0, seed=2)
    with pytest.raises(FileExistsError, match=rf"{name} holds the model .*, which is not from a demo"):
        run(DemoJob([image], upscale=4, minutes=1, out=tmp_path).steps())
    (tmp_path / name / "model.json").write_text("{damaged")
    with pytest.raises(FileExistsError, match=rf"{name} holds the model without a name, which is not from a demo"):
        run(DemoJob([image], upscale=4, minutes=1, out=tmp_path).steps())


def test_the_demo_refuses_images_of_two_fields_before_it_trains(tmp_path):
    image = simulate("microtubules", size=256, pixel_size=20.0, seed=2)
    widefield = Image(np.ones((64, 64)), 106.0)
    with pytest.raises(ValueError, match="correct a pixel size"):
        run(DemoJob([image], widefield, image, 4, minutes=1, out=tmp_path).steps())
    assert not list(tmp_path.iterdir())


def test_the_demo_takes_a_stack_with_an_empty_part_and_begins_from_the_bundled_model(
    tmp_path, tiny_enhancer, monkeypatch, two_fields
):
    """The working folder holds another model named microtubules; the first plane is empty where it is compared."""
    tiny_enhancer.save(tmp_path / "microtubules")
    monkeypatch.chdir(tmp_path)
    stack = simulate("microtubules", count=2, size=256, pixel_size=20.0, seed=2)
    pixels = stack.pixels.copy()
    pixels[0, :, 128:] = 0
    stack = replace(stack, pixels=pixels)
    report = run(DemoJob([stack], upscale=4, minutes=0.01, out=tmp_path / "out").steps())
    assert report["provenance"]["started_from"] == "microtubules"
    assert read_image(tmp_path / "out" / "enhanced.tif").pixels.shape == (1, 256, 128)
    assert "is constant" in report["enhancement_left_out"]
    assert (tmp_path / "out" / "overview.png").exists()


def test_the_demo_locates_the_super_resolution_image_in_a_larger_widefield_image(tmp_path, two_fields):
    from scipy.ndimage import gaussian_filter

    whole = simulate("microtubules", size=640, pixel_size=20.0, seed=2)
    blurred = gaussian_filter(whole.pixels[0], 6).reshape(160, 4, 160, 4).mean((1, 3)) * 100
    widefield = Image(blurred + np.random.default_rng(0).normal(0, 0.5, blurred.shape), 80.0)
    image = whole.crop(slice(80, 80 + 512), slice(40, 40 + 560))
    events: list[Event] = []
    report = run(DemoJob([image], widefield, upscale=4, minutes=0.02, out=tmp_path).steps(), events.append)
    assert any("too few to learn" in event.message for event in events if isinstance(event, Note))
    _check(tmp_path, report)
    assert report["enhancement"]["columns"] == [420, 560]
    assert report["enhancement"]["interpolated"]["correlation_blurred"] > 0.4
    assert read_image(tmp_path / "enhanced.tif").size == (512, 560)
