"""What a report says of generated and of enhanced images."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, zoom

from napari_smdiffusion import EnhancedField, Image, InputError, Stopped, compare_images, simulate
from napari_smdiffusion.base.events import run
from napari_smdiffusion.images.registration import translated
from napari_smdiffusion.report import context
from napari_smdiffusion.report.compare import compare_steps
from napari_smdiffusion.report.context import MeasureContext
from napari_smdiffusion.report.enhanced import error_map_steps, mapped_error_steps
from napari_smdiffusion.report.measures import MEASURES, classifier
from napari_smdiffusion.report.report import Report
from napari_smdiffusion.report.summary import summary

FACTOR = 4


def _judged(field):
    """Return what a report holds of an enhanced image."""
    judged = MeasureContext(enhanced=field, error_maps=tuple(run(error_map_steps(field))))
    results = {key: judged.once(MEASURES[key].compute) for key in ("enhanced", "enhancement")}
    return Report({key: result for key, result in results.items() if result is not None})


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
    report = compare_images([], None, [], str(tmp_path), field)
    assert report == json.loads((tmp_path / "report.json").read_text())
    judged = report["enhanced"]
    assert judged["resolution"] < judged["resolution_widefield"]
    assert judged["rsp"] > 0.99
    assert 40 <= judged["frc_with_reference"] <= judged["frc_half_with_reference"] < 150
    restored = report["enhancement"]
    assert restored["enhanced"]["psnr"] > restored["interpolated"]["psnr"] + 3
    assert {f"enhanced.{key}" for key in judged} <= set(report["meanings"])
    kinds = ("enhanced", "interpolated", "registered.enhanced", "registered.interpolated")
    named = {f"enhancement.{kind}.{key}" for kind in kinds for key in restored["enhanced"]}
    named |= {f"enhancement.registered.{key}" for key in ("offset", "found")}
    assert restored["registered"]["found"]
    assert named <= set(report["meanings"])
    assert (tmp_path / "comparison.png").stat().st_size > 10_000


def test_a_reference_of_a_part_of_the_field_is_found(field, tmp_path):
    part = field.reference.crop(slice(40, 240), slice(20, 180))
    width = replace(field.enhanced, pixels=np.full_like(field.enhanced.pixels, 10))
    found = EnhancedField.cropped_to_reference(field.enhanced, field.widefield, part, width)
    assert (found.widefield.size, found.enhanced.size, found.uncertainty.size) == ((50, 40), (200, 160), (200, 160))
    np.testing.assert_array_equal(found.enhanced.pixels, field.enhanced.pixels[:, 40:240, 20:180])
    report = compare_images([], None, [], tmp_path, found)
    assert report["enhanced"]["part"] == "Of w, rows 10 to 59 and columns 5 to 44 are judged, where r lies."
    assert report["enhancement"]["enhanced"]["correlation"] > 0.95
    assert report["enhanced"]["part"] in list(summary(report))
    assert "enhanced.part" in report["meanings"]
    whole = EnhancedField.cropped_to_reference(field.enhanced, field.widefield, field.reference)
    assert (whole.part, whole.reference) == ("", field.reference)
    assert EnhancedField.cropped_to_reference(field.enhanced, field.widefield).reference is None
    with pytest.raises(ValueError, match="correct a pixel size"):
        EnhancedField.cropped_to_reference(field.enhanced, field.widefield, replace(part, pixel_size=30.0))
    noise = replace(part, pixels=np.random.default_rng(0).random(part.pixels.shape, np.float32))
    with pytest.raises(ValueError, match="r of 200 × 160 pixels was not found in w"):
        EnhancedField.cropped_to_reference(field.enhanced, field.widefield, noise)


def test_images_that_lie_off_each_other_are_laid_on_each_other(field):
    off = replace(field.reference, pixels=np.stack([translated(plane, (-2, 1)) for plane in field.reference.pixels]))
    there, here = (_judged(replace(field, reference=image)) for image in (off, field.reference))
    apart, laid = there["enhancement"], there["enhancement"]["registered"]
    np.testing.assert_allclose(laid["offset"], (-2, 1), atol=0.2)
    np.testing.assert_allclose(here["enhancement"]["registered"]["offset"], (0, 0), atol=0.2)
    assert laid["enhanced"]["correlation"] > apart["enhanced"]["correlation"] + 0.1
    assert laid["enhanced"]["correlation"] == pytest.approx(here["enhancement"]["enhanced"]["correlation"], abs=0.03)
    assert there["enhanced"]["frc_with_reference"] == pytest.approx(here["enhanced"]["frc_with_reference"], rel=0.15)


def test_images_that_do_not_fit_on_each_other_are_compared_as_they_lie_and_it_is_said(field):
    off = replace(field.reference, pixels=np.roll(field.reference.pixels, (14, 0), (1, 2)))
    said = _judged(replace(field, reference=off))
    registered = said["enhancement"]["registered"]
    assert (registered["offset"], registered["found"]) == ([0.0, 0.0], False)
    assert registered["enhanced"] == said["enhancement"]["enhanced"]
    assert any("was not found: they are compared as they lie" in line for line in summary(said))


def test_a_comparison_of_images_too_small_for_a_resolution_is_not_left_out(field):
    sharp, truth = (image.crop(slice(28), slice(28)) for image in (field.enhanced, field.reference))
    said = _judged(EnhancedField(sharp, truth, truth))
    assert said["enhanced"]["frc_with_reference"] is None
    assert said["enhancement"]["enhanced"]["psnr"] > 0


def test_an_interpolated_image_has_no_more_resolution_than_its_widefield_image(field):
    plain = zoom(field.widefield.pixels[0], FACTOR, order=3, grid_mode=True, mode="nearest")[np.newaxis]
    said = _judged(EnhancedField(Image(plain, 20.0, name="plain"), field.widefield, field.reference))
    assert said["enhanced"]["frc_with_reference"] > 1.5 * _judged(field)["enhanced"]["frc_with_reference"]
    assert said["enhancement"]["enhanced"]["psnr"] == pytest.approx(
        said["enhancement"]["interpolated"]["psnr"], abs=0.01
    )


def test_without_a_pixel_size_there_is_no_resolution_but_a_sentence(field):
    plain = EnhancedField(Image(field.enhanced.pixels, None, name="e"), field.widefield)
    said = _judged(plain)["enhanced"]
    assert "pixel size" in said["resolution_left_out"]
    assert "resolution" not in said


def test_the_resolution_of_counts_is_told_by_splitting_them(field):
    mean = 30 * field.widefield.pixels / field.widefield.pixels.mean()
    counts = np.random.default_rng(0).poisson(mean).astype(np.float32)
    said, doubted = (
        _judged(EnhancedField(field.enhanced, replace(field.widefield, pixels=pixels)))["enhanced"]
        for pixels in (counts, counts / 3)
    )
    assert 160 <= said["frc_widefield"] < 600
    assert said["frc_widefield_warning"] == "none"
    assert "not whole numbers" in doubted["frc_widefield_warning"]


def test_fields_that_are_too_small_for_a_resolution_are_judged_all_the_same(field):
    small = EnhancedField(
        field.enhanced.crop(slice(0, 80), slice(0, 80)), field.widefield.crop(slice(0, 20), slice(0, 20))
    )
    said = _judged(small)["enhanced"]
    assert said["resolution_widefield"] is None
    assert said["frc_widefield"] is None
    assert "32" in said["frc_widefield_warning"]
    assert said["rsp"] > 0.9


def test_images_of_another_field_are_refused(field):
    small = Image(field.widefield.pixels[:, :50], 80.0, name="small.tif")
    with pytest.raises(ValueError, match=r"small\.tif.*same field"):
        EnhancedField(field.enhanced, small)
    with pytest.raises(ValueError, match="same field"):
        EnhancedField(field.widefield, field.enhanced)


def test_error_maps_of_a_stack_can_be_stopped(field):
    planes = [Image(np.repeat(image.pixels, 3, 0), image.pixel_size) for image in (field.enhanced, field.widefield)]
    stack, events = EnhancedField(*planes), []
    assert run(mapped_error_steps(stack), events.append).pixels.shape == (3, 64, 64)
    assert [(event.step, event.total) for event in events] == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(Stopped, match="there is no error map"):
        run(mapped_error_steps(stack, lambda: len(events) > 3), events.append)
    assert len(events) == 4


def test_nothing_to_compare_is_said(tmp_path):
    with pytest.raises(InputError, match="nothing to compare"):
        run(compare_steps([], None, [], tmp_path))
    with pytest.raises(InputError, match="Give experimental and generated images, or an enhanced"):
        compare_images([], None, [], tmp_path)


def test_generated_patches_that_are_blurred_have_less_resolution(tmp_path):
    real = simulate("microtubules", count=2, size=256, pixel_size=20.0, seed=1)
    made = Image(gaussian_filter(real.pixels, (0, 3, 3)), 20.0, name="blurred")
    report = compare_images([real], made, [], tmp_path)
    assert report["resolution"]["generated"] > 1.3 * report["resolution"]["experimental"]
    assert "resolution" in report["meanings"]


def test_a_training_image_that_is_too_small_is_refused_at_once(tmp_path):
    real, made, small = (simulate("microtubules", 1, size, 20.0, seed=s) for s, size in ((1, 512), (2, 512), (3, 96)))
    steps = compare_steps([real], made, [small], tmp_path)
    with pytest.raises(ValueError, match="smaller than the patches"):
        next(steps)


def test_of_very_many_patches_some_are_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(context, "_JUDGED", 8)
    real, made = (simulate("microtubules", 1, 384, 20.0, seed=seed) for seed in (1, 2))
    report = compare_images([real], made, [], tmp_path)
    assert report["provenance"]["patches"] == {"experimental": 8, "generated": 8}


def _numbers(report, above=""):
    """Yield where the numbers of a report stand, and where their parent does."""
    for key, value in report.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{above}{key}.")
        elif isinstance(value, (int, float, list)) or value is None:
            yield f"{above}{key}", above.removesuffix(".")


def test_copies_are_found_wherever_they_are_and_a_whole_report_has_a_sentence_for_every_number(field, tmp_path):
    seen, held_out, made = (
        simulate("microtubules", 1, size, 20.0, seed=s) for s, size in ((1, 512), (2, 512), (3, 768))
    )
    pixels = np.concatenate([made.pixels, made.pixels[:, ::-1].copy()])
    pixels[1, 640:768, 512:640] = seen.pixels[0, 30:158, 301:429]
    told = replace(field, uncertainty=field.enhanced)
    report = dict(compare_images([held_out], Image(pixels, 20.0, name="made"), [seen], tmp_path, told))
    assert report["memorization"]["copied"] == [{"image": 1, "row": 640, "column": 512}]
    assert report["memorization"]["verdict"].endswith("held out seem to be in them.")
    assert report["two_sample"]["patch"] == 64
    assert {"auc", "by_chance", "auc_two_halves"} <= set(report["two_sample"])
    assert (tmp_path / "comparison.png").exists()
    meanings, provenance = report.pop("meanings"), report.pop("provenance")
    parts = {"realism", "spectrum", "histogram", "filaments", "two_sample", "memorization", "enhanced"}
    assert parts | {"enhancement", "seconds"} <= set(report)
    named = {**report, "provenance": {key: provenance[key] for key in ("patch", "patches")}}
    without = [name for name, parent in _numbers(named) if name not in meanings and parent not in meanings]
    assert not without
    assert "interpolated" in meanings["enhancement.interpolated.psnr"]


def test_larger_patches_are_told_apart_where_there_are_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "_LARGE", 64)
    monkeypatch.setattr(classifier, "SIZES", (48,))
    real, made = (simulate("microtubules", 1, 512, 20.0, seed=seed) for seed in (1, 2))
    report = compare_images([real], made, [], tmp_path)
    assert (report["two_sample"]["patch"], report["two_sample_large"]["patch"]) == (48, 64)
    assert {f"two_sample_large.{key}" for key in report["two_sample_large"]} <= set(report["meanings"])


@pytest.mark.parametrize(("other", "said"), [(False, ""), (True, "trained on (mine.tif): where none holds it")])
def test_training_images_that_the_model_never_saw_are_told(tmp_path, other, said):
    seen, held_out, made = (simulate("microtubules", 1, 256, 20.0, seed=seed) for seed in (1, 2, 3))
    facts = [{"name": "mine.tif", "sha256": "0" if other else seen.digest}]
    generated = replace(made, provenance={"kind": "synthetic", "training_data": facts})
    verdict = compare_images([held_out], generated, [seen], tmp_path)["memorization"]["verdict"]
    assert said in verdict
    assert ("none of the training images given" in verdict) == other


def test_an_image_that_is_given_for_both_is_taken_for_seen(tmp_path):
    real, made = (simulate("microtubules", 1, 256, 20.0, seed=seed) for seed in (1, 2))
    report = compare_images([real], replace(made, provenance={"kind": "synthetic"}), [real], tmp_path)
    assert "was trained on the experimental images" in report["realism_of_training_images"]
    assert "The experimental images are training images" in report["memorization_left_out"]


def test_a_comparison_that_is_stopped_says_so_whatever_it_was_doing(field, tmp_path):
    with pytest.raises(Stopped, match="no report was written"):
        run(compare_steps([], None, [], tmp_path / "out", enhanced=field, stop=lambda: True))
    assert not (tmp_path / "out").exists()


def test_empty_planes_of_a_stack_leave_a_report(field, tmp_path):
    def with_empty(image):
        return replace(image, pixels=np.concatenate([image.pixels, np.zeros_like(image.pixels)]))

    stack = EnhancedField(*(with_empty(image) for image in (field.enhanced, field.widefield, field.reference)))
    report = compare_images([], None, [], tmp_path, stack)
    alone = _judged(field)["enhancement"]["enhanced"]
    assert report["enhancement"]["enhanced"]["psnr"] == pytest.approx(alone["psnr"], abs=0.5)
    assert report["enhanced"]["rsp"] == pytest.approx(0.5, abs=0.01)
    empty = replace(field, reference=replace(field.reference, pixels=np.zeros_like(field.reference.pixels)))
    assert "constant" in _judged(empty)["enhancement_left_out"]


def test_pixel_sizes_that_contradict_each_other_are_refused(field):
    with pytest.raises(ValueError, match="correct a pixel size"):
        replace(field, widefield=replace(field.widefield, pixel_size=500.0))


def test_an_uncertainty_map_is_judged(field):
    error = np.abs(field.enhanced.pixels - field.reference.pixels)
    settings = {"settings": {"confidence": 0.9}}
    for share in (0.5, 0.9):
        width = np.full_like(error, np.quantile(error, share))
        told = replace(field, uncertainty=replace(field.enhanced, pixels=width, provenance=settings))
        said = _judged(told)["enhanced"]["uncertainty"]
        assert said["coverage"] == pytest.approx(share, abs=0.08)
        assert said["coverage_structure"] < said["coverage"], "one width for all is too small on structure"
        assert said["stated"] == 0.9
    exact = replace(field, uncertainty=replace(field.enhanced, pixels=error))
    assert _judged(exact)["enhanced"]["uncertainty"]["rank_correlation"] > 0.8


def test_the_same_image_agrees_to_the_finest_detail(field):
    assert _judged(replace(field, enhanced=field.reference))["enhanced"]["frc_with_reference"] == 40
