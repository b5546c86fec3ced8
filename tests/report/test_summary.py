"""What is wrong with generated images is said in words, not only in numbers."""

from dataclasses import replace

import numpy as np
import pytest

from curves import curves
from napari_smdiffusion import Image, compare_images
from napari_smdiffusion.images.patches import grid_patches, symmetry
from napari_smdiffusion.measure.filaments import FilamentDifference
from napari_smdiffusion.report.measures.enhanced import ENHANCED, Agreement, Enhanced
from napari_smdiffusion.report.measures.skeletons import SKELETONS, Skeletons
from napari_smdiffusion.report.summary import summary


@pytest.fixture(scope="module")
def experiment():
    return Image(np.stack([curves(seed) for seed in range(3)]), 20.0, name="storm.tif")


def _said(tmp_path, *images):
    return " ".join(summary(compare_images(*images, tmp_path)))


def test_images_that_repeat_themselves_are_told(experiment, tmp_path):
    two = grid_patches([curves(10)], 64)[:2]
    turned = np.stack([symmetry(two[i % 2], i % 8) for i in range(24)])
    said = _said(tmp_path, [experiment], Image(turned, 20.0, name="collapsed"), [])
    assert "come more than once" in said
    assert "too much alike" in said
    assert "much is missing" in said
    assert "Give the images that the model was trained on" in said
    fresh = Image(np.stack([curves(seed) for seed in (20, 21)]), 20.0, name="fresh")
    said = _said(tmp_path, [experiment], fresh, [])
    assert not [word for word in ("more than once", "too much alike", "missing") if word in said]


@pytest.mark.parametrize("given", [True, False])
def test_realism_against_what_the_model_was_trained_on_is_named_so(experiment, tmp_path, given):
    facts = {"training_data": [{"name": "storm.tif", "sha256": experiment.digest}]}
    made = Image(np.stack([curves(20), curves(21)]), 20.0, name="made")
    made = made if given else replace(made, provenance={"kind": "synthetic", **facts})
    said = _said(tmp_path, [experiment], made, [experiment] if given else [])
    assert "trained on the experimental images (storm.tif)" in said
    assert "Copies were not looked for. The experimental images are training images" in said


def test_skeletons_whose_median_lies_within_the_spread_and_are_others_all_the_same_are_told():
    one = FilamentDifference(1.0, 1.0, 0.0, 2.0, inside=True, difference=0.6, by_chance=0.4, unit="")
    said = SKELETONS.summary(Skeletons({"order": one, "free_ends": replace(one, difference=0.3)}))
    assert said == [
        "Skeletons lie within the spread of experimental patches in: order, free ends.",
        "Within it, they are distributed otherwise than by chance in: order.",
    ]


def test_agreement_with_the_reference_is_told_by_one_half_first():
    said = ENHANCED.summary(Enhanced(0.1, 1.0, agreement=Agreement(90.0, 160.0)))
    assert any("down to 160 nm, and in traces down to 90 nm" in line for line in said)
    assert any(
        "in traces only" in line for line in ENHANCED.summary(Enhanced(0.1, 1.0, agreement=Agreement(90.0, None)))
    )


def test_an_enhanced_image_that_agrees_with_nothing_is_told():
    unlike = Enhanced(0.1, 1.0, agreement=Agreement(None, None))
    assert any("hardly agrees with the super-resolution image" in line for line in ENHANCED.summary(unlike))
    assert not any("agrees" in line for line in ENHANCED.summary(Enhanced(0.1, 1.0)))
