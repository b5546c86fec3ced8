"""Smooth and uneven light have the strength and the width of the settings, in nm."""

from dataclasses import replace

import pytest
import torch

from napari_smdiffusion import EnhancerConfig, MicroscopeConfig, simulate
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.enhance.examples import simulation_task
from napari_smdiffusion.enhance.held_out import split_held_out
from napari_smdiffusion.microscope.camera import light_through_optics
from napari_smdiffusion.microscope.lighting import uneven_gain, uneven_haze, with_smooth_light

EVEN = MicroscopeConfig(smooth_light_range=(0.0, 0.0), unevenness_range=(0.0, 0.0), haze_unevenness_range=(0.0, 0.0))


def _correlation_length(fields, pixel_size):
    """Return √2 times the standard deviation in nm of the blur that made smooth fields from noise."""
    variance = fields.var((2, 3), unbiased=False).mean()
    step = (fields[..., 1:] - fields[..., :-1]).square().mean()
    return float(pixel_size * (variance / step).sqrt())


def test_smooth_light_has_its_strength_and_its_width_at_any_pixel_size():
    light = torch.rand(16, 1, 96, 96, generator=generator(1))
    config = replace(EVEN, smooth_light_range=(2.0, 2.0), smooth_light_width_range=(400.0, 400.0))
    for pixel_size in (80.0, 160.0):
        added = with_smooth_light(light, config, pixel_size, generator(0)) - light
        assert float(added.min()) >= 0
        ratio = added.std((2, 3)) / light.std((2, 3))
        torch.testing.assert_close(ratio, torch.full_like(ratio, 2.0), rtol=1e-3, atol=0)
        assert _correlation_length(added, pixel_size) == pytest.approx(2**0.5 * 400, rel=0.15)
    random = generator(0)
    assert with_smooth_light(light, EVEN, 80.0, random) is light
    assert torch.equal(random.get_state(), generator(0).get_state())


def test_uneven_light_has_its_strength_and_its_width_at_any_factor():
    config = replace(EVEN, unevenness_range=(0.5, 0.5), unevenness_width_range=(400.0, 400.0))
    for factor in (4, 5):
        gain = uneven_gain(torch.Size((16, 1, 96 * factor, 96 * factor)), config, 80.0 / factor, factor, generator(0))
        logarithm = gain.log()
        assert float(logarithm.mean((2, 3)).abs().max()) < 0.02
        assert logarithm.std((2, 3)).flatten().tolist() == pytest.approx([0.5] * 16, rel=0.02)
        assert _correlation_length(logarithm, 80.0 / factor) == pytest.approx(2**0.5 * 400, rel=0.15)
    assert uneven_gain(gain.shape, EVEN, 20.0, 4, generator(0)) is None


def test_uneven_haze_has_its_strength_and_the_same_light_in_all():
    config = replace(EVEN, haze_unevenness_range=(0.8, 0.8), unevenness_width_range=(400.0, 400.0))
    gain = uneven_haze(torch.Size((8, 1, 384, 384)), config, 20.0, 4, generator(0))
    assert gain.shape == (8, 1, 96, 96)
    assert gain.mean((2, 3)).flatten().tolist() == pytest.approx([1.0] * 8, rel=1e-4)
    assert gain.log().std((2, 3)).flatten().tolist() == pytest.approx([0.8] * 8, rel=0.02)
    assert uneven_haze(gain.shape, EVEN, 20.0, 4, generator(0)) is None


def test_uneven_haze_changes_the_light_out_of_focus_alone():
    images = torch.rand(2, 1, 64, 64, generator=generator(1))
    focused = MicroscopeConfig(haze_range=(0.0, 0.0))
    gain = torch.rand(2, 1, 16, 16, generator=generator(2)) + 0.5

    def light(config, gain):
        return light_through_optics(images, config, 20.0, 4, generator(0), gain)[0]

    assert torch.equal(light(focused, gain), light(focused, None))
    hazy = replace(focused, haze_range=(0.5, 0.5))
    in_focus = 0.5 * light(focused, None)
    torch.testing.assert_close(light(hazy, gain) - in_focus, gain * (light(hazy, None) - in_focus))


def test_uneven_light_changes_nothing_else_of_the_training():
    image = simulate("microtubules", size=256, pixel_size=20.0, seed=2, organisation="random")
    config = EnhancerConfig(upscale=4, batch=2, patch=128, channels=8, previews=0)
    regions, _ = split_held_out([image], [1], config)
    without, faint, strong = (
        simulation_task([image], regions, config, MicroscopeConfig(unevenness_range=(most, most)), 20.0).examples(3)
        for most in (0.0, 1e-5, 1.5)
    )
    torch.testing.assert_close(faint.sharp, without.sharp, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(faint.widefield, without.widefield, rtol=0, atol=0.2)
    assert float((strong.widefield - without.widefield).abs().max()) > 0.2
    assert bool((without.weight == 1).all())
    # Where the light is dim, the truth in units of the light is large, and its errors count less.
    assert float(strong.weight.max()) == 1
    assert 0 < float(strong.weight.min()) < 0.05
