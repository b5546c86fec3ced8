"""Reports on generated and on enhanced images."""

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
pytestmark = pytest.mark.usefixtures("quick_classifier")


def _report(field):
    """Return the report of an enhanced image."""
    compared = MeasureContext(enhanced=field, error_maps=tuple(run(error_map_steps(field))))
    results = {key: compared.once(MEASURES[key].compute) for key in ("enhanced", "enhancement")}
    return Report({key: result for key, result in results.items() if result is not None})


@pytest.fixture(scope="module")
def field() -> EnhancedField:
    """Return an enhanced image that is the truth with noise, its widefield image, and the truth."""
    sharp = simulate("microtubules", size=256, pixel_size=20.0, seed=3, organisation="random").pixels
    truth = gaussian_filter(sharp, (0, 1.5, 1.5))
    coarse = gaussian_filter(truth[0].reshape(64, FACTOR, 64, FACTOR).mean((1, 3)), 1.3)[np.newaxis] * 40 + 7
    enhanced = truth + np.random.default_rng(0).normal(0, 0.02 * truth.std(), truth.shape).astype(np.float32)
    images = (enhanced.astype(np.float32), coarse.astype(np.float32), truth)
    sharp, wide, reference = (
        Image(p, 20.0 * f, name=n) for p, f, n in zip(images, (1, 4, 1), ("e", "w", "r"), strict=True)
    )
    return EnhancedField(sharp, wide, reference)


def test_a_report_has_the_measures_of_an_enhanced_image(field, tmp_path):
    report = compare_images([], None, [], str(tmp_path), field)
    assert report == json.loads((tmp_path / "report.json").read_text())
    enhanced = report["enhanced"]
    assert enhanced["resolution"] < enhanced["resolution_widefield"]
    assert enhanced["rsp"] > 0.99
    assert 40 <= enhanced["frc_with_reference"] <= enhanced["frc_half_with_reference"] < 150
    similarity = report["enhancement"]
    assert similarity["enhanced"]["psnr"] > similarity["interpolated"]["psnr"] + 3
    assert {f"enhanced.{key}" for key in enhanced} <= set(report["meanings"])
    kinds = ("enhanced", "interpolated", "registered.enhanced", "registered.interpolated")
    paths = {f"enhancement.{kind}.{key}" for kind in kinds for key in similarity["enhanced"]}
    paths |= {f"enhancement.registered.{key}" for key in ("offset", "found")}
    assert similarity["registered"]["found"]
    assert paths <= set(report["meanings"])
    assert (tmp_path / "comparison.png").stat().st_size > 10_000


@pytest.mark.usefixtures("no_picture")
def test_a_reference_of_a_part_of_the_field_is_found(field, tmp_path):
    part = field.reference.crop(slice(40, 240), slice(20, 180))
    width = replace(field.enhanced, pixels=np.full_like(field.enhanced.pixels, 10))
    cropped = EnhancedField.cropped_to_reference(field.enhanced, field.widefield, part, width)
    sizes = (cropped.widefield.size, cropped.enhanced.size, cropped.uncertainty.size)
    assert sizes == ((50, 40), (200, 160), (200, 160))
    np.testing.assert_array_equal(cropped.enhanced.pixels, field.enhanced.pixels[:, 40:240, 20:180])
    report = compare_images([], None, [], tmp_path, cropped)
    assert report["enhanced"]["part"] == "Only rows 10 to 59 and columns 5 to 44 of w are compared: the field of r."
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


def test_shifted_images_are_registered(field):
    shifted = replace(
        field.reference, pixels=np.stack([translated(plane, (-2, 1)) for plane in field.reference.pixels])
    )
    report, original = (_report(replace(field, reference=image)) for image in (shifted, field.reference))
    similarity, registered = report["enhancement"], report["enhancement"]["registered"]
    expected = original["enhancement"]["enhanced"]["correlation"]
    np.testing.assert_allclose(registered["offset"], (-2, 1), atol=0.2)
    np.testing.assert_allclose(original["enhancement"]["registered"]["offset"], (0, 0), atol=0.2)
    assert registered["enhanced"]["correlation"] > similarity["enhanced"]["correlation"] + 0.1
    assert registered["enhanced"]["correlation"] == pytest.approx(expected, abs=0.03)
    period = original["enhanced"]["frc_with_reference"]
    assert report["enhanced"]["frc_with_reference"] == pytest.approx(period, rel=0.15)


def test_a_failed_registration_is_reported(field):
    shifted = replace(field.reference, pixels=np.roll(field.reference.pixels, (14, 0), (1, 2)))
    report = _report(replace(field, reference=shifted))
    registered = report["enhancement"]["registered"]
    assert (registered["offset"], registered["found"]) == ([0.0, 0.0], False)
    assert registered["enhanced"] == report["enhancement"]["enhanced"]
    assert any("was not found: they are compared without registration" in line for line in summary(report))


def test_images_too_small_for_a_resolution_have_a_similarity(field):
    sharp, truth = (image.crop(slice(28), slice(28)) for image in (field.enhanced, field.reference))
    report = _report(EnhancedField(sharp, truth, truth))
    assert report["enhanced"]["frc_with_reference"] is None
    assert report["enhancement"]["enhanced"]["psnr"] > 0


