"""What a report says of generated and of enhanced images."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, zoom

from napari_smdiffusion import Image, simulate
from napari_smdiffusion.comparison import EnhancedField, compare_images, judge_enhanced
from napari_smdiffusion.registration import translated

FACTOR = 4


@pytest.fixture(scope="module")
def field() -> EnhancedField:
    """Return an enhanced image that is the truth with noise, its widefield image, and the truth."""
    truth = gaussian_filter(simulate("microtubules", size=256, pixel_size=20.0, seed=3).pixels, (0, 1.5, 1.5))
    coarse = gaussian_filter(truth[0].reshape(64, FACTOR, 64, FACTOR).mean((1, 3)), 1.3)[np.newaxis] * 40 + 7
    enhanced = truth + np.random.default_rng(0).normal(0, 0.02 * truth.std(), truth.shape).astype(np.float32)
    images = (enhanced.astype(np.float32), coarse.astype(np.float32), truth)
    sharp, wide, reference = (
        Image(p, 20.0 * f, name=n) for p, f, n in zip(images, (1, 4, 1), ("e", "w", "r"), strict=True)
    )
    return EnhancedField(sharp, wide, reference)


def test_an_enhanced_image_is_judged(field, tmp_path):
    report = compare_images([], None, [], tmp_path, field)
    assert report == json.loads((tmp_path / "report.json").read_text())
    judged = report["enhanced"]
    assert judged["resolution"] < judged["resolution_widefield"]
    assert judged["rsp"] > 0.99
    assert 40 <= judged["frc_with_reference"] < 150
    restored = report["enhancement"]
    assert restored["enhanced"]["psnr"] > restored["interpolated"]["psnr"] + 3
    assert {f"enhanced.{key}" for key in judged} <= set(report["meanings"])
    kinds = ("enhanced", "interpolated", "registered.enhanced", "registered.interpolated")
    named = {f"enhancement.{kind}.{key}" for kind in kinds for key in restored["enhanced"]}
    assert named | {"enhancement.registered.offset"} <= set(report["meanings"])
    assert (tmp_path / "comparison.png").stat().st_size > 10_000


def test_images_that_lie_off_each_other_are_laid_on_each_other(field):
    off = replace(field.reference, pixels=np.stack([translated(plane, (-2, 1)) for plane in field.reference.pixels]))
    there, here = (judge_enhanced(replace(field, reference=image)) for image in (off, field.reference))
    apart, laid = there["enhancement"], there["enhancement"]["registered"]
    np.testing.assert_allclose(laid["offset"], (-2, 1), atol=0.2)
    np.testing.assert_allclose(here["enhancement"]["registered"]["offset"], (0, 0), atol=0.2)
    assert laid["enhanced"]["correlation"] > apart["enhanced"]["correlation"] + 0.1
    assert laid["enhanced"]["correlation"] == pytest.approx(here["enhancement"]["enhanced"]["correlation"], abs=0.03)
    assert there["enhanced"]["frc_with_reference"] == pytest.approx(here["enhanced"]["frc_with_reference"], rel=0.15)


def test_an_interpolated_image_has_no_more_resolution_than_its_widefield_image(field):
    plain = zoom(field.widefield.pixels[0], FACTOR, order=3, grid_mode=True, mode="nearest")[np.newaxis]
    said = judge_enhanced(EnhancedField(Image(plain, 20.0, name="plain"), field.widefield, field.reference))
    assert said["enhanced"]["frc_with_reference"] > 1.5 * judge_enhanced(field)["enhanced"]["frc_with_reference"]
    assert said["enhancement"]["enhanced"]["psnr"] == pytest.approx(
        said["enhancement"]["interpolated"]["psnr"], abs=0.01
    )


def test_without_a_pixel_size_there_is_no_resolution_but_a_sentence(field):
    plain = EnhancedField(Image(field.enhanced.pixels, None, name="e"), field.widefield)
    said = judge_enhanced(plain)["enhanced"]
    assert "pixel size" in said["resolution_left_out"]
    assert "resolution" not in said


def test_images_of_another_field_are_refused(field):
    small = Image(field.widefield.pixels[:, :50], 80.0, name="small.tif")
    with pytest.raises(ValueError, match=r"small\.tif.*same field"):
        EnhancedField(field.enhanced, small)
    with pytest.raises(ValueError, match="same field"):
        EnhancedField(field.widefield, field.enhanced)


def test_nothing_to_compare_is_said(tmp_path):
    with pytest.raises(ValueError, match="nothing to compare"):
        compare_images([], None, [], tmp_path)


def test_generated_patches_that_are_blurred_have_less_resolution(tmp_path):
    real = simulate("microtubules", count=2, size=256, pixel_size=20.0, seed=1)
    made = Image(gaussian_filter(real.pixels, (0, 3, 3)), 20.0, name="blurred")
    found = compare_images([real], made, [], tmp_path)["resolution"]
    assert found["generated"] > 1.3 * found["experimental"]
