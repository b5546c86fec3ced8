"""The simulated microscope conserves light, blurs by the requested widths and aligns both pixel grids."""

import numpy as np
import pytest
import torch

from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.microscope.camera import camera_counts, widefield
from napari_smdiffusion.microscope.optics import (
    Optics,
    binned,
    convolved,
    draw_optics,
    gaussian_blur,
    mean_widefield,
    psf_sigma,
    pupil_psf,
)
from napari_smdiffusion.microscope.settings import MicroscopeConfig


def _point(size=65):
    image = torch.zeros(1, 1, size, size)
    image[0, 0, size // 2, size // 2] = 1
    return image


def _width(image):
    """Return the standard deviation along Y of a (1, 1, Y, X) spot in pixels."""
    profile = image[0, 0].sum(1).double()
    position = torch.arange(len(profile)).double()
    mean = (position * profile).sum() / profile.sum()
    return float(torch.sqrt(((position - mean) ** 2 * profile).sum() / profile.sum()))


def test_the_blur_has_the_requested_width_and_conserves_light():
    both = gaussian_blur(_point().repeat(2, 1, 1, 1), torch.tensor([2.0, 5.0]))
    assert [_width(both[i : i + 1]) for i in range(2)] == pytest.approx([2, 5], rel=0.02)
    assert both.sum((1, 2, 3)).tolist() == pytest.approx([1, 1], rel=1e-4)


def test_the_gaussian_width_is_the_best_fit_to_the_pupil_model():
    sigma = psf_sigma(1.2, 600) / 20
    exact = pupil_psf(1.2, 600, 20.0, 65)
    assert float(exact.sum()) == pytest.approx(1, rel=1e-5)
    errors = {}
    for factor in (0.7, 0.85, 1.0, 1.15, 1.3):
        gauss = gaussian_blur(_point(), torch.tensor([sigma * factor]))[0, 0]
        errors[factor] = float(((gauss / gauss.max() - exact / exact.max()) ** 2).sum())
    assert min(errors, key=errors.get) in (0.85, 1.0, 1.15)


def test_the_pupil_model_leaves_dark_pixels_at_zero():
    spots = torch.zeros(1, 1, 256, 256)
    spots[0, 0, 60::100, 60::100] = 1
    blurred = convolved(spots, pupil_psf(1.2, 600, 20.0, 65)[None])
    assert float(blurred.min()) == 0
    assert float(blurred.sum()) == pytest.approx(float(spots.sum()), rel=1e-3)


def test_defocus_widens_the_pupil_point_spread_function():
    peaks = [float(pupil_psf(1.2, 600, 20.0, 65, defocus=z).max()) for z in (0.0, 300.0, 800.0)]
    assert peaks[0] > peaks[1] > peaks[2]
    with pytest.raises(ValueError, match="too coarse"):
        pupil_psf(1.4, 500, 200.0, 33)
    with pytest.raises(ValueError, match="must be odd"):
        pupil_psf(1.4, 500, 20.0, 32)


def test_each_image_is_convolved_with_its_own_kernel():
    kernels = torch.rand(2, 5, 5, generator=generator(0))
    kernels /= kernels.sum((1, 2), keepdim=True)
    blurred = convolved(_point(15).repeat(2, 1, 1, 1), kernels)
    torch.testing.assert_close(blurred[:, 0, 5:10, 5:10], kernels)
    assert blurred.sum((1, 2, 3)).tolist() == pytest.approx([1, 1])
    # A kernel larger than the image is cropped.
    assert convolved(torch.ones(2, 1, 4, 40), kernels.repeat_interleave(5, 1).repeat_interleave(5, 2)).shape[-2] == 4


def test_the_settings_select_the_pupil_model():
    images = torch.zeros(3, 1, 96, 96)
    images[..., 48, 48] = 1
    quiet = {"haze_range": (0.0, 0.0), "width_range": (1.0, 1.2), "wavelength": 600.0, "na": 1.2}
    results = {}
    for psf, defocus in (("gaussian", 0.0), ("pupil", 0.0), ("pupil", 500.0)):
        config = MicroscopeConfig(psf=psf, defocus=defocus, **quiet)
        optics = draw_optics(config, 3, 20.0, 1, generator(4))
        results[psf, defocus] = mean_widefield(images, optics, 1)
    gaussian, focused, defocused = results.values()
    # The widths are the same draws, and in focus both models have nearly the same shape.
    assert float((gaussian - focused).abs().max()) < 0.25 * float(gaussian.max())
    assert focused.sum((1, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=0.02)
    assert (defocused.amax((1, 2, 3)) < 0.5 * focused.amax((1, 2, 3))).all()


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_a_widefield_pixel_covers_its_fine_pixels(factor):
    fine = torch.zeros(1, 1, 30, 30)
    fine[..., 2 * factor : 3 * factor, 4 * factor : 5 * factor] = 1
    coarse = binned(fine, factor)
    assert coarse.shape[-1] == 30 // factor
    assert float(coarse[0, 0, 2, 4]) == 1
    assert float(coarse.sum()) == pytest.approx(1)


def _optics(batch=2, **values):
    defaults = {"sigma": 3.0, "haze": 0.0, "haze_sigma": 6.0, "photons": 100.0, "background": 0.0}
    return Optics(**{k: torch.full((batch,), v) for k, v in (defaults | values).items()})


def test_haze_spreads_and_conserves_light():
    images = torch.rand(2, 1, 60, 60, generator=generator(0))
    clear, hazy = (mean_widefield(images, _optics(haze=h), 5) for h in (0.0, 0.5))
    assert float(hazy.mean()) == pytest.approx(float(clear.mean()), rel=0.02)
    assert float(hazy.std()) < 0.7 * float(clear.std())


def test_the_noise_has_the_variance_of_photon_counts():
    mean = torch.full((2, 1, 80, 80), 0.5)
    config = MicroscopeConfig(read_noise=2.0, gain=3.0, offset=100.0)
    counts = camera_counts(mean, _optics(photons=400.0, background=0.25), config, generator(1))
    assert float(counts.mean()) == pytest.approx(100 + 3 * 300, rel=0.01)
    assert float(counts.var()) == pytest.approx(9 * (300 + 4), rel=0.05)


def test_draws_depend_only_on_the_generator_and_stay_in_their_ranges():
    config = MicroscopeConfig()
    first, again = (draw_optics(config, 200, 20.0, 5, generator(3)) for _ in range(2))
    assert torch.equal(first.sigma, again.sigma)
    in_focus = psf_sigma(config.na, config.wavelength) / 20
    assert float(first.sigma.min()) >= config.width_range[0] * in_focus
    assert float(first.photons.max()) <= config.photons_range[1] * 1.001
    np.testing.assert_array_less(first.haze.numpy(), config.haze_range[1] + 1e-6)


def test_sizes_that_are_no_multiple_of_the_factor_are_refused():
    with pytest.raises(ValueError, match="must be a multiple of 5 pixels"):
        widefield(torch.zeros(1, 1, 64, 64), MicroscopeConfig(), 20.0, 5, generator(0))
