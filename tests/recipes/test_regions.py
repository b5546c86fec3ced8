"""Tests of regions in jobs: a training sees nothing that is held out, and results lie where they belong."""

import dataclasses
import json

import numpy as np
import pytest

from napari_smdiffusion import (
    CompareJob,
    EnhanceConfig,
    EnhanceJob,
    EnhancerConfig,
    Image,
    InputError,
    TrainConfig,
    TrainEnhancerJob,
    TrainJob,
    read_image,
    run_job,
    write_image,
)
from napari_smdiffusion.diffusion import training as diffusion_training
from napari_smdiffusion.diffusion.facts import DiffusionFacts
from napari_smdiffusion.enhance import training as enhancer_training
from napari_smdiffusion.recipes.regions import divided, divided_weights, division
from napari_smdiffusion.report import compare as comparison
from napari_smdiffusion.report.enhanced import EnhancedField
from napari_smdiffusion.report.training_data import parts_trained_on
from napari_smdiffusion.store.card import training_list
from napari_smdiffusion.store.facts import training_facts, training_image

_HELD_OUT = (64, 128, 80, 192)


@pytest.fixture
def given(monkeypatch):
    """Replace the trainings by functions that keep what they are given."""
    kept = {}

    def train(images, *args, **options):
        kept.update(options, images=list(images))
        return None
        yield

    monkeypatch.setattr(diffusion_training, "train_steps", train)
    monkeypatch.setattr(enhancer_training, "train_enhancer_steps", train)
    return kept


def _marked(storm):
    """Return an image whose held-out rectangle has the value -1."""
    pixels = storm.pixels.copy()
    pixels[:, 64:128, 80:192] = -1
    return dataclasses.replace(storm, pixels=pixels)


@pytest.mark.parametrize("kind", [TrainJob, TrainEnhancerJob])
def test_a_training_is_given_no_pixel_that_is_held_out(storm, given, kind):
    image = _marked(storm)
    settings = TrainConfig(patch=64) if kind is TrainJob else EnhancerConfig(patch=64, upscale=4)
    run_job(kind(image, settings, held_out=_HELD_OUT))
    parts = given["images"]
    assert sum(part.pixels.size for part in parts) == image.pixels.size - image.pixels[:, 64:128, 80:192].size
    assert min(part.pixels.min() for part in parts) >= 0
    for part in parts:
        top, bottom, left, right = part.provenance.window
        np.testing.assert_array_equal(part.pixels, image.pixels[:, top:bottom, left:right])
        assert part.origin == (top * 20.0, left * 20.0)
        assert training_image(part).window == part.provenance.window
    run_job(kind(image, settings, region=_HELD_OUT))
    (part,) = given["images"]
    assert (part.pixels == -1).all()
    with pytest.raises(InputError, match="lies outside of all images"):
        run_job(kind(image, settings, held_out=(500, 600, 0, 50)))
    with pytest.raises(InputError, match=r"lies outside of .*, or covers fewer than 16"):
        run_job(kind(image, settings, region=(500, 600, 0, 50)))


def test_pairs_are_cut_alike_and_weights_are_shared_by_area(storm, given):
    image = _marked(storm)
    widefield = Image(image.pixels[:, ::4, ::4], 80.0, name="widefield")
    job = TrainEnhancerJob(
        [image, image],
        EnhancerConfig(patch=64, upscale=4),
        weights=(3, 1),
        widefield=[widefield, Image(np.pad(widefield.pixels, ((0, 0), (8, 8), (8, 8))), 80.0)],
        held_out=_HELD_OUT,
    )
    run_job(job)
    pairs = given["pairs"]
    count = len(pairs) // 2
    for coarse, fine in pairs[:count]:
        np.testing.assert_array_equal(coarse.pixels, fine.pixels[:, ::4, ::4])
    # A larger widefield image stays whole, and the part is found in it.
    assert {coarse.size for coarse, _ in pairs[count:]} == {(64, 64)}
    weights = given["weights"]
    assert sum(weights[:count]) == pytest.approx(3)
    assert sum(weights[count:]) == pytest.approx(1)
    windows = [[(slice(0, 10), slice(0, 30)), (slice(10, 20), slice(0, 10))]]
    assert divided_weights([2.0], windows) == pytest.approx([1.5, 0.5])


