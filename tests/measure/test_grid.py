"""The grid of the pixel shuffle in enhanced images."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import simulate
from napari_smdiffusion.measure.grid import GRID, grid_doubt, grid_strength


@pytest.fixture(scope="module", params=["microtubules", "mitochondria"])
def sharp(request):
    """Return a sharp plane of 640² pixels without a grid."""
    return simulate(request.param, size=640, pixel_size=20.0, seed=1).pixels[0]


def _with_grid(sharp, period, share):
    """Return a plane whose brightness varies by `share` (root mean square) with a period in pixels along both axes."""
    wave = 2**0.5 * np.sin(2 * np.pi * np.arange(len(sharp)) / period)
    return sharp * (1 + share * wave[:, None] * 2**0.5 * np.cos(2 * np.pi * np.arange(len(sharp)) / period))


@pytest.mark.parametrize("period", [4, 5, 20 / 7])
def test_a_grid_is_measured_in_parts_of_the_brightness_and_structure_is_none(sharp, period):
    assert grid_strength(sharp, period) < GRID / 2
    assert grid_strength(_with_grid(sharp, period, 0.06), period) == pytest.approx(0.06, rel=0.4)
    assert grid_strength(_with_grid(sharp, period * 1.3, 0.06), period) < GRID / 2  # another period


def test_noise_smooth_light_and_empty_planes_have_no_grid():
    rng = np.random.default_rng(0)
    assert grid_strength(np.zeros((320, 320)), 5) == 0
    assert grid_strength(rng.gamma(1.0, 1.0, (320, 320)), 5) < GRID
    assert grid_strength(gaussian_filter(rng.random((320, 320)), 30), 5) < GRID
    assert grid_strength(np.ones((60, 60)), 5) == 0  # too small


def test_a_grid_is_a_sentence_with_the_number():
    assert grid_doubt("cell", GRID) == ""
    assert "The result of cell has a grid with the spacing of the widefield pixels (7 %" in grid_doubt("cell", 0.07)
