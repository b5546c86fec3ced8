"""Ringing: ripples beside structure are measured, and neighbours of structure are none."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import simulate
from napari_smdiffusion.measure.ringing import RINGING, ringing, ringing_doubt

PERIOD = 4


@pytest.fixture(scope="module")
def sharp():
    """Return filaments as wide as in an enhanced image, 512² pixels of 20 nm."""
    return gaussian_filter(simulate("microtubules", size=512, pixel_size=20.0, seed=3).pixels[0], 2)


def test_filaments_and_hollow_tubes_do_not_ring(sharp):
    assert ringing(sharp, PERIOD) < RINGING / 2
    tubes = simulate("mitochondria", size=512, pixel_size=20.0, seed=3).pixels[0]
    assert ringing(tubes, PERIOD) < RINGING


def test_ripples_beside_structure_are_measured(sharp):
    y = np.arange(512)
    lines = np.exp(-0.5 * ((y % 128 - 64) / 2.5) ** 2)
    plane = np.repeat(lines[:, None], 512, 1).astype(np.float32)
    copies = 0.1 * (np.roll(plane, 14, 0) + np.roll(plane, -14, 0))
    assert ringing(plane, PERIOD) < RINGING / 10
    assert ringing(plane + copies, PERIOD) == pytest.approx(0.08, abs=0.01)  # blurred by 0.2 widefield pixels
    one_side = plane + 0.1 * np.roll(plane, 14, 0)
    assert ringing(one_side, PERIOD) < RINGING
    assert "ringing, 8 % of its brightness" in ringing_doubt("cell", ringing(plane + copies, PERIOD))


def test_planes_that_show_too_little_are_not_judged():
    assert ringing(np.zeros((512, 512), np.float32), PERIOD) == 0
    assert ringing(np.ones((30, 512), np.float32), PERIOD) == 0
    assert ringing_doubt("cell", 0.0) == ""