def test_an_interpolated_image_has_no_more_resolution_than_its_widefield_image(field):
    interpolated = zoom(field.widefield.pixels[0], FACTOR, order=3, grid_mode=True, mode="nearest")[np.newaxis]
    report = _report(EnhancedField(Image(interpolated, 20.0), field.widefield, field.reference))
    assert report["enhanced"]["frc_with_reference"] > 1.5 * _report(field)["enhanced"]["frc_with_reference"]
    similarity = report["enhancement"]
    assert similarity["enhanced"]["psnr"] == pytest.approx(similarity["interpolated"]["psnr"], abs=0.01)


def test_a_sentence_replaces_the_resolution_without_a_pixel_size(field):
    without = EnhancedField(Image(field.enhanced.pixels, None, name="e"), field.widefield)
    enhanced = _report(without)["enhanced"]
    assert "pixel size" in enhanced["resolution_left_out"]
    assert "resolution" not in enhanced


def test_counts_have_a_resolution_by_splitting(field):
    mean = 30 * field.widefield.pixels / field.widefield.pixels.mean()
    counts = np.random.default_rng(0).poisson(mean).astype(np.float32)
    whole, scaled = (
        _report(EnhancedField(field.enhanced, replace(field.widefield, pixels=pixels)))["enhanced"]
        for pixels in (counts, counts / 3)
    )
    assert 160 <= whole["frc_widefield"] < 600
    assert whole["frc_widefield_warning"] == "none"
    assert "not whole numbers" in scaled["frc_widefield_warning"]


def test_fields_too_small_for_a_resolution_have_the_other_measures(field):
    small = EnhancedField(
        field.enhanced.crop(slice(0, 80), slice(0, 80)), field.widefield.crop(slice(0, 20), slice(0, 20))
    )
    enhanced = _report(small)["enhanced"]
    assert enhanced["resolution_widefield"] is None
    assert enhanced["frc_widefield"] is None
    assert "32" in enhanced["frc_widefield_warning"]
    assert enhanced["rsp"] > 0.9


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


@pytest.mark.usefixtures("no_picture")
def test_a_comparison_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing to compare"):
        run(compare_steps([], None, [], tmp_path))
    with pytest.raises(InputError, match="Give experimental and generated images, or an enhanced"):
        compare_images([], None, [], tmp_path)


@pytest.mark.usefixtures("no_picture")
def test_generated_patches_that_are_blurred_have_less_resolution(tmp_path):
    real = simulate("microtubules", count=2, size=256, pixel_size=20.0, seed=1)
    blurred = Image(gaussian_filter(real.pixels, (0, 3, 3)), 20.0, name="blurred")
    report = compare_images([real], blurred, [], tmp_path)
    assert report["resolution"]["generated"] > 1.3 * report["resolution"]["experimental"]
    assert "resolution" in report["meanings"]


def test_a_training_image_that_is_too_small_is_refused_at_once(tmp_path):
    sizes = ((1, 512), (2, 512), (3, 96))
    real, generated, small = (simulate("microtubules", 1, size, 20.0, seed=seed) for seed, size in sizes)
    steps = compare_steps([real], generated, [small], tmp_path)
    with pytest.raises(ValueError, match="smaller than the patches"):
        next(steps)


@pytest.mark.usefixtures("no_picture")
def test_the_number_of_compared_patches_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(context, "_COMPARED", 8)
    real, generated = (simulate("microtubules", 1, 384, 20.0, seed=seed) for seed in (1, 2))
    report = compare_images([real], generated, [], tmp_path)
    assert report["provenance"]["patches"] == {"experimental": 8, "generated": 8}


def _numbers(report, above=""):
    """Yield the path of each number of a report, and that of its parent."""
    for key, value in report.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{above}{key}.")
        elif isinstance(value, (int, float, list)) or value is None:
            yield f"{above}{key}", above.removesuffix(".")


def test_a_whole_report_finds_copies_and_has_a_meaning_for_every_number(field, tmp_path):
    training, held_out, generated = (
        simulate("microtubules", 1, size, 20.0, seed=s) for s, size in ((1, 512), (2, 512), (3, 768))
    )
    pixels = np.concatenate([generated.pixels, generated.pixels[:, ::-1].copy()])
    pixels[1, 640:768, 512:640] = training.pixels[0, 30:158, 301:429]
    with_map = replace(field, uncertainty=field.enhanced)
    copied = Image(pixels, 20.0, name="made")
    report = dict(compare_images([held_out], copied, [training], tmp_path, with_map))
    assert report["memorization"]["copied"] == [{"image": 1, "row": 640, "column": 512}]
    assert report["memorization"]["verdict"].endswith("held out seem to be in them.")
    assert report["two_sample"]["patch"] == 64
    assert {"auc", "by_chance", "auc_two_halves"} <= set(report["two_sample"])
    assert (tmp_path / "comparison.png").exists()
    meanings, provenance = report.pop("meanings"), report.pop("provenance")
    parts = {"realism", "spectrum", "histogram", "filaments", "two_sample", "memorization", "enhanced"}
    assert parts | {"enhancement", "seconds"} <= set(report)
    measured = {**report, "provenance": {key: provenance[key] for key in ("patch", "patches")}}
    without = [name for name, parent in _numbers(measured) if name not in meanings and parent not in meanings]
    assert not without
    assert "interpolated" in meanings["enhancement.interpolated.psnr"]


