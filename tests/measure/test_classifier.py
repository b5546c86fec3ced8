"""The classifier guesses for patches of one kind, and recognizes patches of different kinds."""

import numpy as np
import pytest
import torch

from curves import curves
from napari_smdiffusion import Stopped
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.classifier import TwoSample, area_under_curve, meaning, two_sample_test


@pytest.fixture(scope="module")
def kinds():
    """Return two sets of patches of one kind, (80, 32, 32) each, as whole numbers."""
    return [np.round(20 * grid_patches([curves(s), curves(s + 1)], 32))[:80] for s in (0, 10)]


def test_the_classifier_guesses_for_equal_kinds_and_recognizes_different_kinds(kinds):
    first, second = kinds
    alike = two_sample_test(first, second, epochs=3)
    different = two_sample_test(first, second.mean((1, 2), keepdims=True) + 0 * second, epochs=3)
    assert 0.3 < alike.auc < 0.7
    assert different.auc > 0.95
    assert len(alike.folds) == 3
    assert alike.auc == pytest.approx(np.mean(alike.folds))
    assert alike.by_chance == pytest.approx(0.09, abs=0.005)


@pytest.mark.parametrize(
    ("auc", "halves", "words"),
    [
        (0.3, 0.5, "30 times in 100"),
        (0.55, 0.5, "no difference was found"),
        (0.65, 0.7, "no larger than between two regions"),
        (0.72, 0.65, "is larger than between two regions"),
        (0.9, 0.95, "no larger than between two regions"),
        (0.9, 0.6, "clearly differ"),
    ],
)
def test_the_meaning_depends_on_the_difference_of_two_halves_of_the_experiment(auc, halves, words):
    result, result_of_halves = (TwoSample(area, (area,) * 3, 0.1, 12) for area in (auc, halves))
    assert words in meaning(result, result_of_halves)
    assert "12 epochs" in meaning(result, result_of_halves)


def test_a_high_background_does_not_change_the_result(kinds):
    first, second = kinds
    areas = [two_sample_test(first + base, np.round(2 * second) + base, epochs=3).auc for base in (0, 30_000)]
    assert areas[1] == pytest.approx(areas[0], abs=0.02)


def test_larger_differences_give_a_larger_area(kinds):
    first, second = kinds
    areas = [two_sample_test(first, np.round(factor * second), epochs=6).auc for factor in (1.0, 1.3, 2.0)]
    assert areas[0] < areas[1] < areas[2]
    assert areas[2] > 0.8


def _filaments(first, **damage):
    return np.round(20 * grid_patches([curves(first + i, **damage) for i in range(2)], 64))


@pytest.fixture(scope="module")
def undamaged():
    """Return the area of filaments that are not damaged."""
    return two_sample_test(_filaments(0), _filaments(10), epochs=12).auc


@pytest.mark.parametrize("damage", [{"gap": 0.7}, {"wave": 4.0, "wavelength": 16.0}])
def test_the_classifier_recognizes_dashed_and_wavy_filaments(damage, undamaged):
    bad = two_sample_test(_filaments(0), _filaments(10, **damage), epochs=12).auc
    assert bad > max(undamaged, 0.5) + 0.1


def test_fractions_are_rounded_if_the_experiment_has_whole_numbers(kinds):
    first, second = kinds
    fractions = second + np.random.default_rng(0).uniform(-0.4, 0.4, second.shape).astype(np.float32) - 0.0
    assert two_sample_test(first, fractions, epochs=1) == two_sample_test(first, second, epochs=1)


def test_the_result_is_reproducible_and_does_not_use_the_global_generator(kinds):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    result, repeated = (two_sample_test(*kinds, epochs=1, seed=3) for _ in range(2))
    assert result == repeated
    assert torch.equal(before, torch.get_rng_state())
    # Trainings in other threads may draw from the global generator during the test.
    assert two_sample_test(*kinds, epochs=1, seed=3, stop=lambda: bool(torch.rand(1) > 2)) == result


def test_large_patches_are_averaged_over_2_by_2_pixels():
    patches = np.random.default_rng(0).random((24, 256, 256)).astype(np.float32)
    coarse = patches.reshape(24, 128, 2, 128, 2).mean((2, 4))
    fine, halved = (two_sample_test(p, p[::-1], scale=1.0, epochs=1) for p in (patches, coarse))
    assert fine.folds == pytest.approx(halved.folds, abs=0.02)


def test_too_few_patches_and_unequal_sizes_are_refused(kinds):
    with pytest.raises(ValueError, match="at least 24 patches"):
        two_sample_test(kinds[0][:10], kinds[1])
    with pytest.raises(ValueError, match="of one size"):
        two_sample_test(kinds[0], kinds[1][:, :16, :16])
    with pytest.raises(Stopped):
        two_sample_test(*kinds, stop=lambda: True)


def test_area_under_curve_counts_pairs():
    assert area_under_curve(np.array([1, 2, 3, 4.0]), np.array([False, False, True, True])) == 1
    assert area_under_curve(np.array([1, 2, 2, 4.0]), np.array([False, True, False, True])) == 0.875
