"""Tests of EnhanceJob with posterior samples: in memory, in files, refused, stopped, killed and resumed."""

from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import (
    Axis,
    EnhanceConfig,
    EnhanceJob,
    EnhancerConfig,
    Image,
    InputError,
    Stopped,
    TrainEnhancerJob,
)
from napari_smdiffusion.base import memory
from napari_smdiffusion.base.events import Note, SampleDone, run
from napari_smdiffusion.images import unfinished
from napari_smdiffusion.images.provenance import RESULT_KINDS
from napari_smdiffusion.images.reading import image_files, kind_of_file, read_image
from napari_smdiffusion.recipes import enhanced_files
from napari_smdiffusion.recipes.train_enhancer import interrupted_enhancer_training

from .interrupted import run_until
from .test_unfinished import _count

_SAMPLES = EnhanceConfig(samples=3, seed=4, uncertainty=True)


@pytest.fixture
def widefield(widefield):
    return widefield.crop(slice(0, 24), slice(0, 32))


@pytest.fixture(autouse=True)
def _marks_at_once(monkeypatch):
    monkeypatch.setattr(unfinished, "_SECONDS", 0.0)


def _results(result):
    enhancement = result.images[0].enhancement
    return {name: getattr(enhancement, name) for name in ("image", "uncertainty", "samples", "trust")}


def test_samples_in_files_are_equal_to_samples_in_memory(tiny_sampler, widefield, tmp_path):
    notes = []
    job = EnhanceJob(tiny_sampler, widefield, _SAMPLES, error_map=True, out=tmp_path / "x.tif")
    written, expected = _results(run(job.steps(), notes.append)), _results(run(replace(job, out=None).steps()))
    assert expected["samples"].pixels.std(axis=0).max() > 0
    for name, image in expected.items():
        np.testing.assert_array_equal(written[name].pixels, image.pixels)
        assert written[name].pixel_size == image.pixel_size == 20
        assert written[name].provenance.settings["samples"] == 3
    names = ["x.tif", *(f"x_{end}.tif" for end in ("error", "samples", "trust", "uncertainty"))]
    assert sorted(path.name for path in tmp_path.glob("*.tif")) == names
    messages = [note.message for note in notes if isinstance(note, Note)]
    assert all(any(name in message for message in messages) for name in names)
    assert any("% of the light of the best estimate is at places that at least nine of ten" in m for m in messages)
    with pytest.raises(FileNotFoundError, match="only results"):
        image_files([tmp_path], left_out=RESULT_KINDS)
    assert kind_of_file(tmp_path / "x_samples.tif") == "posterior samples"
    stated = read_image(tmp_path / "x_uncertainty.tif").provenance
    assert (stated.settings["confidence"], stated["blurred_by_pixels"]) == (None, 2.0)  # there is no calibration


def test_all_planes_count_when_space_is_looked_for(tiny_sampler, widefield, tmp_path, monkeypatch):
    counted = []
    monkeypatch.setattr(enhanced_files, "check_space", lambda path, shape: counted.append(shape[0]) or _no_space())
    with pytest.raises(OSError, match="no space"):
        run(EnhanceJob(tiny_sampler, widefield, _SAMPLES, out=tmp_path / "x.tif").steps())
    assert counted == [6]  # the best estimate, two maps and three samples
    assert not list(tmp_path.glob("*.tif"))


def _no_space():
    raise OSError("no space")


@pytest.mark.parametrize("kill", [False, True])
def test_interrupted_samples_go_on_with_the_same_pixels(tiny_sampler, widefield, tmp_path, kill):
    job = EnhanceJob(tiny_sampler, widefield, _SAMPLES, out=tmp_path / "x.tif")
    if kill:
        run_until(job, SampleDone, 2, kill=True)
    else:
        with pytest.raises(Stopped, match=r"x\.tif is not finished\. To go on .* --resume"):
            run_until(job, SampleDone, 2)
    assert not list(tmp_path.glob("[!.]*.tif"))
    for settings, what in ((replace(_SAMPLES, seed=5), "seed 4, not 5"), (replace(_SAMPLES, samples=4), "samples 3")):
        with pytest.raises(InputError, match=f"was begun with {what}"):
            run(replace(job, settings=settings, resume=True).steps())
    resumed, count = _count(replace(job, resume=True), SampleDone)
    whole, all_samples = _count(replace(job, out=None), SampleDone)
    assert (count, all_samples) == (1, 3)
    for name, expected in _results(whole).items():
        np.testing.assert_allclose(_results(resumed)[name].pixels, expected.pixels, rtol=1e-5, atol=1e-4)
    notes = []
    assert run(replace(job, resume=True).steps(), notes.append).images[0].enhancement.samples is not None
    assert any(isinstance(note, Note) and "x.tif is finished already" in note.message for note in notes)
    assert not list(tmp_path.glob(".x*"))


