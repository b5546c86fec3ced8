"""Tests of TrainEnhancerJob and EnhanceJob: sources, simulated images, failures, files and stops."""

import dataclasses
import itertools

import numpy as np
import pytest

from napari_smdiffusion import (
    EnhanceConfig,
    EnhanceJob,
    Enhancer,
    EnhancerConfig,
    Image,
    InputError,
    Stopped,
    TrainEnhancerJob,
    run,
    write_image,
)
from napari_smdiffusion.base.events import Note, PartDone

TINY = EnhancerConfig(upscale=4, steps=1, batch=1, channels=8, patch=64, previews=0)


def test_enhancer_train_mixes_in_simulated_images_and_fits_the_microscope(storm, widefield):
    settings = {"upscale": 4, "steps": 1, "batch": 1, "channels": 8, "patch": 64, "previews": 0}
    enhancer = Enhancer.train(storm, fit=widefield, simulated=[("mitochondria", 0.5)], **settings)
    assert enhancer.facts.weights == (1.0, 0.5)
    assert enhancer.facts.training_data[1].kind == "simulated"
    low, high = enhancer.microscope.photons_range
    assert high == pytest.approx(4 * low)


def test_simulated_images_alone_have_the_pixel_size_of_the_job():
    job = TrainEnhancerJob(simulated=[("microtubules", 1)], settings=TINY, pixel_size=30)
    assert run(job.steps()).pixel_size == 30


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Give at least one super-resolution image, or a simulated structure"),
        ({"simulated": [("ribosomes", 1)]}, "'ribosomes'.*microtubules"),
        ({"simulated": [("microtubules", -1)]}, "must be a number of at least 0, not -1"),
        ({"images": "a.tif", "widefield": "w.tif", "fit": "w.tif"}, "leave out the simulated images and the fit"),
    ],
)
def test_a_training_job_refuses_contradictory_fields_when_it_is_created(fields, message):
    with pytest.raises(InputError, match=message):
        TrainEnhancerJob(**fields)


def test_enhancing_continues_after_a_failure_and_returns_it(tiny_enhancer, widefield, tmp_path):
    empty = Image(0 * widefield.pixels, 80.0, name="empty")
    write_image(tmp_path / "cell.tif", widefield)
    events = []
    job = EnhanceJob(tiny_enhancer, [widefield, empty, tmp_path], error_map=True)
    result = run(job.steps(), events.append)
    assert [event.index for event in events if isinstance(event, PartDone)] == [0, 2]
    assert [image.index for image in result.images] == [0, 2]
    np.testing.assert_array_equal(*(image.enhancement.image.pixels for image in result.images))
    assert all(image.error.provenance.rsp for image in result.images)
    assert [failure.sentence[:25] for failure in result.failures] == ["empty could not be enhanc"]
    assert (result.count, result.stopped) == (3, False)
    with pytest.raises(InputError, match="All pixels of empty"):
        run(EnhanceJob(tiny_enhancer, empty).steps())
    with pytest.raises(InputError, match=r"first could not be enhanced: .* second could not be enhanced: "):
        run(EnhanceJob(tiny_enhancer, [dataclasses.replace(empty, name=name) for name in ("first", "second")]).steps())


def test_results_in_files_are_equal_to_results_in_memory(tiny_enhancer, widefield, tmp_path):
    settings, notes = EnhanceConfig(uncertainty=True), []
    job = EnhanceJob(tiny_enhancer, widefield, settings, error_map=True, out=tmp_path / "x.tif")
    (written,) = run(job.steps(), notes.append).images
    (expected,) = run(dataclasses.replace(job, out=None).steps()).images
    for in_file, in_memory in (
        (written.enhancement.image, expected.enhancement.image),
        (written.enhancement.uncertainty, expected.enhancement.uncertainty),
        (written.error, expected.error),
    ):
        np.testing.assert_array_equal(in_file.pixels, in_memory.pixels)
        assert in_file.provenance.to_json() == in_memory.provenance.to_json()
        assert (in_file.pixel_size, in_file.origin) == (in_memory.pixel_size, in_memory.origin)
    messages = [note.message for note in notes if isinstance(note, Note)]
    names = [f"x{end}.tif" for end in ("", "_uncertainty", "_error")]
    assert all(name in message for name, message in zip(names, messages, strict=True))


def test_a_stop_keeps_the_finished_images(tiny_enhancer, widefield):
    job = EnhanceJob(tiny_enhancer, [widefield, widefield])
    calls = itertools.count()
    run(EnhanceJob(tiny_enhancer, widefield).steps(lambda: next(calls) < 0))
    calls_of_one_image, calls = next(calls), itertools.count()
    result = run(job.steps(lambda: next(calls) >= calls_of_one_image))
    assert ([image.index for image in result.images], result.stopped) == ([0], True)
    with pytest.raises(Stopped):
        run(job.steps(lambda: True))
