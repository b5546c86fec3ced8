"""Whether an enhanced image explains its widefield image."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import Enhancer, Image, read_image, simulate
from napari_smdiffusion.measure.explained import DOUBTED, doubt, explained


def _pair(structure, seed=0):
    """Return a sharp plane and its widefield plane with smooth light and noise, at a factor of 4."""
    sharp = simulate(structure, size=384, pixel_size=20.0, seed=seed).pixels[0]
    light = gaussian_filter(sharp, 6).reshape(96, 4, 96, 4).mean((1, 3))
    smooth = gaussian_filter(np.random.default_rng(seed).random((96, 96)), 12)
    counts = 300 * light / light.max() + 100 * smooth / smooth.max()
    return sharp, np.random.default_rng(seed).poisson(counts).astype(np.float32)


@pytest.mark.parametrize("structure", ["microtubules", "mitochondria"])
def test_the_truth_explains_its_widefield_image_and_another_field_does_not(structure):
    sharp, widefield = _pair(structure)
    assert explained(sharp, widefield, 4) > 0.9
    assert explained(_pair(structure, 1)[0], widefield, 4) < 0.5
    assert explained(np.zeros_like(sharp), widefield, 4) == 0


@pytest.mark.parametrize("defect", ["hot pixels", "dead pixels", "black corner"])
def test_what_is_no_measurement_raises_no_doubt(defect):
    sharp, widefield = _pair("microtubules")
    good = explained(sharp, widefield, 4)
    spots = np.random.default_rng(1).random(widefield.shape) < 0.012
    if defect == "black corner":
        spots = np.add.outer(range(96), range(96)) < 60
        sharp = np.where(spots.repeat(4, 0).repeat(4, 1), 0, sharp)
    damaged = np.where(spots, 5000 if defect == "hot pixels" else 0, widefield).astype(np.float32)
    assert explained(sharp, damaged, 4) == pytest.approx(good, abs=0.03)


def test_a_low_agreement_is_a_sentence_with_the_number():
    assert doubt("cell", DOUBTED) == ""
    assert "does not explain cell: blurred again, its correlation with cell is only 0.61" in doubt("cell", 0.61)


def test_the_enhancer_of_another_structure_is_doubted(sfsrm):
    enhancer = Enhancer.load("microtubules")
    for name, pixel_size, doubted in (("microtubule", 96.78, False), ("mitochondria", 80.0, True)):
        widefield = read_image(sfsrm / f"{name}_widefield.tif").pixels[0, 100:228, 100:228]
        sharp = enhancer.enhance(Image(widefield, pixel_size)).pixels[0]
        assert (explained(sharp, widefield, 5) < DOUBTED) == doubted
