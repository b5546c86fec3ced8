"""Pixels without a measurement have one value and a cliff; dark background and clipped structure have no cliff."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate

from napari_smdiffusion.images.unmeasured import scan


@pytest.fixture
def counts() -> np.ndarray:
    rng = np.random.default_rng(0)
    light = gaussian_filter(rng.gamma(0.05, 900, (90, 80)), 1.3)
    return rng.poisson(100 + light).astype(np.float32)


def test_a_plain_image_is_measured_everywhere(counts):
    facts = scan(counts)
    assert facts.unmeasured == ()
    assert facts.measured(counts) is None
    assert (facts.low, facts.high) == (counts.min(), counts.max())


@pytest.mark.parametrize("value", [0.0, 65535.0])
@pytest.mark.parametrize("place", [np.s_[:1], np.s_[:, -9:], np.s_[30:36, 10:60], np.s_[:20, :20]])
def test_areas_of_one_value_with_a_cliff_are_no_measurement(counts, value, place):
    before = (counts.min(), counts.max())
    counts[place] = value
    facts = scan(counts)
    assert facts.unmeasured == (value,)
    mask = facts.measured(counts)
    assert not mask[place].any()
    assert mask.mean() > 0.75
    assert before[0] <= facts.low < facts.high <= before[1]


def test_the_corners_of_a_rotated_image_are_no_measurement(counts):
    turned = rotate(counts, 20, order=1, cval=0.0).astype(np.float32)
    facts = scan(turned)
    assert facts.unmeasured == (0.0,)
    mask = facts.measured(turned)
    assert not mask[:6, :6].any()
    assert mask[40:80, 40:80].all()


def test_a_background_of_zeros_is_a_measurement(counts):
    display = np.clip(np.round((counts - 130) / 2), 0, 255).astype(np.float32)
    assert (display == 0).mean() > 0.3
    assert scan(display).unmeasured == ()
    smooth = np.round(gaussian_filter(counts, 4) / 30)
    assert scan(smooth).unmeasured == ()
    sharp = np.where(counts > 200, counts, 0).astype(np.float32)
    assert scan(gaussian_filter(sharp, 1.0)).unmeasured == ()


def test_clipped_structure_is_a_measurement(counts):
    bright = 100 + gaussian_filter(np.random.default_rng(1).gamma(0.05, 9000, (90, 80)), 3)
    clipped = np.minimum(bright, np.percentile(bright, 90)).astype(np.float32)
    assert scan(clipped).unmeasured == ()


def test_two_gray_values_and_constant_planes():
    two = np.random.default_rng(0).integers(0, 2, (40, 40)).astype(np.float32)
    assert not scan(two).shows_nothing
    assert scan(np.zeros((40, 40), np.float32)).shows_nothing


def test_a_narrow_strip_and_an_area_far_down_a_long_plane(counts):
    assert scan(counts[:, :5]).unmeasured == ()
    long = np.tile(counts, (8, 1))
    long[650:670, 20:60] = 0
    facts = scan(long)
    assert facts.unmeasured == (0.0,)
    assert facts.measured(long)[:600].all()
