"""Comparison of enhanced images with their reference, and with their widefield images."""

from dataclasses import astuple

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import MicroscopeConfig, simulate
from napari_smdiffusion.measure.error_map import error_map
from napari_smdiffusion.measure.restoration import image_similarity, linear_fit, ms_ssim, ssim
from napari_smdiffusion.microscope.camera import widefield as imaged

FACTOR = 4


@pytest.fixture(scope="module")
def fields():
    """Return simulated mitochondria: (2, 256, 256)."""
    return simulate("mitochondria", count=2, size=256, seed=0).pixels


@pytest.fixture(scope="module")
def noisy(fields):
    """Return the first field with noise, its range, and the field."""
    truth = fields[0]
    noise = np.random.default_rng(0).normal(0, truth.std(), truth.shape).astype(np.float32)
    return truth + noise, float(np.ptp(truth)), truth


def test_image_similarity_ignores_scale_and_offset(fields):
    truth = fields[0]
    report = image_similarity(3 * truth + 7, truth)
    assert report.correlation == pytest.approx(1)
    assert report.ssim == pytest.approx(1, abs=1e-4)
    assert report.ms_ssim == pytest.approx(1, abs=1e-4)
    assert report.psnr > 60
    worse = image_similarity(gaussian_filter(truth, 3), truth)
    assert worse.psnr < 40
    assert worse.correlation_blurred > worse.correlation
    np.testing.assert_allclose(linear_fit(2 * truth + 1, truth), truth, atol=1e-4)


def test_psnr_and_ssim_equal_those_of_scikit_image(fields, noisy):
    from skimage import metrics

    for image in (noisy[0], gaussian_filter(fields[0], 2), fields[1]):
        truth, span = fields[0], float(np.ptp(fields[0]))
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": span}
        assert ssim(image, truth, span) == pytest.approx(
            metrics.structural_similarity(image.astype(float), truth.astype(float), **options), abs=1e-6
        )
        fitted = linear_fit(image, truth)
        report = image_similarity(image, truth)
        assert report.psnr == pytest.approx(metrics.peak_signal_noise_ratio(truth, fitted, data_range=span), abs=1e-3)
        assert report.ssim == pytest.approx(metrics.structural_similarity(fitted, truth, **options), abs=1e-4)


def test_ms_ssim_equals_that_of_torchmetrics(fields, noisy):
    from torchmetrics.functional import image as metrics

    span = noisy[1]
    for image in (noisy[0], gaussian_filter(fields[0], 2)):
        tensors = (torch.from_numpy(plane)[None, None].double() for plane in (image, fields[0]))
        expected = metrics.multiscale_structural_similarity_index_measure(*tensors, data_range=span)
        assert ms_ssim(image, fields[0], span) == pytest.approx(float(expected), abs=1e-4)


def test_ms_ssim_equals_its_definition(fields, noisy):
    span, offset = noisy[1], torch.arange(-5.0, 6.0, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offset / 1.5) ** 2)
    kernel = torch.outer(kernel, kernel)[None, None] / kernel.sum() ** 2
    a, b = (torch.from_numpy(plane)[None, None].double() for plane in (noisy[0], fields[0]))
    expected = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        mean_a, mean_b, aa, bb, ab = (torch.conv2d(values, kernel) for values in (a, b, a * a, b * b, a * b))
        structure = (2 * (ab - mean_a * mean_b) + (0.03 * span) ** 2) / (
            aa - mean_a**2 + bb - mean_b**2 + (0.03 * span) ** 2
        )
        if weight == 0.1333:
            structure *= (2 * mean_a * mean_b + (0.01 * span) ** 2) / (mean_a**2 + mean_b**2 + (0.01 * span) ** 2)
        expected *= float(structure.mean()) ** weight
        a, b = (torch.nn.functional.avg_pool2d(values, 2) for values in (a, b))
    assert ms_ssim(noisy[0], fields[0], span) == pytest.approx(expected, abs=1e-6)


def test_ms_ssim_is_1_for_equal_images_and_falls_with_the_damage(noisy):
    image, span, truth = noisy
    assert ms_ssim(truth, truth, span) == 1
    blurred = [ms_ssim(gaussian_filter(truth, sigma), truth, span) for sigma in (0.5, 1, 2, 4, 8)]
    noisier = [ms_ssim(truth + share * (image - truth), truth, span) for share in (0.25, 0.5, 1, 2, 4)]
    for scores in (blurred, noisier):
        assert scores[0] < 1
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] < scores[0] - 0.15


def test_ms_ssim_uses_the_scales_that_fit_the_image(noisy):
    image, span, truth = noisy
    assert ms_ssim(image, truth, span, scales=1) == pytest.approx(ssim(image, truth, span))
    # Noise is finest at the first scale: coarser scales average it out.
    scores = [ms_ssim(image, truth, span, scales) for scales in (1, 2, 3, 4, 5)]
    assert scores == sorted(scores)
    small, small_truth = image[:40, :40], truth[:40, :40]
    assert ms_ssim(small, small_truth, span) == ms_ssim(small, small_truth, span, scales=2)


def test_ms_ssim_of_an_inverted_image_is_0(noisy):
    _, span, truth = noisy
    assert ms_ssim(truth.max() - truth, truth, span, scales=1) < 0.5
    stripes = np.indices((64, 64))[1].astype(np.float32) % 4 // 2
    assert ms_ssim(1 - stripes, stripes, 1.0) == 0


