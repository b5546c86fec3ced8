"""The brightness of structure depends neither on empty field nor on a few beads; nor does the scaling of a training."""

import numpy as np
import pytest

from napari_smdiffusion import DiffusionModel, Image, simulate
from napari_smdiffusion.base.events import Note, run
from napari_smdiffusion.diffusion.intensities import Scaling
from napari_smdiffusion.diffusion.settings import TrainConfig
from napari_smdiffusion.diffusion.training import train_steps
from napari_smdiffusion.enhance.levels import scaled_sharp, sharp_levels
from napari_smdiffusion.images.brightness import brightness


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    plane = simulate("microtubules", size=256, pixel_size=20.0, seed=1, organisation="random").pixels[0]
    return np.random.default_rng(0).poisson(3 * plane / plane.mean()).astype(np.float32)


@pytest.fixture(scope="module")
def beads(field) -> np.ndarray:
    plane = field.copy()
    plane[50:54, 60:64] += 100 * field.max()
    plane[200, 200] = 65535
    return plane


def test_empty_field_does_not_change_the_brightness(field):
    alone, around = brightness([field]), brightness([np.pad(field, 512)])
    assert around.bright == pytest.approx(alone.bright, rel=0.15)
    sparse = sharp_levels([np.pad(field, 1000)])
    assert sparse.unit > 0.5 * sharp_levels([field]).unit


def test_beads_do_not_change_the_scaling_of_the_structure(field, beads):
    clean, dirty = (Scaling.fit([Image(plane, 20.0)]) for plane in (field, beads))
    assert clean.high == field.max()
    assert clean.std == pytest.approx(field.std(), rel=1e-5)
    bright = np.percentile(field, 99)
    heights = [bright * scaling.sigma_data / scaling.std for scaling in (clean, dirty)]
    assert heights[1] == pytest.approx(heights[0], rel=0.1)
    # Beads are limited in training, and never generated brighter.
    assert dirty.high < 5 * brightness([field]).bright
    assert dirty.scale(beads).max() == pytest.approx((dirty.high - dirty.mean) / dirty.unit)


def test_beads_do_not_change_the_levels_of_an_enhancer(field, beads):
    beads = np.tile(beads, (2, 2))
    levels = sharp_levels([beads])
    assert levels.unit == pytest.approx(sharp_levels([field]).unit, rel=0.1)
    (scaled,) = scaled_sharp(levels, [beads])
    assert scaled.max() < 10


def test_images_of_other_units_are_refused(field):
    eight, sixteen = (Image(np.round(field / field.max() * top), 20.0, name=f"{top}.tif") for top in (255, 65535))
    with pytest.raises(ValueError, match=r"65535\.tif is .* times brighter than in 255\.tif: give images in the same"):
        Scaling.fit([eight, sixteen])
    dim = Image(field / 10, 20.0)
    assert Scaling.fit([Image(field, 20.0), dim]).high == field.max()


def test_an_image_without_structure_has_no_outliers():
    noise = np.random.default_rng(0).normal(5, 1, (64, 64))
    assert np.isinf(brightness([noise]).outlier)
    assert Scaling.fit([Image(noise)]).high == pytest.approx(noise.max())


def test_a_training_reports_that_beads_are_limited(beads):
    events = []
    config = TrainConfig(steps=1, patch=32, batch=1, channels=(16,), previews=0)
    model = run(train_steps([Image(beads[:128, :128], 20.0, name="beads.csv")], config), events.append)
    assert isinstance(model, DiffusionModel)
    messages = [event.message for event in events if isinstance(event, Note)]
    assert any(message.startswith("beads.csv: a few pixels are far brighter") for message in messages)