def test_a_stop_in_memory_keeps_the_samples_that_are_complete(tiny_sampler, widefield):
    result = run_until(EnhanceJob(tiny_sampler, widefield, _SAMPLES), SampleDone, 2)
    assert (result.stopped, len(result.images[0].enhancement.samples)) == (True, 2)
    whole = run(EnhanceJob(tiny_sampler, widefield, replace(_SAMPLES, samples=2)).steps())
    for name, image in _results(whole).items():
        np.testing.assert_array_equal(_results(result)[name].pixels, image.pixels)


def test_the_methods_of_an_enhancer_draw_samples(tiny_sampler, widefield):
    result = tiny_sampler.enhance_with_uncertainty(widefield, samples=2, seed=3)
    assert (len(result.samples), len(result.trust)) == (2, 1)
    assert 0 <= result.agreement <= 1
    mean = tiny_sampler.enhance(widefield, samples=2, seed=3)
    np.testing.assert_array_equal(mean.pixels, result.image.pixels)
    assert mean.provenance.meaning.startswith("mean of ")


def test_the_samples_of_a_time_lapse_have_its_axes(tiny_sampler, widefield, tmp_path):
    pixels = np.concatenate([widefield.pixels, 2 * widefield.pixels[:, ::-1]])
    film = Image(pixels, 80.0, axes=(Axis("T", 2, 2.5),))
    job = EnhanceJob(tiny_sampler, film, replace(_SAMPLES, samples=2), out=tmp_path / "x.tif")
    _results(run(job.steps()))
    samples, trust = (read_image(tmp_path / f"x_{word}.tif") for word in ("samples", "trust"))
    assert [(axis.name, axis.length, axis.step) for axis in samples.axes] == [("N", 2, None), ("T", 2, 2.5)]
    assert [(axis.name, axis.length, axis.step) for axis in trust.axes] == [("T", 2, 2.5)]
    alone = run(EnhanceJob(tiny_sampler, widefield, replace(_SAMPLES, samples=2)).steps()).images[0].enhancement
    np.testing.assert_allclose(samples.pixels[[0, 2]], alone.samples.pixels, rtol=1e-4, atol=1e-3)


class _Unread:
    """A source that must not be read."""

    name = "unread"

    def read(self, stop=lambda: False):
        raise AssertionError("read")


def test_samples_are_refused_before_any_image_is_read(tiny_enhancer):
    with pytest.raises(InputError, match="makes best estimates only: choose an enhancer with samples"):
        run(EnhanceJob(tiny_enhancer, _Unread(), EnhanceConfig(samples=2)).steps())
    training = TrainEnhancerJob(_Unread(), EnhancerConfig())
    with pytest.raises(InputError, match="samples need an enhancer that is trained for them"):
        EnhanceJob(training, _Unread(), EnhanceConfig(samples=2))
    EnhanceJob(replace(training, settings=EnhancerConfig(method="samples")), _Unread(), EnhanceConfig(samples=2))


def test_a_result_of_an_earlier_version_is_resumed(tiny_enhancer, widefield, tmp_path, monkeypatch):
    from napari_smdiffusion.enhance import applying

    stated = applying.to_dict
    monkeypatch.setattr(
        applying, "to_dict", lambda c: {k: v for k, v in stated(c).items() if k not in ("samples", "seed")}
    )
    job = EnhanceJob(tiny_enhancer, widefield, out=tmp_path / "x.tif")
    run(job.steps())
    monkeypatch.undo()
    events = []
    assert run(replace(job, resume=True).steps(), events.append).images[0].enhancement.samples is None
    assert any(isinstance(event, Note) and "finished already" in event.message for event in events)


def test_a_training_that_ended_before_its_samples_goes_on_with_all_its_minutes(tiny_enhancer, tiny_sampler, tmp_path):
    for name, enhancer in (("estimate", tiny_enhancer), ("samples", tiny_sampler)):
        # A complete best estimate states its share of the minutes.
        replace(enhancer, config=replace(enhancer.config, method="samples", minutes=2.0)).save(tmp_path / name)
    assert interrupted_enhancer_training(tmp_path / "estimate").config.minutes == pytest.approx(5.0)
    assert interrupted_enhancer_training(tmp_path / "samples") is None


@pytest.mark.parametrize(("settings", "remedy"), [(_SAMPLES, "draw fewer samples, "), (EnhanceConfig(), "")])
def test_results_larger_than_the_free_memory_are_refused_before_the_work(
    settings, remedy, tiny_sampler, widefield, tmp_path, monkeypatch
):
    monkeypatch.setattr(memory, "free_bytes", lambda: 100_000)
    job = EnhanceJob(tiny_sampler, widefield, settings)
    with pytest.raises(InputError, match=f"0.0 GB are free: {remedy}enhance a region, or write into files"):
        run(job.steps())
    assert run(replace(job, out=tmp_path / "x.tif").steps()).images
