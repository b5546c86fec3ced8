"""Samples have the empty background of the sharp images that the sampler learned from."""

from dataclasses import replace

import numpy as np

from napari_smdiffusion.posterior.empty_background import faintest, smallest, with_empty_background
from napari_smdiffusion.posterior.facts import SamplerFacts


def _sharp():
    """Return an image with filaments of 3 pixels on an empty background."""
    plane = np.zeros((64, 64), np.float32)
    plane[10:13], plane[40:43] = 5, 20
    return plane


def test_faint_remains_and_specks_are_taken_out_of_the_background():
    plane = _sharp()
    facts = SamplerFacts(faintest=faintest([plane]), smallest=smallest([plane]))
    assert facts.faintest == 2.5
    noisy = plane + np.random.default_rng(0).uniform(0, 2, plane.shape).astype(np.float32)
    noisy[25, 30] = 9  # a speck
    clean = with_empty_background(noisy[None], facts)[0]
    np.testing.assert_array_equal(clean > 0, plane > 0)
    np.testing.assert_array_equal(clean[plane > 0], noisy[plane > 0])
    assert with_empty_background(noisy[None], replace(facts, smallest=None))[0, 25, 30] == 9


def test_samples_stay_as_they_are_if_the_background_of_the_training_images_is_not_empty():
    plane = _sharp() + 1
    assert faintest([plane]) == 0
    noisy = np.random.default_rng(0).uniform(0, 2, (1, 64, 64)).astype(np.float32)
    assert with_empty_background(noisy, SamplerFacts()) is noisy
