"""Widefield images whose pixels are not square: enhanced on square pixels, in their place, from files and arrays."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import EnhanceJob, Image, InputError, read_image, run_job
from napari_smdiffusion.base.events import Note, run
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.enhance.pixel_fit import PixelFit
from napari_smdiffusion.enhance.resampling import squared
from napari_smdiffusion.images.image import AnisotropicPixelsError
from napari_smdiffusion.structures.simulate import simulate


@pytest.mark.parametrize(
    ("sides", "expected", "kind", "words"),
    [
        ((130.0, 108.0), 96.8, "resampled", "resampled from 130 by 108 to 97 nm"),
        ((98.0, 96.0), 96.8, "resampled", "resampled from 98 by 96 to 97 nm"),
        ((130.0, 108.0), None, "resampled", "resampled from 130 by 108 to 108 nm"),
        ((200.0, 108.0), 96.8, "refused", "pixels of 200 by 108 nm do not fit: 97 nm are needed"),
        ((60.0, 40.0), 96.8, "refused", "pixels of 60 by 40 nm do not fit: 97 nm are needed"),
        ((130.0, 50.0), None, "refused", "pixels of 130 by 50 nm do not fit: 50 nm are needed"),
    ],
)
def test_each_side_of_a_pixel_may_differ_by_a_factor_of_two(sides, expected, kind, words):
    fit = PixelFit(sides, expected)
    assert (fit.kind, fit.words) == (kind, words)


def _light(height: int, width: int) -> np.ndarray:
    """Return filaments as a microscope images them with binned pixels of `height` by `width` units of 20 nm."""
    sharp = gaussian_filter(simulate("microtubules", size=480, pixel_size=20.0, seed=3).pixels[0], 6.0)
    rows, columns = 480 // height, 480 // width
    return sharp[: rows * height, : columns * width].reshape(rows, height, columns, width).mean((1, 3))


def _file(path, pixels, sides, ome=False):
    """Write pixels with (y, x) sides in nm as ImageJ or OME writes them."""
    y, x = (side / 1000 for side in sides)
    if ome:
        tifffile.imwrite(path, pixels, ome=True, metadata={"PhysicalSizeY": y, "PhysicalSizeX": x})
    else:
        tifffile.imwrite(path, pixels, imagej=True, resolution=(1 / x, 1 / y), metadata={"unit": "um"})
    return path


def test_squared_pixels_show_what_square_pixels_would_have_measured():
    anisotropic, square = _light(6, 3), _light(4, 4)
    fit = PixelFit((120.0, 60.0), 80.0)
    image = squared(Image(anisotropic, 60.0, origin=(500.0, 70.0)), fit)
    assert image.pixel_size == image.provenance.resampled_to_nm == 80.0
    assert image.origin == (500.0, 70.0)
    assert image.size == square.shape
    inner = np.s_[4:-4, 4:-4]
    assert np.corrcoef(image.pixels[0][inner].ravel(), square[inner].ravel())[0, 1] > 0.995


@pytest.mark.parametrize("ome", [False, True])
def test_a_file_with_anisotropic_pixels_is_enhanced_like_one_with_square_pixels(tmp_path, tiny_enhancer, ome):
    path = _file(tmp_path / "anisotropic.tif", 1000 * _light(6, 3).astype(np.float32), (120, 60), ome)
    events = []
    result = run(EnhanceJob(tiny_enhancer, path).steps(), events.append).images[0].enhancement.image
    expected = tiny_enhancer.enhance(Image(1000 * _light(4, 4), 80.0))
    assert any("is resampled from 120 by 60 to 80 nm" in event.message for event in events if isinstance(event, Note))
    assert result.pixel_size == 20.0
    assert result.provenance.resampled_to_nm == 80.0
    assert result.size == expected.size == (480, 480)  # the field of 9.6 µm
    inner = np.s_[0, 24:-24, 24:-24]
    assert np.corrcoef(result.pixels[inner].ravel(), expected.pixels[inner].ravel())[0, 1] > 0.98


def test_a_pixel_size_replaces_both_sides_of_a_file(tmp_path, tiny_enhancer):
    path = _file(tmp_path / "anisotropic.tif", _light(6, 3).astype(np.float32), (120, 60))
    job = EnhanceJob(tiny_enhancer, path, pixel_size=80.0)
    assert run_job(job).images[0].enhancement.image.size == (320, 640)


def test_the_command_resamples_what_is_to_be_enhanced_and_nothing_else(tmp_path, tiny_enhancer, capsys):
    path = _file(tmp_path / "anisotropic.tif", _light(6, 3).astype(np.float32), (120, 60))
    tiny_enhancer.save(tmp_path / "e")
    out = tmp_path / "out.tif"
    assert main(["enhance", str(tmp_path / "e"), str(path), "--out", str(out)]) == 0
    assert "resampled from 120 by 60 to 80 nm" in capsys.readouterr().err
    assert read_image(out).pixel_size == 20.0
    with pytest.raises(AnisotropicPixelsError, match=r"anisotropic\.tif has pixels of 120 by 60 nm: resample it"):
        read_image(path)


def test_sides_beyond_a_factor_of_two_are_refused_with_all_sizes(tmp_path, tiny_enhancer):
    path = _file(tmp_path / "anisotropic.tif", _light(6, 3).astype(np.float32), (180, 90))
    with pytest.raises(InputError, match=r"has pixels of 180 by 90 nm, but .* for 80 nm\. This is more than"):
        run_job(EnhanceJob(tiny_enhancer, path))
    unknown = replace(tiny_enhancer, pixel_size=None)
    path = _file(tmp_path / "narrow.tif", _light(6, 3).astype(np.float32), (180, 60))
    with pytest.raises(InputError, match=r"180 by 60 nm\. The sides are more than a factor of two apart"):
        run_job(EnhanceJob(unknown, path))
