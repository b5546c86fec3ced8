"""Whether widefield images look like those that an enhancer was trained with."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import Enhancer, EnhancerConfig, MicroscopeConfig, simulate
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.base.errors import InputError
from napari_smdiffusion.enhance import examples, familiar, training
from napari_smdiffusion.enhance.facts import FEATURES, LOCAL_LEVELS, Familiar
from napari_smdiffusion.enhance.familiar import UNFAMILIAR, busiest, familiar_of, features, strangeness, unfamiliar
from napari_smdiffusion.enhance.held_out import draw_weights, split_held_out
from napari_smdiffusion.enhance.pixel_fit import PixelFit
from napari_smdiffusion.microscope.camera import widefield_image

SAME = PixelFit(80.0, 80.0)


@pytest.fixture(scope="module")
def known():
    """Return the description of simulated widefield images of microtubules with pixels of 80 nm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "_LEVEL_PATCHES", 16)
        patch.setattr(familiar, "_PATCHES", 48)
        return familiar_of(_task(192))


def _task(patch):
    images = [
        simulate("microtubules", size=384, pixel_size=20.0, seed=seed, organisation="random") for seed in range(3)
    ]
    config = EnhancerConfig(upscale=4, patch=patch, previews=0)
    regions, _ = split_held_out(images, draw_weights(images, None), config)
    return training.simulation_task(images, regions, config, MicroscopeConfig(), 20.0)


def _microtubules(seed):
    fine = simulate("microtubules", size=640, pixel_size=20.0, seed=seed, organisation="random")
    return widefield_image(fine, 20.0, MicroscopeConfig(), 4, generator(seed)).pixels[0]


def _edges():
    """Return flat areas with straight edges, as photographs of things have them."""
    rng, plane = np.random.default_rng(0), np.full((160, 160), 100.0)
    for _ in range(40):
        y, x, height, width = rng.integers(0, 140, 2).tolist() + rng.integers(10, 60, 2).tolist()
        plane[y : y + height, x : x + width] = rng.uniform(100, 600)
    return rng.poisson(gaussian_filter(plane, 0.5)).astype(np.float32)


def test_images_like_the_training_are_familiar_and_others_are_not(known):
    right = [strangeness(known, LOCAL_LEVELS, _microtubules(seed), SAME) for seed in (20, 21)]
    assert 0 < max(right) < UNFAMILIAR
    assert strangeness(known, LOCAL_LEVELS, _edges(), SAME) > UNFAMILIAR
    noise = np.random.default_rng(0).poisson(100, (160, 160)).astype(np.float32)
    assert strangeness(known, LOCAL_LEVELS, noise, SAME) == 0  # shows no signal, and that is said elsewhere


def test_brightness_and_pixel_size_do_not_matter(known):
    plane = _microtubules(20)
    expected = strangeness(known, LOCAL_LEVELS, plane, SAME)
    assert strangeness(known, LOCAL_LEVELS, 7 * plane + 1000, SAME) == pytest.approx(expected, abs=0.02)
    finer = plane.repeat(2, 0).repeat(2, 1)
    assert strangeness(known, LOCAL_LEVELS, finer, PixelFit(40.0, 80.0)) == pytest.approx(expected, abs=0.3)


def test_features_tell_lines_from_spots():
    y, x = np.mgrid[:24, :24] - 12.0
    line, spot = np.exp(-((x + y) ** 2) / 8), np.exp(-(x**2 + y**2) / 8)
    lines, spots = features(np.stack([line, spot, 0 * line]).astype(np.float32))  # an empty block has none
    assert lines[4] > spots[4] + 0.2  # coherence
    assert lines[5] < spots[5] - 0.2  # roundness


def test_the_part_with_the_most_contrast_is_looked_at():
    plane = np.zeros((400, 300), np.float32)
    plane[320:380, 200:280] = np.random.default_rng(0).random((60, 80))
    plane[10, 10] = 1e6  # a bead
    rows, columns = busiest(plane, 128)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (128, 128)
    assert rows.stop >= 380
    assert columns.start <= 200


def test_small_patches_are_not_described():
    assert familiar_of(_task(64)) is None


def test_the_description_is_stored_and_checked(known, tiny_enhancer, tmp_path):
    dataclasses.replace(tiny_enhancer, familiar=known).save(tmp_path / "known")
    assert Enhancer.load(tmp_path / "known").familiar == known
    tiny_enhancer.save(tmp_path / "unknown")
    assert Enhancer.load(tmp_path / "unknown").familiar is None
    with pytest.raises(InputError, match=f"must have {FEATURES} features"):
        Familiar(known.mean[:-1], known.between, known.within, known.limit)


def test_a_training_and_a_new_calibration_describe_their_images(known, storm, monkeypatch, quick_calibration):
    monkeypatch.setattr(training, "familiar_of", lambda task: known)
    enhancer = Enhancer.train(storm, upscale=4, steps=1, batch=1, channels=8, patch=64, previews=0)
    assert enhancer.familiar == known
    unknown = dataclasses.replace(enhancer, familiar=None)
    assert training.recalibrated(unknown, [storm]).familiar == known
    assert training.with_familiar(unknown, [storm]).familiar == known


def test_an_unfamiliar_image_is_a_sentence_with_the_number():
    assert unfamiliar("mine", "cell", UNFAMILIAR) == ""
    assert "cell looks unlike the images that mine was trained with (distance 1.40;" in unfamiliar("mine", "cell", 1.4)
