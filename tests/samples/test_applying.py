"""Posterior samples of images: seeds, stacks, stops, windows, and what is computed from them."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import EnhanceConfig, Image, InputError, Stopped, run
from napari_smdiffusion.base.events import SampleDone
from napari_smdiffusion.samples import applying
from napari_smdiffusion.samples.applying import sample_image_steps


def _sampled(enhancer, image, *, on_event=None, stop=lambda: False, finished=(), new_array=None, **settings):
    config = EnhanceConfig(**{"samples": 3, **settings})
    steps = sample_image_steps(enhancer, image, config, stop=stop, finished=finished, new_array=new_array)
    return run(steps, on_event)


@pytest.fixture(scope="module")
def cell():
    """Return a widefield image of 64 × 56 pixels of 80 nm."""
    light = np.random.default_rng(2).gamma(0.5, 200, (64, 56))
    return Image(light.astype(np.float32) + 100, 80.0, origin=(800.0, 400.0), name="cell")


@pytest.fixture(scope="module")
def result(tiny_sampler, cell):
    return _sampled(tiny_sampler, cell, uncertainty=True)


def test_samples_differ_and_the_best_estimate_contains_their_mean(result, tiny_sampler, cell):
    samples = result.samples.pixels
    assert samples.shape == (3, 256, 224)
    assert all(np.corrcoef(samples[0].ravel(), other.ravel())[0, 1] < 0.99 for other in samples[1:])
    estimate = tiny_sampler.enhance(cell).pixels[0]
    np.testing.assert_allclose(result.image.pixels[0], (16 * estimate + samples.sum(0)) / 19, rtol=2e-3, atol=0.1)
    assert (result.samples.pixel_size, result.samples.origin) == (20.0, (800.0, 400.0))
    assert result.samples.provenance.kind == "posterior samples"
    assert result.samples.provenance.seed == 0


def test_trust_is_the_share_of_samples_with_structure(result):
    shares = np.unique(np.round(3 * result.trust.pixels, 4))
    assert set(shares.tolist()) <= {0, 1, 2, 3}
    assert len(shares) > 2
    assert result.uncertainty.pixels.max() > 0


def test_a_sample_depends_on_the_seed_alone(tiny_sampler, cell, result):
    again = _sampled(tiny_sampler, cell, samples=1)
    np.testing.assert_array_equal(again.samples.pixels[0], result.samples.pixels[0])
    other = _sampled(tiny_sampler, cell, samples=1, seed=1)
    assert not np.array_equal(other.samples.pixels[0], result.samples.pixels[0])


def test_samples_take_the_evaluations_that_their_sampler_states(tiny_sampler, cell, result):
    sampler = tiny_sampler.sampler
    fewer = replace(tiny_sampler, sampler=replace(sampler, facts=replace(sampler.facts, evaluations=2)))
    assert fewer.digest() != tiny_sampler.digest()
    assert not np.allclose(_sampled(fewer, cell).samples.pixels, result.samples.pixels, rtol=1e-3)


def test_a_batch_gives_the_samples_of_single_runs(tiny_sampler, cell, result, monkeypatch):
    monkeypatch.setattr(applying, "_TOGETHER", {"cpu": 2})
    again = _sampled(tiny_sampler, cell)
    np.testing.assert_allclose(again.samples.pixels, result.samples.pixels, atol=2e-3 * result.samples.pixels.max())


def test_each_plane_of_a_stack_has_its_own_noise(tiny_sampler, cell, result):
    stack = Image(np.repeat(cell.pixels, 2, 0), 80.0, axes="TYX", name="movie")
    sampled = _sampled(tiny_sampler, stack, samples=2)
    assert [(axis.name, axis.length) for axis in sampled.samples.axes] == [("N", 2), ("T", 2)]
    assert sampled.image.axes == stack.axes
    first = sampled.samples.pixels.reshape(2, 2, 256, 224)
    np.testing.assert_array_equal(first[:, 0], result.samples.pixels[:2])
    assert not np.array_equal(first[:, 1], first[:, 0])


def test_a_stop_keeps_the_samples_that_are_complete(tiny_sampler, cell, result):
    events = []
    stop = lambda: any(isinstance(event, SampleDone) for event in events)  # noqa: E731
    stopped = _sampled(tiny_sampler, cell, on_event=events.append, stop=stop)
    np.testing.assert_array_equal(stopped.samples.pixels, result.samples.pixels[:1])
    with pytest.raises(Stopped):
        _sampled(tiny_sampler, cell, stop=lambda: True)


def test_finished_samples_are_not_drawn_again(tiny_sampler, cell, result):
    drawn = []
    arrays = {"samples": result.samples.pixels.copy()}
    arrays["samples"][1:] = 0

    def new_array(plan):
        return arrays.setdefault(plan.kind, np.zeros(plan.shape, np.float32))

    again = _sampled(tiny_sampler, cell, finished={(0, 0)}, on_event=drawn.append, new_array=new_array)
    assert [event.sample for event in drawn if isinstance(event, SampleDone)] == [1, 2]
    np.testing.assert_allclose(again.samples.pixels, result.samples.pixels, atol=1e-3)
    np.testing.assert_allclose(again.image.pixels, result.image.pixels, rtol=1e-3, atol=1e-2)


def test_windows_join_without_a_seam(tiny_sampler, cell, result, monkeypatch):
    monkeypatch.setattr(applying, "WINDOW", 160)
    joined = _sampled(tiny_sampler, cell, samples=1).samples.pixels[0]
    whole = result.samples.pixels[0]
    assert np.corrcoef(joined.ravel(), whole.ravel())[0, 1] > 0.95
    steps = np.abs(np.diff(joined, axis=0)).mean(1)
    assert steps.max() < 2 * np.median(steps)


def test_pixels_without_a_measurement_have_no_sample(tiny_sampler, cell):
    pixels = cell.pixels.copy()
    pixels[:, :, :12] = 0
    sampled = _sampled(tiny_sampler, replace(cell, pixels=pixels), samples=1)
    assert not sampled.samples.pixels[:, :, :40].any()
    assert not sampled.trust.pixels[:, :, :40].any()


def test_other_pixel_sizes_are_resampled(tiny_sampler, cell):
    sampled = _sampled(tiny_sampler, replace(cell, pixel_size=100.0), samples=1)
    assert sampled.samples.pixels.shape == (1, 256, 224)
    assert sampled.samples.pixel_size == 25.0


def test_an_enhancer_without_a_sampler_is_refused(tiny_enhancer, cell):
    with pytest.raises(InputError, match="best estimates only"):
        _sampled(tiny_enhancer, cell)


def test_an_enhancer_that_makes_no_numbers_is_named(tiny_sampler, cell):
    network = deepcopy(tiny_sampler.network)
    next(network.parameters()).data += float("nan")
    with pytest.raises(InputError, match="makes NaN or infinite pixels: train it again"):
        _sampled(replace(tiny_sampler, network=network), cell)


def test_a_stop_after_the_estimate_leaves_no_sample(tiny_sampler, cell):
    events = []
    with pytest.raises(Stopped, match="Stopped: no sample is complete"):
        _sampled(tiny_sampler, cell, on_event=events.append, stop=lambda: bool(events))
