"""The jobs that train an enhancer and that enhance: sources, mixtures, failures, files, stops."""

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


def test_python_trains_with_simulated_structures_mixed_in_and_a_fitted_microscope(storm, widefield):
    settings = {"upscale": 4, "steps": 1, "batch": 1, "channels": 8, "patch": 64, "previews": 0}
    enhancer = Enhancer.train(storm, fit=widefield, simulated=[("mitochondria", 0.5)], **settings)
    assert enhancer.facts.weights == (1.0, 0.5)
    assert enhancer.facts.training_data[1].kind == "simulated"
    low, high = enhancer.microscope.photons_range
    assert high == pytest.approx(4 * low)


def test_simulated_structures_alone_have_the_pixel_size_that_is_given():
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
def test_a_training_that_cannot_be_is_refused_when_the_job_is_made(fields, message):
    with pytest.raises(InputError, match=message):
        TrainEnhancerJob(**fields)


def test_what_fails_does_not_cost_the_others_and_is_in_the_result(tiny_enhancer, widefield, tmp_path):
    empty = Image(0 * widefield.pixels, 80.0, name="empty")
    write_image(tmp_path / "cell.tif", widefield)
    events = []
    job = EnhanceJob(tiny_enhancer, [widefield, empty, tmp_path], error_map=True)
    result = run(job.steps(), events.append)
    assert [event.index for event in events if isinstance(event, PartDone)] == [0, 2]
    assert [one.index for one in result.images] == [0, 2]
    np.testing.assert_array_equal(*(one.enhancement.image.pixels for one in result.images))
    assert all(one.error.provenance.rsp for one in result.images)
    assert [one.sentence[:25] for one in result.failures] == ["empty could not be enhanc"]
    assert (result.count, result.stopped) == (3, False)
    with pytest.raises(InputError, match="All pixels of empty"):
        run(EnhanceJob(tiny_enhancer, empty).steps())
    with pytest.raises(InputError, match=r"first could not be enhanced: .* second could not be enhanced: "):
        run(EnhanceJob(tiny_enhancer, [dataclasses.replace(empty, name=name) for name in ("first", "second")]).steps())


def test_results_in_files_are_those_in_memory(tiny_enhancer, widefield, tmp_path):
    settings, notes = EnhanceConfig(uncertainty=True), []
    job = EnhanceJob(tiny_enhancer, widefield, settings, error_map=True, out=tmp_path / "x.tif")
    (written,) = run(job.steps(), notes.append).images
    (expected,) = run(dataclasses.replace(job, out=None).steps()).images
    for one, other in (
        (written.enhancement.image, expected.enhancement.image),
        (written.enhancement.uncertainty, expected.enhancement.uncertainty),
        (written.error, expected.error),
    ):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.provenance.to_json() == other.provenance.to_json()
        assert (one.pixel_size, one.origin) == (other.pixel_size, other.origin)
    said = [note.message for note in notes if isinstance(note, Note)]
    assert [f"x{end}.tif" in line for end, line in zip(("", "_uncertainty", "_error"), said, strict=True)] == [True] * 3


def test_a_stop_keeps_what_is_enhanced(tiny_enhancer, widefield):
    job = EnhanceJob(tiny_enhancer, [widefield, widefield])
    asked = itertools.count()
    run(EnhanceJob(tiny_enhancer, widefield).steps(lambda: next(asked) < 0))
    once, asked = next(asked), itertools.count()
    result = run(job.steps(lambda: next(asked) >= once))
    assert ([one.index for one in result.images], result.stopped) == ([0], True)
    with pytest.raises(Stopped):
        run(job.steps(lambda: True))
