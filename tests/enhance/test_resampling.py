"""Widefield images whose pixels are not those of the enhancer: resampled, in the right place, the same by tile."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, gaussian_filter

from napari_smdiffusion import Enhancer, Image, InputError
from napari_smdiffusion.base.events import Note, TileDone, run
from napari_smdiffusion.enhance.applying import enhance_steps
from napari_smdiffusion.enhance.pixel_fit import PixelFit
from napari_smdiffusion.enhance.resampling import Grid, kernel
from napari_smdiffusion.enhance.settings import EnhanceConfig


@pytest.mark.parametrize(
    ("pixel_size", "kind", "words"),
    [
        (None, "unknown", ""),
        (96.8, "equal", ""),
        (98.6, "equal", ""),
        (108, "resampled", "resampled from 108 to 97 nm"),
        (48.4, "resampled", "resampled from 48 to 97 nm"),
        (193.6, "resampled", "resampled from 194 to 97 nm"),
        (45, "refused", "pixels of 45 nm do not fit: 97 nm are needed"),
        (250, "refused", "pixels of 250 nm do not fit: 97 nm are needed"),
    ],
)
def test_pixels_within_a_factor_of_two_are_resampled(pixel_size, kind, words):
    fit = PixelFit(pixel_size, 96.8)
    assert (fit.kind, fit.words) == (kind, words)


@pytest.mark.parametrize(("length", "step"), [(40, 0.6), (40, 1.7), (41, 2.0), (16, 0.5)])
@pytest.mark.parametrize("negative", [True, False])
def test_resampling_keeps_constants_and_the_place_of_gradients(length, step, negative):
    centres = (np.arange(int(length / step)) + 0.5) * step
    weights = kernel(length, centres, step, negative=negative)
    assert np.allclose(weights.sum(axis=1), 1)
    inner = (centres > 2 * max(step, 1) + 1) & (centres < length - 2 * max(step, 1) - 1)
    assert inner.any()
    assert np.abs((weights @ (np.arange(length) + 0.5))[inner] - centres[inner]).max() < 0.02  # pixels
    if not negative:
        assert weights.min() >= 0


def test_detail_too_fine_for_the_new_pixels_does_not_become_a_pattern():
    stripes = Image(np.tile([0.0, 1.0], (64, 32)), 50.0)
    grid = Grid(stripes.size, 4, (0.55, 0.55))
    assert np.ptp(grid.network_image(stripes).pixels[0, :, 4:-4]) < 0.05


@pytest.mark.parametrize("pixel_size", [52.0, 155.0])
def test_a_resampled_image_is_enhanced_in_its_place(tiny_enhancer, widefield, pixel_size):
    image, events = replace(widefield, pixel_size=pixel_size), []
    result = run(enhance_steps(tiny_enhancer, image, EnhanceConfig(tile=64)), events.append).image
    assert result.size == tuple(4 * side for side in image.size)
    assert result.pixel_size == pixel_size / 4
    assert result.origin == image.origin
    assert result.provenance.resampled_to_nm == 80.0
    assert any(
        f"resampled from {pixel_size:.0f} to 80 nm" in event.message for event in events if isinstance(event, Note)
    )
    covered = np.zeros(result.size, int)
    for event in events:
        if isinstance(event, TileDone):
            covered[event.rows, event.columns] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize(("pixel_size", "tile"), [(64.0, 64), (131.0, 100)])
def test_tiles_do_not_change_a_resampled_result(tiny_enhancer, widefield, pixel_size, tile):
    image = replace(widefield, pixels=widefield.pixels[:, :100, :90], pixel_size=pixel_size)
    whole = tiny_enhancer.enhance_with_uncertainty(image, tile=512)
    tiled = tiny_enhancer.enhance_with_uncertainty(image, tile=tile)
    for name in ("image", "uncertainty"):
        expected, got = getattr(whole, name).pixels, getattr(tiled, name).pixels
        assert np.abs(expected - got).max() <= 2e-3 * np.ptp(whole.image.pixels)


@pytest.mark.parametrize("pixel_size", [60.0, 170.0])
def test_a_spot_keeps_its_place(pixel_size):
    spot = np.zeros((96, 80), np.float32)
    spot[40, 37] = 1
    image = Image(100 * gaussian_filter(spot, 110 / pixel_size) + 1, pixel_size)
    sharp = Enhancer.load("microtubules").enhance(image).pixels[0]
    place = np.array(center_of_mass(np.where(sharp > 0.5 * sharp.max(), sharp, 0)))
    assert np.abs((place + 0.5) / 5 - (40.5, 37.5)).max() * pixel_size < 20  # nm, a pixel of the result


def test_pixels_beyond_a_factor_of_two_are_refused_with_both_sizes(tiny_enhancer, widefield):
    for pixel_size in (39.0, 161.0):
        with pytest.raises(InputError, match=rf"cell has pixels of {pixel_size:.0f} nm, but .* for 80 nm"):
            tiny_enhancer.enhance(replace(widefield, pixel_size=pixel_size))


def test_a_large_image_is_resampled_into_a_file(monkeypatch, widefield):
    grid = Grid(widefield.size, 4, (1.3, 1.3))
    expected = grid.network_image(widefield).pixels
    monkeypatch.setattr("napari_smdiffusion.base.scratch._IN_MEMORY", 0)
    mapped = grid.network_image(widefield).pixels
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, expected)