@pytest.mark.usefixtures("no_picture")
def test_the_classifier_compares_larger_patches_if_there_are_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "_LARGE", 64)
    monkeypatch.setattr(classifier, "SIZES", (48,))
    real, generated = (simulate("microtubules", 1, 512, 20.0, seed=seed) for seed in (1, 2))
    report = compare_images([real], generated, [], tmp_path)
    assert (report["two_sample"]["patch"], report["two_sample_large"]["patch"]) == (48, 64)
    assert {f"two_sample_large.{key}" for key in report["two_sample_large"]} <= set(report["meanings"])


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("other", [False, True])
def test_the_verdict_reports_images_that_are_not_training_images(tmp_path, other):
    training, held_out, generated = (simulate("microtubules", 1, 256, 20.0, seed=seed) for seed in (1, 2, 3))
    facts = [{"name": "mine.tif", "sha256": "0" if other else training.digest}]
    generated = replace(generated, provenance={"kind": "synthetic", "training_data": facts})
    verdict = compare_images([held_out], generated, [training], tmp_path)["memorization"]["verdict"]
    assert ("differ from those that the model was trained on (mine.tif). If they" in verdict) == other


@pytest.mark.usefixtures("no_picture")
def test_an_experimental_image_that_is_also_a_training_image_is_reported(tmp_path):
    real, generated = (simulate("microtubules", 1, 256, 20.0, seed=seed) for seed in (1, 2))
    report = compare_images([real], replace(generated, provenance={"kind": "synthetic"}), [real], tmp_path)
    assert "was trained on the experimental images" in report["realism_of_training_images"]
    sentence = report["memorization"]["verdict"] if "memorization" in report else report["memorization_left_out"]
    assert "Halves of the training images" in sentence or "held-out experimental patches" in sentence


def test_a_stopped_comparison_writes_no_report(field, tmp_path):
    with pytest.raises(Stopped, match="no report was written"):
        run(compare_steps([], None, [], tmp_path / "out", enhanced=field, stop=lambda: True))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_picture")
def test_empty_planes_of_a_stack_are_left_out(field, tmp_path):
    def with_empty(image):
        return replace(image, pixels=np.concatenate([image.pixels, np.zeros_like(image.pixels)]))

    stack = EnhancedField(*(with_empty(image) for image in (field.enhanced, field.widefield, field.reference)))
    report = compare_images([], None, [], tmp_path, stack)
    alone = _report(field)["enhancement"]["enhanced"]
    assert report["enhancement"]["enhanced"]["psnr"] == pytest.approx(alone["psnr"], abs=0.5)
    assert report["enhanced"]["rsp"] == pytest.approx(0.5, abs=0.01)
    empty = replace(field, reference=replace(field.reference, pixels=np.zeros_like(field.reference.pixels)))
    assert "constant" in _report(empty)["enhancement_left_out"]


def test_pixel_sizes_that_contradict_each_other_are_refused(field):
    with pytest.raises(ValueError, match="correct a pixel size"):
        replace(field, widefield=replace(field.widefield, pixel_size=500.0))


def test_a_report_has_the_coverage_of_an_uncertainty_map(field):
    error = np.abs(field.enhanced.pixels - field.reference.pixels)
    settings = {"settings": {"confidence": 0.9}}
    for share in (0.5, 0.9):
        width = np.full_like(error, np.quantile(error, share))
        with_map = replace(field, uncertainty=replace(field.enhanced, pixels=width, provenance=settings))
        uncertainty = _report(with_map)["enhanced"]["uncertainty"]
        assert uncertainty["coverage"] == pytest.approx(share, abs=0.08)
        assert uncertainty["coverage_structure"] < uncertainty["coverage"], "a constant width is too small on structure"
        assert uncertainty["stated"] == 0.9
    # The map of samples is about blurred images, whose errors are smaller.
    blurred = np.abs(gaussian_filter(field.enhanced.pixels - field.reference.pixels, (0, 2, 2), mode="nearest"))
    width = np.full_like(error, np.quantile(blurred, 0.9))
    provenance = {**settings, "blurred_by_pixels": 2.0}
    with_map = replace(field, uncertainty=replace(field.enhanced, pixels=width, provenance=provenance))
    covered = _report(with_map)["enhanced"]["uncertainty"]["coverage"]
    assert covered > 0.7
    assert covered > 2 * np.mean(error <= width)
    exact = replace(field, uncertainty=replace(field.enhanced, pixels=error))
    assert _report(exact)["enhanced"]["uncertainty"]["rank_correlation"] > 0.8


def test_identical_images_agree_at_every_period(field):
    assert _report(replace(field, enhanced=field.reference))["enhanced"]["frc_with_reference"] == 40
