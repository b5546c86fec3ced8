"""Images and settings that an enhancer cannot use, failures of its network, and borders of resampled images."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_smdiffusion import EnhancerConfig, Image, InputError
from napari_smdiffusion.enhance.checkpoints import resumed_settings
from napari_smdiffusion.enhance.facts import CalibrationRecord
from napari_smdiffusion.enhance.levels import sharp_levels
from napari_smdiffusion.enhance.pixel_fit import PixelFit
from napari_smdiffusion.enhance.resampling import Grid
from napari_smdiffusion.enhance.uncertainty import Calibration
from napari_smdiffusion.microscope.optics import pupil_psf


def test_constant_planes_have_no_levels():
    with pytest.raises(InputError, match="All pixels have the value 3: choose images that show a structure"):
        sharp_levels([np.full((64, 64), 3.0, np.float32)])


def test_without_resampling_a_grid_has_the_pixels_of_the_image():
    assert Grid((30, 40), 4).network_size == (30, 40)
    assert PixelFit(None, 80.0).ratios == (1.0, 1.0)


def test_a_calibration_of_other_levels_and_an_impossible_aperture_are_refused():
    with pytest.raises(InputError, match="The calibration has 1 levels, not "):
        Calibration.of(CalibrationRecord((1.0,), ((1.0,),), (((1.0,),),)))
    with pytest.raises(InputError, match="na must be between 0 and"):
        pupil_psf(2.0, 670.0, 20.0, 15)


def test_a_resumed_training_may_leave_out_the_width_of_its_network():
    record = SimpleNamespace(config=EnhancerConfig(channels=16))
    assert resumed_settings(record, EnhancerConfig()).channels == 16
    assert resumed_settings(record, EnhancerConfig(channels=8)).channels == 8


def test_the_border_of_a_resampled_image_has_no_result(tiny_enhancer, widefield):
    pixels = widefield.pixels[:, :70, :80].copy()
    pixels[:, :, :20] = 0
    result = tiny_enhancer.enhance(Image(pixels, 100.0)).pixels[0]
    assert (result[:, :80] == 0).all()
    assert (result[:, 120:] > 0).mean() > 0.9


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("out of memory"), "Memory ran out with the smallest tile: close other programs"),
        (RuntimeError("shapes do not match"), "shapes do not match"),
    ],
)
def test_a_network_that_fails_is_named_or_needs_more_memory(tiny_enhancer, widefield, monkeypatch, error, expected):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(type(tiny_enhancer.network), "forward", fail)
    with pytest.raises((MemoryError, RuntimeError), match=expected):
        tiny_enhancer.enhance(replace(widefield, pixels=widefield.pixels[:, :32, :32]))
