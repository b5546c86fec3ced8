"""The smooth light of a simulated microscope is wider than the structure."""

import numpy as np
import pytest

from napari_smdiffusion import MicroscopeConfig, simulate
from napari_smdiffusion.microscope.suited import structure_width, suited_to


def _bars(width, size=512):
    """Return bars as wide as the gaps between them, in pixels."""
    return np.repeat(((np.arange(size) // width) % 2)[:, None], size, 1).astype(np.float32)


def test_the_width_of_a_structure_is_in_nm_and_ignores_grains_and_beads():
    # Independent filaments: the arrangement of those of a cell reaches further than their width.
    images = (simulate("mitochondria", seed=1), simulate("microtubules", seed=1, organisation="random"))
    tubes, filaments = (image.pixels[0] for image in images)
    broad, narrow = (structure_width([plane], 20.0) for plane in (tubes, filaments))
    assert 100 < narrow < 250 < broad < 700
    assert structure_width([np.kron(tubes[:256, :256], np.ones((2, 2)))], 10.0) == pytest.approx(
        structure_width([tubes[:256, :256]], 20.0), rel=0.05
    )
    bead = filaments.copy()
    bead[100:112, 100:112] = 100 * filaments.max()
    assert structure_width([bead], 20.0) == pytest.approx(narrow, rel=0.1)
    grains = np.random.default_rng(0).poisson(tubes)
    assert structure_width([grains.astype(np.float32)], 20.0) == pytest.approx(broad, rel=0.1)


def test_the_width_of_empty_and_of_very_broad_structure():
    assert structure_width([np.zeros((64, 64), np.float32)], 20.0) == 0
    assert structure_width([_bars(128)], 20.0) == 700


def test_smooth_light_is_widened_for_broad_structure_alone():
    default = MicroscopeConfig()
    assert suited_to(default, [_bars(2)], 20.0) == default
    suited = suited_to(default, [_bars(128)], 20.0)
    assert suited.smooth_light_width_range == (1400, 5600)
    assert suited_to(suited, [_bars(128)], 20.0) == suited
    chosen = MicroscopeConfig(smooth_light_width_range=(100.0, 300.0))
    assert suited_to(chosen, [_bars(128)], 20.0) == chosen
    without = MicroscopeConfig(smooth_light_range=(0.0, 0.0))
    assert suited_to(without, [_bars(128)], 20.0) == without
