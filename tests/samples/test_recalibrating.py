"""Calibration on pairs: the intervals cover the pairs, no weight changes, and unsuitable pairs are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_smdiffusion import CalibrateJob, Image, InputError, Stopped, load_enhancer, run, write_image
from napari_smdiffusion.base.events import Note, Progress
from napari_smdiffusion.diffusion.network import field_multiple
from napari_smdiffusion.enhance.calibrating import enhanced_patches
from napari_smdiffusion.enhance.examples import pairs_task
from napari_smdiffusion.enhance.model import Enhancer
from napari_smdiffusion.samples.calibrating import sampled_patches
from napari_smdiffusion.samples.recalibrating import _whole
from napari_smdiffusion.samples.task import SamplesTask
from napari_smdiffusion.store.model_card import read_model_card


@pytest.fixture(autouse=True)
def _quick(quick_calibration):
    """Calibrate on few patches."""


@pytest.fixture(scope="module")
def pair():
    """Return a widefield image and a super-resolution image of one field, 48² pixels of 80 nm."""
    from napari_smdiffusion import simulate

    fine = simulate("microtubules", size=192, pixel_size=20.0, seed=11, organisation="random")
    noise = np.random.default_rng(1).gamma(2, 0.1 * fine.pixels.std(), fine.pixels.shape)
    fine = Image((fine.pixels + noise).astype(np.float32), 20.0, name="storm.tif")
    light = fine.pixels.reshape(1, 48, 4, 48, 4).mean((2, 4)) * 50
    return Image(np.random.default_rng(0).poisson(light + 100).astype(np.float32), 80.0, name="cell.tif"), fine


def _task(enhancer, pair):
    return pairs_task([pair], _whole([pair]), enhancer.config, enhancer.widefield).with_light(enhancer.widefield.light)


def _coverage(calibration, patches):
    predicted, spread, truth = patches
    return float(np.mean(np.abs(truth - predicted) <= calibration.half_width(predicted, spread, 0.9)))


def test_the_intervals_hold_on_the_pair(tiny_sampler, pair):
    notes = []
    calibrated = run(CalibrateJob(tiny_sampler, [pair]).steps(), notes.append)
    task = _task(tiny_sampler, pair)
    estimates = enhanced_patches(tiny_sampler.network, task, 7, 12)
    given = SamplesTask(
        task, tiny_sampler.network, tiny_sampler.sampler.facts.scale, field_multiple(tiny_sampler.sampler.network)
    )
    samples = sampled_patches(given, tiny_sampler.sampler, 7, 6)
    assert _coverage(tiny_sampler.calibration, estimates) < 0.8  # simulated widefield images are another matter
    assert _coverage(calibrated.calibration, estimates) == pytest.approx(0.9, abs=0.05)
    assert _coverage(calibrated.samples_calibration, samples) == pytest.approx(0.9, abs=0.07)  # of 4 patches
    assert calibrated.calibration.facts.held_out
    messages = [note.message for note in notes if isinstance(note, Note)]
    assert any("90 % intervals of the best estimate cover" in message for message in messages)
    for network in ("network", "sampler.network"):
        before, after = (_parameters(enhancer, network) for enhancer in (tiny_sampler, calibrated))
        assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert calibrated.facts.calibrated_on == calibrated.sampler.facts.calibrated_on == ("storm.tif",)


def _parameters(enhancer, path):
    for name in path.split("."):
        enhancer = getattr(enhancer, name)
    return list(enhancer.parameters())


def test_an_enhancer_is_calibrated_in_its_folder_or_in_a_new_one(tiny_enhancer, pair, tmp_path):
    paths = [(tmp_path / name) for name in ("cell.tif", "storm.tif")]
    for path, image in zip(paths, pair, strict=True):
        write_image(path, image)
    tiny_enhancer.save(tmp_path / "mine")
    stopped = CalibrateJob(tmp_path / "mine", [paths]).steps(lambda: True)
    with pytest.raises(Stopped):
        run(stopped)
    run(CalibrateJob(tmp_path / "mine", [paths], out=tmp_path / "new").steps())
    assert load_enhancer(tmp_path / "mine").facts.calibrated_on == ()
    run(CalibrateJob(tmp_path / "mine", [paths]).steps())
    one, other = (load_enhancer(tmp_path / name) for name in ("mine", "new"))
    assert one.digest() == other.digest() != tiny_enhancer.digest()
    assert other.name == "new"
    card = (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    assert "calibrated on your pair storm.tif" in card
    assert ("calibrated on", "storm.tif") in read_model_card(tmp_path / "mine", "enhancer").rows


def test_a_pair_that_was_trained_on_is_named(tiny_enhancer, storm, pair):
    light = storm.pixels.reshape(1, 48, 4, 48, 4).mean((2, 4)) * 50
    coarse = Image(light + pair[0].pixels, 80.0, name="cell.tif")
    events = []
    calibrated = run(CalibrateJob(tiny_enhancer, [(coarse, storm)]).steps(), events.append)
    assert any(isinstance(event, Note) and "was trained on" in event.message for event in events)
    assert not calibrated.calibration.facts.held_out
    assert calibrated.samples_calibration is None
    shares = [event.share for event in events if isinstance(event, Progress)]
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda coarse, fine: (replace(coarse, pixel_size=100.0), fine), r"cell.tif has pixels of 100 nm, .* 80 nm"),
        (lambda coarse, fine: (coarse, replace(fine, pixel_size=25.0)), r"storm.tif has pixels of 25 nm, .* 20 nm"),
        (lambda coarse, fine: (coarse, replace(fine, provenance={"kind": "enhanced"})), "is no measurement"),
        (lambda coarse, fine: (coarse.crop(slice(0, 12), slice(0, 48)), fine.crop(slice(0, 48), slice(0, 192))), "16"),
    ],
)
def test_unsuitable_pairs_are_refused(tiny_enhancer, pair, change, message):
    with pytest.raises(InputError, match=message):
        run(CalibrateJob(tiny_enhancer, [change(*pair)]).steps())


def test_an_enhancer_of_an_earlier_version_is_refused(tiny_enhancer, pair):
    old = replace(tiny_enhancer, widefield=replace(tiny_enhancer.widefield, method="percentiles"))
    with pytest.raises(InputError, match="was trained by an earlier version, and cannot be calibrated on pairs"):
        run(CalibrateJob(old, [pair]).steps())


def test_a_stop_leaves_the_enhancer_as_it_was(tiny_enhancer, pair):
    events = []
    steps = CalibrateJob(tiny_enhancer, [pair]).steps(lambda: any(isinstance(event, Progress) for event in events))
    with pytest.raises(Stopped, match="Stopped: the enhancer is as it was"):
        run(steps, events.append)


def test_a_bundled_enhancer_needs_a_new_folder(pair):
    with pytest.raises(InputError, match="out must name a new folder: microtubules is a bundled enhancer"):
        run(CalibrateJob("microtubules", [pair]).steps())


def test_the_class_method_returns_the_calibrated_enhancer(tiny_enhancer, pair, tmp_path):
    calibrated = tiny_enhancer.calibrate([pair], out=tmp_path / "new")
    assert isinstance(calibrated, Enhancer)
    assert load_enhancer(tmp_path / "new").digest() == calibrated.digest()
