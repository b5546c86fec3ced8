"""Noise that neighbouring pixels share has the strength and the width of the settings."""

import pytest
import torch

from napari_smdiffusion import MicroscopeConfig
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.microscope.correlated_noise import with_correlated_noise

NO_BACKGROUND = torch.zeros(8)


def test_it_has_its_strength_and_grows_with_the_root_of_the_light():
    light = torch.ones(8, 1, 96, 96)
    light[..., 48:] = 0.25
    config = MicroscopeConfig(correlated_noise_range=(0.1, 0.1), correlated_noise_width_range=(1.0, 1.0))
    noise = with_correlated_noise(light, NO_BACKGROUND, config, generator(0)) - light
    assert float(noise[..., :48].std()) == pytest.approx(0.1, rel=0.1)
    assert float(noise[..., 48:].std()) == pytest.approx(0.05, rel=0.1)
    lit = with_correlated_noise(light, torch.full((8,), 3.0), config, generator(0)) - light
    assert float(lit[..., :48].std()) == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize("width", [0.8, 1.3])
def test_neighbouring_pixels_share_it(width):
    light = torch.ones(8, 1, 128, 128)
    config = MicroscopeConfig(correlated_noise_range=(0.1, 0.1), correlated_noise_width_range=(width, width))
    noise = with_correlated_noise(light, NO_BACKGROUND, config, generator(0)) - light
    shared = float((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean())
    # White noise that is blurred by a Gaussian has a Gaussian autocorrelation, √2 times as wide.
    assert shared == pytest.approx(float(torch.exp(torch.tensor(-1 / (4 * width**2)))), abs=0.03)


def test_without_it_nothing_is_drawn():
    light, random = torch.rand(2, 1, 32, 32, generator=generator(1)), generator(0)
    assert (
        with_correlated_noise(light, NO_BACKGROUND[:2], MicroscopeConfig(correlated_noise_range=(0, 0)), random)
        is light
    )
    assert torch.equal(random.get_state(), generator(0).get_state())
