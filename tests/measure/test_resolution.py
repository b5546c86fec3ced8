"""The measured resolution of images whose resolution is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import simulate
from napari_smdiffusion.measure.resolution import (
    decorrelation_analysis,
    fourier_ring_correlation,
    single_image_frc,
    typical_resolution,
)

PIXEL = 20.0  # nm
PHOTONS = 500  # per molecule


def _frequencies(size):
    return np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])


def _molecules(transfer, size=256, photons=PHOTONS, seed=0, exposures=2):
    """Return exposures (exposures, size, size) of molecules at random positions, imaged with a transfer function."""
    rng = np.random.default_rng(seed)
    light = np.fft.fft2(rng.poisson(0.05, (size, size)) * float(photons))
    mean = np.fft.ifft2(light * transfer(_frequencies(size))).real.clip(0)
    return rng.poisson(mean, (exposures, size, size)).astype(np.float32)


def _gaussian(sigma):
    """Return the transfer function of a Gaussian of `sigma` pixels."""
    return lambda frequency: np.exp(-2 * (np.pi * sigma * frequency) ** 2)


def _aperture(cutoff):
    """Return the transfer function of a widefield microscope that ends at `cutoff` cycles per pixel."""

    def transfer(frequency):
        share = np.clip(frequency / cutoff, 0, 1)
        return 2 / np.pi * (np.arccos(share) - share * np.sqrt(1 - share**2))

    return transfer


def _known(sigma, photons):
    """Return the resolution in nm of randomly placed molecules with `photons` in each of two images.

    Their power P is photons · exp(-4 π² sigma² f²) in units of the noise power. The correlation P / (P + 1) is 1/7 at
    P = 1/6.
    """
    return PIXEL * 2 * np.pi * sigma / np.sqrt(np.log(6 * photons))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_two_images_of_known_resolution(sigma, seed):
    result = fourier_ring_correlation(*_molecules(_gaussian(sigma), seed=seed), PIXEL)
    assert result.resolution == pytest.approx(_known(sigma, PHOTONS), rel=0.06)
    assert result.warning is None
    assert result.frequencies.shape == result.curve.shape
    assert result.frequencies[-1] < 0.5 / PIXEL
    # The curve is above the threshold before the crossing, and near 0 far beyond it.
    assert (result.curve[result.frequencies < 0.95 / result.resolution] > 1 / 7).all()
    assert abs(result.curve[result.frequencies > 1.5 / result.resolution].mean()) < 0.05


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_one_image_of_known_resolution(sigma, seed):
    result = single_image_frc(_molecules(_gaussian(sigma), seed=seed)[0], PIXEL)
    assert result.resolution == pytest.approx(_known(sigma, PHOTONS / 2), rel=0.06)
    assert result.warning is None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_decorrelation_of_known_resolution(sigma, seed):
    # Without a threshold or a model of the signal, the method is accurate to 20 %.
    result = decorrelation_analysis(_molecules(_gaussian(sigma), seed=seed)[0], PIXEL)
    assert result.resolution == pytest.approx(_known(sigma, PHOTONS / 2), rel=0.2)
    assert result.warning is None


@pytest.mark.parametrize("cutoff", [0.15, 0.25, 0.35])
def test_a_transfer_function_that_ends(cutoff):
    # With many photons, the resolution is the end of the transfer function.
    first, second = _molecules(_aperture(cutoff), photons=5000)
    assert fourier_ring_correlation(first, second, PIXEL).resolution == pytest.approx(PIXEL / cutoff, rel=0.05)
    assert single_image_frc(first, PIXEL).resolution == pytest.approx(PIXEL / cutoff, rel=0.06)
    # The transfer function fades out: the decorrelation analysis ends a tenth before it.
    assert decorrelation_analysis(first, PIXEL).resolution == pytest.approx(1.12 * PIXEL / cutoff, rel=0.08)


def test_decorrelation_of_smooth_images_without_noise():
    # Networks produce such images; no noise ends the curves.
    plane = simulate("mitochondria", size=256, seed=0).pixels[0]
    resolutions = [decorrelation_analysis(gaussian_filter(plane, sigma), PIXEL).resolution for sigma in (1, 2, 3, 5)]
    assert resolutions == pytest.approx([PIXEL * 2.8 * sigma for sigma in (1, 2, 3, 5)], rel=0.1)
    rounded = np.round(255 * gaussian_filter(plane, 2) / plane.max()).astype(np.float32)
    assert decorrelation_analysis(rounded, PIXEL).resolution == pytest.approx(resolutions[1], rel=0.05)


def test_decorrelation_warns_if_the_image_is_too_small_for_its_detail():
    plane = gaussian_filter(np.random.default_rng(0).poisson(0.02, (512, 512)).astype(np.float64), 5)
    noisy = (plane + np.random.default_rng(1).normal(0, 0.05 * plane.std(), plane.shape)).astype(np.float32)
    whole, part = (decorrelation_analysis(image, PIXEL) for image in (noisy, noisy[:48, :48]))
    assert whole.warning is None
    assert part.resolution < 0.7 * whole.resolution
    assert "too small for its detail" in part.warning
    assert typical_resolution(noisy[np.newaxis, :48, :48], PIXEL) is None
    assert typical_resolution(noisy[np.newaxis], PIXEL) == whole.resolution


def test_oblong_images_have_the_resolution_of_square_ones():
    first, second = _molecules(_gaussian(2.5))[:, :, :160]
    known = _known(2.5, PHOTONS)
    assert fourier_ring_correlation(first, second, PIXEL).resolution == pytest.approx(known, rel=0.08)
    assert single_image_frc(first.T, PIXEL).resolution == pytest.approx(_known(2.5, PHOTONS / 2), rel=0.08)
    assert decorrelation_analysis(first, PIXEL).resolution == pytest.approx(known, rel=0.25)


def test_the_resolution_scales_with_the_pixel_size_but_not_with_the_intensities():
    first, second = _molecules(_gaussian(2.5))
    result = fourier_ring_correlation(first, second, PIXEL)
    assert fourier_ring_correlation(5 * first + 3, 0.1 * second - 7, 2 * PIXEL).resolution == pytest.approx(
        2 * result.resolution, rel=1e-3
    )
    sharp = decorrelation_analysis(first, PIXEL).resolution
    assert decorrelation_analysis(5 * first + 3, 2 * PIXEL).resolution == pytest.approx(2 * sharp, rel=1e-3)


def test_the_split_of_one_image_depends_only_on_the_seed():
    image = _molecules(_gaussian(2.5))[0]
    first, again, reseeded = (single_image_frc(image, PIXEL, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.curve, again.curve)
    assert not np.array_equal(first.curve, reseeded.curve)
    assert first.resolution == pytest.approx(reseeded.resolution, rel=0.06)


def _stretched(counts):
    """Return counts as an 8-bit image that uses the whole range, with its brightest pixels clipped."""
    return np.clip(np.round(counts * 255 / np.percentile(counts, 99.5)), 0, 255)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda counts: counts + 0.5, "negative or not whole numbers"),
        (lambda counts: counts - 10, "negative or not whole numbers"),
        (_stretched, "clipped at 255"),
        (lambda counts: np.round(counts * 255 / counts.max()), "less noise than counts"),
        (lambda counts: np.round(gaussian_filter(counts, 0.7)), "less noise than counts"),
        (lambda counts: counts + 100, "less noise than counts"),
        (lambda counts: 2 * counts, "more noise than counts"),
    ],
    ids=["fractions", "negative", "stretched", "scaled down", "smoothed", "offset", "gain"],
)
def test_pixels_that_are_not_counts_give_a_warning(change, sentence):
    counts = _molecules(_gaussian(2.0), photons=4000)[0]
    assert single_image_frc(counts, PIXEL).warning is None
    assert sentence in single_image_frc(change(counts).astype(np.float32), PIXEL).warning


@pytest.mark.parametrize("structure", ["microtubules", "mitochondria"])
def test_an_8_bit_rendering_gives_a_warning(structure):
    rendered = gaussian_filter(simulate(structure, size=128, seed=0).pixels[0], 1)
    assert "unreliable" in single_image_frc(_stretched(rendered), PIXEL).warning


def test_dim_counts_and_small_read_noise_give_no_warning():
    counts = _molecules(_gaussian(2.0), photons=20)[0]
    assert single_image_frc(counts, PIXEL).warning is None
    bright = _molecules(_gaussian(2.0), photons=4000)[0]
    read = np.random.default_rng(1).normal(0, 1.6, bright.shape)
    assert single_image_frc(np.maximum(np.round(bright + read), 0), PIXEL).warning is None


def test_images_without_a_resolution_have_a_warning_instead():
    rng = np.random.default_rng(0)
    noise, other_noise = rng.normal(size=(2, 128, 128)).astype(np.float32)
    same = fourier_ring_correlation(noise, noise, PIXEL)
    assert same.resolution is None
    assert "resolution is 40 nm or better" in same.warning
    unrelated = fourier_ring_correlation(noise, other_noise, PIXEL)
    assert unrelated.resolution is None
    assert "hardly more in common" in unrelated.warning
    empty = decorrelation_analysis(noise, PIXEL)
    assert empty.resolution is None
    assert "No frequency stands out" in empty.warning
    flat = single_image_frc(rng.poisson(20, (128, 128)).astype(np.float32), PIXEL)
    assert flat.resolution is None
    assert "hardly more in common" in flat.warning


def test_unusable_images_are_refused():
    image = _molecules(_gaussian(2.0), size=64)[0]
    with pytest.raises(ValueError, match="must show the same field"):
        fourier_ring_correlation(image, image[:40], PIXEL)
    with pytest.raises(ValueError, match="at least 32 × 32"):
        decorrelation_analysis(image[:20], PIXEL)
    with pytest.raises(ValueError, match="pixel size must be positive"):
        single_image_frc(image, 0.0)
    with pytest.raises(ValueError, match="not finite"):
        decorrelation_analysis(np.where(image > 10, np.nan, image), PIXEL)
    with pytest.raises(ValueError, match="All pixels are the same"):
        decorrelation_analysis(np.ones_like(image), PIXEL)
    with pytest.raises(ValueError, match="give an image of counts"):
        single_image_frc(image / image.max() / 3, PIXEL)
