"""The simulated structures: appearance, seeds and pixel sizes."""

import time

import numpy as np
import pytest

from napari_smdiffusion import simulate
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.realism import frechet_distance
from napari_smdiffusion.measure.texture import texture_features


@pytest.mark.parametrize("structure", ["microtubules", "mitochondria"])
def test_simulated_images_are_sparse_and_bright_on_a_dark_background(structure):
    began = time.process_time()  # processor time, which other programs on the machine do not change
    image = simulate(structure, count=2, size=256, pixel_size=20.0, seed=1)
    assert time.process_time() - began < 30  # a generous bound: it takes a fraction of a second
    assert image.pixels.shape == (2, 256, 256)
    assert image.pixel_size == 20.0
    assert image.pixels.min() >= 0
    assert np.median(image.pixels) < 0.2 * image.pixels.std()
    assert image.provenance["kind"] == "simulated"


def test_image_k_depends_only_on_the_seed_and_k():
    many, few = (simulate("microtubules", count=n, size=64, seed=5).pixels for n in (3, 2))
    np.testing.assert_array_equal(many[:2], few)
    assert not np.array_equal(many[0], many[1])


def test_a_seed_gives_the_same_field_at_two_pixel_sizes():
    fine = simulate("mitochondria", size=256, pixel_size=20.0, seed=2).pixels[0]
    coarse = simulate("mitochondria", size=128, pixel_size=40.0, seed=2).pixels[0]
    binned = fine.reshape(128, 2, 128, 2).sum((1, 3))
    assert np.corrcoef(binned.ravel(), coarse.ravel())[0, 1] > 0.95


def test_the_structures_differ_in_texture():
    first, second, mitochondria = (
        texture_features(grid_patches(list(p / p.std()), 64))
        for p in (
            simulate("microtubules", 6, 256, seed=0).pixels,  # of six cells each
            simulate("microtubules", 6, 256, seed=1).pixels,
            simulate("mitochondria", 6, 256, seed=0).pixels,
        )
    )
    assert frechet_distance(first, mitochondria) > 3 * frechet_distance(first, second)


@pytest.mark.parametrize(
    "bad", [{"structure": "centrioles"}, {"count": 0}, {"size": 8}, {"seed": -1}, {"pixel_size": 0.0}]
)
def test_bad_input_is_refused(bad):
    with pytest.raises(ValueError, match=r"choose one of|must be at least"):
        simulate(**{"structure": "microtubules", **bad})
