"""The fit recovers the microscope that simulated a widefield image."""

import numpy as np
import pytest
import torch

from napari_smdiffusion import Image, MicroscopeConfig, simulate
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.microscope.camera import widefield
from napari_smdiffusion.microscope.fit import fit_microscope

FACTOR = 5


@pytest.fixture(scope="module")
def fields():
    """Return the imaged fields, and other fields of the same structure."""
    fields = ((960, 1), (640, 50))
    return tuple(simulate("microtubules", 2, size, 20.0, seed, organisation="random") for size, seed in fields)


@pytest.mark.parametrize(("width", "haze", "haze_width", "photons"), [(1.2, 0.7, 300, 300), (1.0, 0.5, 450, 1000)])
def test_the_fit_recovers_the_microscope(fields, width, haze, haze_width, photons):
    microscope = MicroscopeConfig(
        width_range=(width, width),
        haze_range=(haze, haze),
        haze_width_range=(haze_width, haze_width),
        photons_range=(photons, photons),
        background_range=(0.1, 0.1),
    )
    random = torch.Generator().manual_seed(0)
    counts = widefield(torch.from_numpy(fields[0].pixels)[:, None], microscope, 20.0, FACTOR, random)[:, 0].numpy()
    fit = fit_microscope(Image(counts, 20.0 * FACTOR), [fields[1]], MicroscopeConfig(), FACTOR)
    assert fit.width == pytest.approx(width, rel=0.08)
    assert fit.haze == pytest.approx(haze, abs=0.15)
    assert photons / 2 < fit.photons < photons * 2
    assert fit.residual < 0.15
    config = fit.config(MicroscopeConfig(na=1.3))
    assert config.na == 1.3
    assert config.width_range[0] < fit.width < config.width_range[1]
    # The fit to small patches is less accurate for the haze.
    patches = Image(grid_patches(list(fields[1].pixels), 128), 20.0)
    coarse = fit_microscope(Image(counts, 20.0 * FACTOR), [patches], MicroscopeConfig(), FACTOR)
    assert coarse.width == pytest.approx(width, rel=0.15)
    assert coarse.haze == pytest.approx(haze, abs=0.25)


def test_images_in_different_units_have_equal_weight(fields):
    random = torch.Generator().manual_seed(0)
    counts = widefield(torch.from_numpy(fields[0].pixels)[:, None], MicroscopeConfig(), 20.0, FACTOR, random)
    camera = Image(counts[:, 0].numpy(), 20.0 * FACTOR)
    mitochondria = simulate("mitochondria", 1, 640, 20.0, seed=3)
    as_counts = Image(255 * mitochondria.pixels + 100, 20.0)
    first, second = (
        fit_microscope(camera, [fields[1], image], MicroscopeConfig(), FACTOR) for image in (mitochondria, as_counts)
    )
    assert second.width == pytest.approx(first.width, rel=0.02)
    assert second.haze == pytest.approx(first.haze, abs=0.02)


def test_the_fit_reports_a_pixel_size_that_contradicts_the_factor(fields):
    images = [Image(fields[0].pixels[:, ::5, ::5], size, name="cell") for size in (100.0, 80.0)]
    right, wrong = (fit_microscope(image, [fields[1]], MicroscopeConfig(), FACTOR) for image in images)
    assert "the pixel size of cell is 80 nm" in wrong.sentence
    assert "pixel size" not in right.sentence
    assert wrong.width == right.width


def test_images_that_cannot_be_fitted_are_refused(fields):
    small = Image(np.random.default_rng(0).random((1, 40, 70)).astype(np.float32), 20.0, name="small.tif")
    with pytest.raises(ValueError, match=r"small\.tif is 40 × 70 pixels.*at least 80"):
        fit_microscope(fields[0], [small], MicroscopeConfig(), FACTOR)
    flat = Image(np.ones((1, 90, 90), np.float32), 100.0, name="flat.tif")
    with pytest.raises(ValueError, match=r"flat\.tif"):
        fit_microscope(flat, [fields[1]], MicroscopeConfig(), FACTOR)
    with pytest.raises(ValueError, match="no pixel size"):
        fit_microscope(small, [Image(fields[1].pixels)], MicroscopeConfig(), FACTOR)
