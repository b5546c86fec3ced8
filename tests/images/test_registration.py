"""Registration of a widefield image with a super-resolution image of the same field, alone and in a training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import EnhancerConfig, Image, MicroscopeConfig, simulate
from napari_smdiffusion.base.events import Note, Progress, run
from napari_smdiffusion.enhance import training as enhancer_training
from napari_smdiffusion.enhance.local_levels import LocalLevels
from napari_smdiffusion.enhance.pairs import crop_to_overlap
from napari_smdiffusion.enhance.plane_levels import plane_levels
from napari_smdiffusion.enhance.training import train_enhancer_steps
from napari_smdiffusion.images import registration
from napari_smdiffusion.images.registration import crop_to_common_field, find_in, registration_shift, translated
from napari_smdiffusion.images.unmeasured import scan
from napari_smdiffusion.microscope.camera import widefield as simulate_widefield

FACTOR = 5


@pytest.fixture(scope="module")
def pairs():
    """Return six simulated widefield images with haze and noise, (6, 64, 64), and their fields, (6, 320, 320)."""
    sharp = simulate("microtubules", count=6, size=320, pixel_size=20.0, seed=3, organisation="random").pixels
    random = torch.Generator().manual_seed(0)
    widefield = simulate_widefield(torch.from_numpy(sharp)[:, None], MicroscopeConfig(), 20.0, FACTOR, random)
    return widefield[:, 0].numpy(), sharp


@pytest.fixture
def pair(pairs):
    """Return the first widefield image, (64, 64), and its field, (320, 320)."""
    return pairs[0][0], pairs[1][0]


@pytest.mark.parametrize("by", [(0.0, 0.0), (-2.7, -0.8), (3.4, 1.2), (-6.0, 5.0), (9.6, -9.6), (-10.0, 10.0)])
def test_the_shift_of_a_stack_is_found_to_a_fraction_of_a_pixel(pairs, by):
    shift = registration_shift(pairs[0], [translated(plane, by) for plane in pairs[1]], FACTOR)
    np.testing.assert_allclose(shift, by, atol=0.3)


def test_the_shift_of_one_small_image_is_found_to_a_quarter_of_a_widefield_pixel(pair):
    np.testing.assert_allclose(
        registration_shift([pair[0]], [translated(pair[1], (-4, 3))], FACTOR), (-4, 3), atol=FACTOR / 4
    )


def test_images_of_different_fields_have_no_shift(pairs):
    camera, sharp = pairs
    flat = np.full((64, 64), 7.0, np.float32)
    assert registration_shift([flat], [sharp[0]], FACTOR) is None
    # Part of the haze of each image comes from the previous field, so the fields compared are three apart.
    for k in range(6):
        assert registration_shift([camera[k]], [sharp[(k + 3) % 6]], FACTOR) is None


@pytest.mark.parametrize("side", [40, 41])
def test_large_images_are_registered_by_the_same_middle_part(pairs, side, monkeypatch):
    fine = pairs[1]
    coarse = gaussian_filter(fine, (0, 4, 4)).reshape(len(fine), 64, FACTOR, 64, FACTOR).mean((2, 4))
    monkeypatch.setattr(registration, "_MAX_SIDE", side * FACTOR)
    assert registration_shift(list(coarse), list(fine), FACTOR) == pytest.approx((0, 0), abs=0.5)


def test_a_translation_by_whole_pixels_moves_the_pixels(pair):
    np.testing.assert_allclose(translated(pair[1], (3, -2))[3:, :-2], pair[1][:-3, 2:], atol=1e-4)


def test_a_smaller_field_is_found_in_a_widefield_plane(pair):
    camera, sharp = pair
    assert find_in(sharp[50:250, 100:300], camera, FACTOR) == (10, 20)
    other_field = simulate("microtubules", size=320, pixel_size=20.0, seed=9).pixels[0]
    assert find_in(other_field[50:250, 100:300], camera, FACTOR) is None
    assert find_in(np.zeros((400, 400), np.float32), camera, FACTOR) is None


def test_both_images_are_cropped_to_their_common_field(pair):
    camera, sharp = (Image(plane, size, name=n) for plane, size, n in zip(pair, (100, 20), ("w", "s"), strict=True))
    fine, coarse, corner = crop_to_common_field(sharp.crop(slice(50, 253), slice(100, 304)), camera, FACTOR)
    assert corner == (10, 20)
    np.testing.assert_array_equal(fine.pixels, sharp.pixels[:, 50:250, 100:300])
    np.testing.assert_array_equal(coarse.pixels, camera.pixels[:, 10:50, 20:60])
    assert coarse.origin == fine.origin == (1000, 2000)
    assert crop_to_common_field(sharp, camera, FACTOR) == (sharp, camera, (0, 0))
    with pytest.raises(ValueError, match=r"s has pixels of 20 nm and w of 100 nm. This is no factor of 4"):
        crop_to_common_field(sharp, camera, 4)
    with pytest.raises(ValueError, match="s of 320 × 320 pixels was not found in w of 256 × 256 pixels"):
        crop_to_common_field(replace(sharp, pixel_size=None), camera, 4)


def test_planes_of_a_stack_must_be_found_at_one_place(pairs):
    widefield = Image(pairs[0][:2], 100.0, name="w")
    first_field, second_field = pairs[1][:2, 50:250, 100:300], pairs[1][:2, 60:260, 50:250]
    assert crop_to_common_field(Image(first_field, 20.0), widefield, FACTOR)[2] == (10, 20)
    with pytest.raises(ValueError, match="Planes of s were found at different places of w"):
        crop_to_common_field(Image(np.stack([first_field[0], second_field[1]]), 20.0, name="s"), widefield, FACTOR)
    # An empty plane is found nowhere, so the other plane decides.
    planes = np.stack([0 * first_field[0], second_field[1]])
    assert crop_to_common_field(Image(planes, 20.0), widefield, FACTOR)[2] == (12, 10)


def test_training_on_pairs_finds_the_field_of_the_super_resolution_image(pair):
    camera, sharp = Image(pair[0], 100.0, name="camera"), Image(pair[1][50:250, 100:300], 20.0, name="storm")
    config = EnhancerConfig(upscale=FACTOR, steps=2, patch=80, batch=1, channels=8, previews=0)
    events = []
    enhancer = run(train_enhancer_steps([], config, MicroscopeConfig(), pairs=[(camera, sharp)]), events.append)
    assert "storm shows rows 10 to 49 and columns 20 to 59 of camera." in [
        event.message for event in events if isinstance(event, Note)
    ]
    assert [image.shape for image in enhancer.facts.training_data] == [(1, 200, 200)]


def test_training_on_a_part_uses_levels_like_those_of_the_whole_image(pair, monkeypatch):
    """The brightness of a dim part must not depend on the parts that were cut off."""
    camera, sharp = Image(pair[0], 100.0, name="camera"), Image(pair[1][50:250, 100:300], 20.0, name="storm")
    config = EnhancerConfig(upscale=FACTOR, steps=2, patch=80, batch=1, channels=8, previews=0)
    recorded, pairs_task = [], enhancer_training.pairs_task

    def record(*arguments):
        recorded.append(pairs_task(*arguments))
        return recorded[-1]

    monkeypatch.setattr(enhancer_training, "pairs_task", record)
    run(train_enhancer_steps([], config, MicroscopeConfig(), pairs=[(camera, sharp)]))
    whole = plane_levels(pair[0].astype(np.float32), scan(pair[0]), LocalLevels(), None).above
    # The part is rows 10 to 49 and columns 20 to 59, less one pixel at each border.
    (part,) = recorded[0].coarse
    assert part.shape == (38, 38)
    assert np.corrcoef(part.ravel(), whole[11:49, 21:59].ravel())[0, 1] > 0.97
    # The truth has the light of the widefield image, in its units.
    task = recorded[0]
    assert task.widefield.method == "local"
    assert np.median(task.source.planes[0]) == pytest.approx(np.median(task.sharp_levels.scale(sharp.pixels)), abs=0.3)


def test_pairs_of_different_pixel_sizes_are_refused_before_the_training(pair):
    pairs = [(Image(pair[0], 5 * size, name="camera"), Image(pair[1], size, name="storm")) for size in (20.0, 25.0)]
    config = EnhancerConfig(upscale=FACTOR, steps=2, patch=80, batch=1, channels=8, previews=0)
    events = []
    with pytest.raises(ValueError, match="give images of one pixel size"):
        run(train_enhancer_steps([], config, MicroscopeConfig(), pairs=pairs), events.append)
    assert not any(isinstance(event, Progress) for event in events)


def test_training_on_shifted_pairs_registers_them_with_a_note(pair):
    camera, sharp = pair
    shifted = np.roll(sharp, (-4, 2), (0, 1))
    images = Image(camera, 100.0, name="camera"), Image(shifted, 20.0, name="storm")
    config = EnhancerConfig(upscale=FACTOR, steps=2, patch=160, batch=1, channels=8, previews=0)
    events = []
    enhancer = run(train_enhancer_steps([], config, MicroscopeConfig(), pairs=[images]), events.append)
    (note,) = [event for event in events if isinstance(event, Note) and "shifted" in event.message]
    assert "storm is shifted by (-" in note.message
    assert enhancer.facts.training_data[0].sha256 == images[1].digest
    coarse, fine = crop_to_overlap(*images, (-4, 2), FACTOR)
    np.testing.assert_array_equal(coarse.pixels[0], camera[1:-1, 1:-1])
    np.testing.assert_array_equal(fine.pixels[0], sharp[5:-5, 5:-5])


def test_training_on_pairs_of_different_fields_gives_a_note(pairs):
    images = Image(pairs[0][0], 100.0, name="camera"), Image(pairs[1][3], 20.0, name="storm")
    config = EnhancerConfig(upscale=FACTOR, steps=1, patch=160, batch=1, channels=8, previews=0)
    events = []
    run(train_enhancer_steps([], config, MicroscopeConfig(), pairs=[images]), events.append)
    (note,) = [event.message for event in events if isinstance(event, Note) and "storm" in event.message]
    assert "storm was not found in camera within two widefield pixels" in note
