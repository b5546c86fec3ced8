"""The judge sees what people see."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import simulate
from napari_smdiffusion.assess import (
    correlation_map,
    grid_patches,
    memorization,
    nearest_matches,
    realism,
)
from napari_smdiffusion.patches import symmetry


@pytest.fixture(scope="module")
def fields():
    """Return simulated mitochondria: (4, 256, 256)."""
    return simulate("mitochondria", count=4, size=256, seed=0).pixels


def _clouds(seed):
    """Return patches of a texture that is far from any mathematical model of ours: (64, 64, 64)."""
    spots = np.random.default_rng(seed).gamma(0.2, 10, (4, 256, 256))
    return grid_patches(list(gaussian_filter(spots, (0, 2, 2)).astype(np.float32)), 64)


def test_grid_patches_do_not_overlap(fields):
    patches = grid_patches([fields[0]], 100)
    assert patches.shape == (4, 100, 100)
    np.testing.assert_array_equal(patches[3], fields[0, 100:200, 100:200])


def test_realism_grows_with_the_damage():
    experimental, fresh = _clouds(0), _clouds(1)
    damaged = (fresh, gaussian_filter(fresh, (0, 1, 1)), gaussian_filter(fresh, (0, 3, 3)), fresh + fresh.std())
    scores = [realism(patches, experimental)["score"] for patches in damaged]
    # A mathematical model is so far from clouds that all scores are small; it is their order that counts.
    assert 10 * abs(scores[0]) < scores[1] < scores[2]
    assert 10 * abs(scores[0]) < scores[3], "a wrong background must show"


def test_realism_has_no_scale_where_the_mathematical_model_is_the_experiment():
    patches = grid_patches(list(simulate("mitochondria", count=16, size=256, seed=0).pixels), 64)
    assert realism(patches[::2], patches[1::2])["score"] is None


def test_realism_needs_enough_patches(fields):
    with pytest.raises(ValueError, match="at least 8 patches"):
        realism(fields[:3], fields)


def test_correlation_map_agrees_with_its_definition(fields):
    plane = np.random.default_rng(0).random((40, 44))
    patch = np.random.default_rng(1).random((16, 12))
    found = correlation_map(plane, patch)
    assert found.shape == (25, 33)
    for y, x in ((0, 0), (24, 32), (11, 7)):
        expected = np.corrcoef(plane[y : y + 16, x : x + 12].ravel(), patch.ravel())[0, 1]
        assert found[y, x] == pytest.approx(expected, abs=1e-4)


def test_planted_copies_are_found(fields):
    rng = np.random.default_rng(0)
    copies = [0.3 * symmetry(fields[1][40:104, 90:154], k) + rng.normal(0, 0.1, (64, 64)) for k in (0, 3, 6)]
    for match, k in zip(nearest_matches(np.stack(copies), list(fields[:2])), (0, 3, 6), strict=True):
        assert match.plane == 1
        assert match.correlation > 0.8
        # Turning the copy back by the symmetry that was found gives the window it came from.
        found = symmetry(copies[(0, 3, 6).index(k)], match.symmetry)
        window = fields[match.plane][match.y : match.y + 64, match.x : match.x + 64]
        assert np.corrcoef(found.ravel(), window.ravel())[0, 1] == pytest.approx(match.correlation, abs=1e-3)


def test_memorization_tells_copies_from_new_images(fields):
    training, held_out = list(fields[:2]), grid_patches(list(fields[2:]), 64)
    new = grid_patches(list(simulate("mitochondria", count=1, size=256, seed=5).pixels), 64)
    copies = np.stack([symmetry(f[20:84, 30:94], k) for f in training for k in (1, 5)])
    assert memorization(new, training, held_out)["fraction_above_held_out_99"] < 0.3
    report = memorization(copies, training, held_out)
    assert report["fraction_above_held_out_99"] == 1.0
    assert report["generated_median"] > report["held_out_median"] + 0.2