def test_images_that_cannot_be_compared_are_refused(fields):
    with pytest.raises(ValueError, match="must show the same field"):
        ssim(fields[0], fields[0, :100], 1.0)
    with pytest.raises(ValueError, match="at least 11 pixels along each side"):
        ms_ssim(fields[0, :8], fields[0, :8], 1.0)
    with pytest.raises(ValueError, match="scales must be between 1 and 5"):
        ms_ssim(fields[0], fields[0], 1.0, scales=6)


def test_the_error_map_is_highest_at_an_invented_structure(fields):
    truth = fields[0][:200, :200]
    widefield = gaussian_filter(truth.reshape(50, 4, 50, 4).mean((1, 3)), 1.2) * 50 + 10
    honest = error_map(truth, widefield, 4)
    forged = truth.copy()
    forged[120:124, 20:80] += truth.max()
    report = error_map(forged, widefield, 4)
    assert honest.rsp > 0.99
    assert report.rsp < honest.rsp
    assert report.rse > 3 * honest.rse
    y, x = np.unravel_index(report.error.argmax(), report.error.shape)
    assert abs(y - 30) <= 2
    assert 4 <= x <= 20


@pytest.mark.parametrize("haze", [0.2, 0.5, 0.85])
@pytest.mark.parametrize(("y", "x", "angle"), [(100, 150, 0.4), (180, 70, 2.0), (128, 128, 1.2)])
def test_the_error_map_is_highest_on_an_added_or_removed_filament(haze, y, x, angle):
    without = simulate("microtubules", size=256, seed=1, organisation="random").pixels[0]  # sparse
    filament = _filament(without.shape, y, x, angle)
    # The filament is as bright as the brighter parts of the real filaments.
    bright = np.percentile(without[without > 0.1 * without.max()], 90)
    with_filament = np.where(filament, np.maximum(without, bright), without)
    for truth, enhanced in ((without, with_filament), (with_filament, without)):
        widefield = _simulated_widefield(truth, haze)
        honest, report = error_map(truth, widefield, FACTOR), error_map(enhanced, widefield, FACTOR)
        assert honest.rsp > 0.95
        assert report.rsp < honest.rsp - 0.02
        assert report.rse > 1.3 * honest.rse
        assert _distance_of_maximum(report.error, filament) <= 2


def _simulated_widefield(truth, haze):
    """Return a widefield image of a plane (Y, X) by the simulated microscope, with noise, background and haze."""
    config = MicroscopeConfig(
        width_range=(1.0, 1.0), haze_range=(haze, haze), photons_range=(300.0, 300.0), background_range=(0.1, 0.1)
    )
    images = torch.from_numpy(truth)[None, None]
    return imaged(images, config, 20.0, FACTOR, torch.Generator().manual_seed(0))[0, 0].numpy()


def _filament(shape, y, x, angle, length=60):
    """Return a mask of a straight filament, 2 to 3 pixels wide, with its middle at (y, x)."""
    rows, columns = np.indices(shape)
    along = (rows - y) * np.sin(angle) + (columns - x) * np.cos(angle)
    across = (columns - x) * np.sin(angle) - (rows - y) * np.cos(angle)
    return (np.abs(along) <= length / 2) & (np.abs(across) <= 1)


def _distance_of_maximum(error, mask):
    """Return the distance in widefield pixels of the maximum of an error map from a mask on the fine grid."""
    maximum = (np.array(np.unravel_index(error.argmax(), error.shape)) + 0.5) * FACTOR
    return np.hypot(*(np.argwhere(mask) + 0.5 - maximum).T).min() / FACTOR


def test_an_inverted_image_is_not_similar():
    truth = simulate("microtubules", size=256, seed=1).pixels[0]
    widefield = gaussian_filter(truth, 6).reshape(64, 4, 64, 4).mean((1, 3))
    assert error_map(truth.max() - truth, widefield, 4).rsp < 0.5 < error_map(truth, widefield, 4).rsp
    report = image_similarity(-truth, truth)
    assert report.psnr < image_similarity(gaussian_filter(truth, 3), truth).psnr
    assert report.ssim < 0.9


def test_units_do_not_matter():
    truth = simulate("microtubules", size=128, seed=1).pixels[0]
    report, small = (image_similarity(unit * gaussian_filter(truth, 1), unit * truth) for unit in (1, np.float32(1e-6)))
    assert astuple(small) == pytest.approx(astuple(report), rel=1e-3)
    coarse = gaussian_filter(truth, 6).reshape(32, 4, 32, 4).mean((1, 3)) * 1000
    maps = [error_map(truth * unit, coarse, 4) for unit in (1, np.float32(1e-9))]
    assert maps[0].rsp > 0.9
    assert maps[1].rsp == pytest.approx(maps[0].rsp, rel=1e-3)


def test_a_constant_image_explains_nothing():
    truth = simulate("microtubules", size=128, seed=1).pixels[0]
    flat = np.zeros_like(truth)
    assert image_similarity(flat, truth).correlation == 0
    assert error_map(flat, truth.reshape(32, 4, 32, 4).mean((1, 3)), 4).rsp == 0
    with pytest.raises(ValueError, match="constant"):
        image_similarity(truth, flat)
