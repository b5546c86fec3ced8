"""Intervals hold as often as they say, and are wide where the error is large."""

import json
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from napari_smdiffusion import Image, MicroscopeConfig, load_diffusion_model, load_enhancer, simulate
from napari_smdiffusion.base.events import Note, Progress, run
from napari_smdiffusion.base.json_values import checked, to_json
from napari_smdiffusion.enhance import pairs as enhancer_training
from napari_smdiffusion.enhance.applying import enhance_steps
from napari_smdiffusion.enhance.calibrating import _group_by_field
from napari_smdiffusion.enhance.facts import CalibrationRecord
from napari_smdiffusion.enhance.held_out import Region, split_held_out
from napari_smdiffusion.enhance.model import Enhancer, calibrated, train_enhancer_steps
from napari_smdiffusion.enhance.network import EnhancerNetwork
from napari_smdiffusion.enhance.settings import EnhanceConfig, EnhancerConfig
from napari_smdiffusion.enhance.uncertainty import LEVELS, Calibration, calibrate
from napari_smdiffusion.microscope.camera import widefield as imaged

TINY = {"upscale": 2, "patch": 64, "batch": 4, "channels": 8, "previews": 0}


def _images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions with an empty background, and errors that grow with brightness and disagreement, far from normal."""
    rng = np.random.default_rng(seed)
    predicted = np.maximum(rng.normal(-0.2, 0.5, (count, 64, 64)), 0).astype(np.float32)
    spread = (rng.gamma(2, 0.02, predicted.shape) * (1 + predicted)).astype(np.float32)
    error = rng.laplace(0, 1, predicted.shape) * (0.02 + 0.3 * predicted + 2 * spread)
    return predicted, spread, (predicted + error).astype(np.float32)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate([_images(30, 0)])


def test_intervals_hold_as_often_as_they_say(calibration):
    predicted, spread, truth = _images(10, 1)
    inside = [np.abs(truth - predicted) <= calibration.half_width(predicted, spread, level) for level in LEVELS]
    np.testing.assert_allclose(np.mean(inside, axis=(1, 2, 3)), LEVELS, atol=0.02)
    np.testing.assert_allclose(calibration.facts.coverage, LEVELS, atol=0.02)


def test_intervals_are_wide_where_the_error_is_large(calibration):
    predicted, spread, _ = _images(4, 2)
    widths = calibration.half_width(predicted, spread, 0.9)
    usual = 0.02 + 0.3 * predicted + 2 * spread
    assert np.corrcoef(widths.ravel(), usual.ravel())[0, 1] > 0.95
    assert calibration.facts.rank_correlation > 0.4


def test_intervals_widen_with_confidence(calibration):
    predicted, spread, _ = _images(2, 3)
    widths = [float(calibration.half_width(predicted, spread, c).mean()) for c in (0.5, 0.52, 0.68, 0.9, 0.95)]
    assert widths == sorted(widths)
    with pytest.raises(ValueError, match=r"between 0\.5 and 0\.95"):
        calibration.half_width(predicted, spread, 0.99)


def test_a_calibration_comes_back_from_json(calibration):
    again = Calibration.of(checked(CalibrationRecord, json.loads(json.dumps(to_json(calibration.record)))))
    predicted, spread, _ = _images(2, 4)
    widths = calibration.half_width(predicted, spread, 0.8)
    np.testing.assert_allclose(again.half_width(predicted, spread, 0.8), widths, atol=1e-4)
    assert again.facts == calibration.facts


def test_equal_pixels_make_no_trouble():
    flat = np.zeros((3, 16, 16), np.float32)
    known = calibrate([(flat, flat, flat + 0.1)])
    np.testing.assert_allclose(known.half_width(flat, flat, 0.9), 0.1, rtol=1e-3)
    assert known.facts.rank_correlation is None
    assert known.facts.coverage_bright is None


def test_too_few_images_are_refused():
    flat = np.zeros((2, 16, 16), np.float32)
    with pytest.raises(ValueError, match="3 or more"):
        calibrate([(flat, flat, flat)])


def test_a_trained_enhancer_is_calibrated_on_what_it_never_saw(tmp_path):
    fields = simulate("microtubules", 1, 512, 20.0, seed=1)
    enhancer = Enhancer.train([fields], steps=60, **TINY)
    known = enhancer.calibration
    assert known.facts.held_out
    place = known.facts.levels.index(0.9)
    assert known.facts.coverage[place] == pytest.approx(0.9, abs=0.05)
    assert known.facts.rank_correlation > 0.3
    # Measured once more, on fields that neither the training nor the calibration knows.
    fresh = simulate("microtubules", 4, 256, 20.0, seed=77)
    random = torch.Generator().manual_seed(0)
    counts = imaged(torch.from_numpy(fresh.pixels)[:, None], MicroscopeConfig(), 20.0, 2, random)
    seen = [Image(plane[:1].numpy(), 40.0) for plane in counts]
    structure = fresh.pixels > 0
    for share in (0.5, 0.9):
        made = [enhancer.enhance_with_uncertainty(image, confidence=share) for image in seen]
        sharp, width = (np.concatenate([getattr(m, kind).pixels for m in made]) for kind in ("image", "uncertainty"))
        inside = np.abs(sharp - fresh.pixels) <= width
        # They were calibrated on a band of one field; faint pixels pay for empty ones, most where few are stated.
        assert share - (0.15 if share == 0.5 else 0.05) < inside.mean() < min(share + 0.15, 0.97)
        assert inside[structure].mean() == pytest.approx(share, abs=0.1)
    enhancer.save(tmp_path / "e")
    again = Enhancer.load(tmp_path / "e")
    widefield = Image(np.random.default_rng(0).gamma(2, 5, (1, 64, 64)).astype(np.float32), 40.0)
    wide, narrow = (again.enhance_with_uncertainty(widefield, confidence=c).uncertainty.pixels for c in (0.9, 0.5))
    assert (wide >= narrow).all()
    assert wide.mean() > narrow.mean()


def test_the_enhancer_that_ships_holds_what_it_states():
    fields = load_diffusion_model("microtubules").generate(8, size=320, seed=5)
    random = torch.Generator().manual_seed(0)
    counts = imaged(torch.from_numpy(fields.pixels)[:, None], MicroscopeConfig(), fields.pixel_size, 5, random)
    seen = [Image(plane[:1].numpy(), 5 * fields.pixel_size) for plane in counts]
    enhancer = load_enhancer("microtubules")
    for share, off in ((0.5, 0.03), (0.7, 0.02), (0.9, 0.02)):
        made = [enhancer.enhance_with_uncertainty(image, confidence=share) for image in seen]
        sharp, width = (np.concatenate([getattr(m, kind).pixels for m in made]) for kind in ("image", "uncertainty"))
        assert (np.abs(sharp - fields.pixels) <= width).mean() == pytest.approx(share, abs=off)


def test_an_enhancer_is_calibrated_anew_on_what_its_training_never_saw(tmp_path):
    fields = [simulate("microtubules", 1, 256, 20.0, seed=1)]
    enhancer = Enhancer.train(fields, steps=5, **TINY)
    enhancer.save(tmp_path / "e")
    again = calibrated(Enhancer.load(tmp_path / "e"), fields).calibration
    assert again.facts.held_out
    np.testing.assert_allclose(again.half_widths, enhancer.calibration.half_widths, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_calibration_tells_how_far_it_is_and_can_be_cut_short(stopped):
    """Of many groups, two are enough to check one by the other."""
    fields = [simulate("microtubules", 1, 128, 20.0, seed=seed) for seed in range(12)]
    events = []

    def stop():
        return stopped and any(event.stage == "calibrating" for event in events if isinstance(event, Progress))

    config = EnhancerConfig(steps=2, **TINY)
    enhancer = run(train_enhancer_steps(fields, config, MicroscopeConfig(), stop=stop), events.append)
    told = [(e.step, e.total) for e in events if isinstance(e, Progress) and e.stage == "calibrating"]
    total = told[0][1]
    assert told == [(k + 1, total) for k in range(2 if stopped else total)]
    assert total > 2
    assert enhancer.calibration.facts.held_out


@pytest.mark.parametrize("late", [False, True])
def test_a_calibration_that_is_cut_short_has_seen_something(late):
    """With a batch of one, two of the groups of a rough calibration are two patches, and of a whole one twelve."""
    fields = [simulate("microtubules", 1, 128, 20.0, seed=seed) for seed in range(14)]
    events = []

    def stop():
        return any(isinstance(event, Progress) and (event.stage == "calibrating" or not late) for event in events)

    config = EnhancerConfig(steps=2, **{**TINY, "batch": 1})
    enhancer = run(train_enhancer_steps(fields, config, MicroscopeConfig(), stop=stop), events.append)
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (last.stage, last.step) == ("calibrating", 2 if late else 12)
    assert enhancer.calibration is not None


def test_too_little_to_hold_anything_out_is_said():
    field = simulate("microtubules", 1, 64, 20.0, seed=1)
    enhancer = Enhancer.train([field], steps=5, **TINY)
    assert not enhancer.calibration.facts.held_out


def test_an_enhancer_without_calibration_says_so(tmp_path):
    from dataclasses import replace

    field = simulate("microtubules", 1, 64, 20.0, seed=1)
    enhancer = replace(Enhancer.train([field], steps=5, **TINY), calibration=None)
    events = []
    run(enhance_steps(enhancer, field, EnhanceConfig(uncertainty=True)), events.append)
    assert any(isinstance(event, Note) and "never calibrated" in event.message for event in events)


def test_a_source_of_weight_0_is_left_out():
    fields = [simulate("microtubules", 1, 256, 20.0, seed=k) for k in range(2)]
    enhancer = Enhancer.train(fields, steps=3, weights=[1, 0], **TINY)
    assert enhancer.calibration.facts.held_out
    training, held = split_held_out(fields, [1.0, 0.0], EnhancerConfig(**TINY))
    assert {part.plane for part in training + held} == {0}


def test_the_planes_of_a_time_series_are_no_separate_fields():
    film = Image(np.tile(simulate("microtubules", 1, 256, 20.0, seed=2).pixels, (20, 1, 1)), 20.0)
    training, held = split_held_out([film], [1.0] * 20, EnhancerConfig(**TINY))
    assert {part.window[0].stop for part in training} == {part.window[0].start for part in held} == {224}
    assert len({part.field for part in held}) == 1
    assert len(held) == 20


def test_what_is_held_out_is_never_trained_on():
    many, one = simulate("microtubules", 20, 64, 20.0, seed=1), simulate("microtubules", 1, 256, 20.0, seed=2)
    config = EnhancerConfig(**TINY)
    training, held = split_held_out([many, one], [1.0] * 21, config)
    seen, kept = ([(part.plane, part.window) for part in parts] for parts in (training, held))
    assert [place for place, _ in kept] == [5, 15, 20]
    assert not {place for place, _ in kept[:2]} & {place for place, _ in seen}
    rows, band = dict(seen)[20][0], dict(kept)[20][0]
    assert rows.stop == band.start
    assert (band.stop - band.start) == 32
    # The 20 images together are drawn from as often as before.
    assert sum(part.chance for part in training if part.plane < 20) == pytest.approx(20)


def test_intervals_are_checked_on_other_parts_than_they_are_calibrated_on():
    part = Region(0, (slice(224, 256), slice(0, 256)), 1.0)
    assert _group_by_field([part], 130, 5) == [[part]]
    (one,), (other,) = _group_by_field([part], 32, 5)
    assert one.window == (slice(224, 256), slice(0, 128))
    assert other.window == (slice(224, 256), slice(128, 256))
    # The planes of one stack show one field: its halves are apart, not its planes.
    assert len(_group_by_field([part, Region(1, part.window, 1.0)], 32, 5)) == 2
    divided = _group_by_field([Region(k, part.window, 1.0, k // 2) for k in range(14)], 32, 3)
    fields = [{one.field for one in group} for group in divided]
    assert [len(group) for group in fields] == [3, 2, 2]
    assert not fields[0] & fields[1]
    # A field with errors twice as large is in fewer of its intervals, and the others in more; all together, as stated.
    fields = [_images(10, seed) for seed in range(4)]
    predicted, spread, truth = fields[2]
    fields[2] = predicted, spread, predicted + 2 * (truth - predicted)
    facts = calibrate(fields).facts
    place = LEVELS.index(0.8)
    assert facts.coverage_least[place] < 0.6 < 0.8 < facts.coverage_most[place]
    assert facts.coverage[place] == pytest.approx(0.8, abs=0.04)


def test_intervals_hold_on_structure_however_rare_it_is():
    rng = np.random.default_rng(0)
    fields = []
    for _ in range(5):
        predicted, spread, truth = (np.zeros((5, 64, 64), np.float32) for _ in range(3))
        # One bright spot in a few of the patches, amid background that is exactly 0.
        for k in rng.integers(0, 5, 3):
            spot = slice(20, 36), slice(20, 36)
            predicted[k][spot] = rng.uniform(0.5, 1, (16, 16))
            spread[k][spot] = 0.1
            truth[k][spot] = predicted[k][spot] + rng.normal(0, 0.2, (16, 16))
        fields.append((predicted, spread, truth))
    facts = calibrate(fields).facts
    np.testing.assert_allclose(facts.coverage_bright, LEVELS, atol=0.06)


def test_intervals_hold_as_stated_where_much_of_the_background_is_exactly_0():
    rng = np.random.default_rng(0)
    fields = []
    for _ in range(5):
        # A fifth is empty and lies in any interval, half is faint, and the rest is structure.
        predicted = rng.exponential(0.02, (6, 64, 64)).astype(np.float32)
        predicted[:, :13] = 0
        predicted[:, 45:] = rng.uniform(0.2, 1, (6, 19, 64))
        spread = rng.gamma(2, 0.1, predicted.shape).astype(np.float32) * predicted
        truth = predicted + rng.laplace(0, 0.5, predicted.shape).astype(np.float32) * predicted
        fields.append((predicted, spread, truth))
    facts = calibrate(fields).facts
    np.testing.assert_allclose(facts.coverage, LEVELS, atol=0.02)
    np.testing.assert_allclose(facts.coverage_bright, LEVELS, atol=0.02)


def test_a_handful_of_faint_pixels_does_not_widen_the_background():
    rng = np.random.default_rng(0)
    predicted = np.zeros((9, 64, 64), np.float32)
    predicted[:, 48:] = rng.uniform(0.4, 1, (9, 16, 64))
    truth = predicted + np.abs(rng.normal(0, 0.01, predicted.shape)).astype(np.float32)
    predicted[:, 5, 5], truth[:, 5, 5] = 0.001, 0.9
    known = calibrate([(predicted, predicted, truth)])
    empty = np.zeros((1, 8, 8), np.float32)
    assert known.half_width(empty, empty, 0.5).max() < 0.02


def test_intervals_of_a_faint_background_are_never_nothing():
    rng = np.random.default_rng(0)
    predicted = rng.exponential(0.02, (9, 64, 64)).astype(np.float32)
    predicted[:, :32] = 0
    predicted[:, 48:] = rng.uniform(0.2, 1, (9, 16, 64))
    truth = predicted + rng.laplace(0, 0.5, predicted.shape).astype(np.float32) * predicted
    known = calibrate([(predicted, predicted, truth)])
    # As much is empty as is to lie in the intervals.
    faint = (predicted > 0) & (predicted < 0.1)
    inside = np.abs(truth - predicted) <= known.half_width(predicted, predicted, 0.5)
    assert inside[faint].mean() == pytest.approx(0.25, abs=0.03)
    assert known.facts.coverage_faint[0] == pytest.approx(0.25, abs=0.03)


def test_fields_of_different_size_are_calibrated_together():
    small = tuple(kind[:, :32, :32] for kind in _images(12, 5))
    facts = calibrate([_images(12, 6), small, _images(12, 7)]).facts
    np.testing.assert_allclose(facts.coverage, LEVELS, atol=0.02)
    with pytest.raises(ValueError, match="one shape"):
        calibrate([(small[0], small[1], small[2][:3])])


@pytest.mark.parametrize("trained", [True, False])
def test_an_enhancer_is_calibrated_while_it_is_on_the_device(storm, monkeypatch, trained):
    """There its errors are those that it will make, and it is quick."""
    name = "given_back" if trained else "on_device"
    block, there, seen = getattr(enhancer_training, name), [False, None], []

    @contextmanager
    def on_device(*arguments):
        with block(*arguments) as network:
            copy = deepcopy(network)  # as it is on another device
            there[:] = True, copy
            yield copy
            there[:] = False, None

    def note(network, _):
        if isinstance(network, EnhancerNetwork) and not network.training:
            seen.append(there[0] and (trained or network is there[1]))

    settings = {"upscale": 4, "steps": 1, "batch": 4, "channels": 8, "previews": 0, "patch": 64}
    enhancer = None if trained else Enhancer.train(storm, **settings)
    monkeypatch.setattr(enhancer_training, name, on_device)
    hook = register_module_forward_pre_hook(note)
    try:
        enhancer = Enhancer.train(storm, **settings) if trained else calibrated(enhancer, [storm])
    finally:
        hook.remove()
    assert len(seen) >= 8
    assert all(seen)
    assert {weights.device.type for weights in enhancer.network.parameters()} == {"cpu"}