def test_a_model_records_the_parts_that_it_was_trained_on(storm):
    parts = divided([storm], division([storm], [], [_HELD_OUT], 64))
    facts = training_facts(DiffusionFacts, parts, "m")
    windows = [image.window for image in facts.training_data]
    assert windows == [(0, 192, 0, 80), (0, 64, 80, 192), (128, 192, 80, 192)]
    assert "(rows 0 to 191, columns 0 to 79)" in training_list(facts)
    stored = DiffusionFacts.from_json(json.loads(json.dumps(facts.to_json())))
    assert [image.window for image in stored.training_data] == windows
    # The whole image, given as training image of a comparison, counts with these parts alone.
    found = parts_trained_on([storm], stored.training_data)
    assert [part.provenance.window for part in found] == windows
    other = dataclasses.replace(storm, pixels=storm.pixels[:, ::-1])
    assert parts_trained_on([other], stored.training_data) == [other]


def test_a_training_image_that_was_cropped_before_is_found_in_the_whole_one(storm):
    cropped = dataclasses.replace(storm.crop(slice(20, 192), slice(40, 180)), provenance={}, origin=(0.0, 0.0))
    training = training_facts(DiffusionFacts, [cropped], "m").training_data
    assert training[0].window == ()
    (part,) = parts_trained_on([storm], training)
    assert part.provenance.window == (20, 192, 40, 180)
    for pixels in (storm.pixels[:, ::-1], storm.pixels + (storm.pixels > 2)):
        other = dataclasses.replace(storm, pixels=pixels)
        assert parts_trained_on([other], training) == [other]


def test_a_region_is_enhanced_at_its_place(tiny_enhancer, widefield, tmp_path):
    write_image(tmp_path / "cell.tif", widefield)
    settings = EnhanceConfig(uncertainty=True)
    job = EnhanceJob(tiny_enhancer, tmp_path / "cell.tif", settings, out=tmp_path / "out", region=(30, 70, 20, 90))
    run_job(job)
    result = read_image(tmp_path / "out" / "cell_region_30_70_20_90_enhanced.tif")
    assert result.size == (160, 280)
    size = widefield.pixel_size
    assert result.origin == pytest.approx((widefield.origin[0] + 30 * size, widefield.origin[1] + 20 * size))
    assert result.provenance.window == (30, 70, 20, 90)
    expected = tiny_enhancer.enhance(widefield.crop(slice(30, 70), slice(20, 90)))
    np.testing.assert_allclose(result.pixels, expected.pixels, rtol=1e-4, atol=1e-3)
    with pytest.raises(InputError, match="region has 2 rectangles: give one in each run"):
        EnhanceJob("tiny", "a.tif", region=[(0, 20, 0, 20), (20, 40, 0, 20)])


def test_a_comparison_is_limited_to_the_region(storm, widefield, monkeypatch, tmp_path):
    given = {}

    def compare(experimental, generated, training, out, **options):
        given.update(options, experimental=list(experimental))
        return None
        yield

    monkeypatch.setattr(comparison, "compare_steps", compare)
    shape = (len(widefield), widefield.size[0] * 4, widefield.size[1] * 4)
    fine = Image(np.random.default_rng(0).random(shape), widefield.pixel_size / 4, name="enhanced")
    job = CompareJob(
        storm,
        storm,
        enhanced=fine,
        widefield=widefield,
        reference=fine,
        out=tmp_path / "c",
        region=[(0, 64, 0, 64), (64, 128, 0, 192)],
        widefield_region=(10, 40, 20, 60),
    )
    run_job(job)
    assert [image.size for image in given["experimental"]] == [(64, 64), (64, 192)]
    field = given["enhanced"]
    assert (field.widefield.size, field.enhanced.size) == ((30, 40), (120, 160))
    np.testing.assert_array_equal(field.reference.pixels, fine.pixels[:, 40:160, 80:240])
    assert "Only rows 10 to 39, columns 20 to 59 of" in field.part
    # In a field that was cropped to its reference, the region is still that of the whole widefield image.
    part = EnhancedField(fine, widefield).inside((10, 40, 20, 60), (4, 30))
    np.testing.assert_array_equal(part.widefield.pixels, widefield.pixels[:, 6:36, 0:30])
    assert "Only rows 10 to 39, columns 30 to 59 of" in part.part
    with pytest.raises(InputError, match="widefield_region needs an enhanced image"):
        CompareJob(storm, storm, widefield_region=(0, 20, 0, 20))
    with pytest.raises(InputError, match="region is a part of experimental images"):
        CompareJob(enhanced=fine, widefield=widefield, region=(0, 20, 0, 20))
