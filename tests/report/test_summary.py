"""The summary of a report has sentences on the defects of generated images."""

from dataclasses import replace

import numpy as np
import pytest

from curves import curves
from napari_smdiffusion import Image, compare_images
from napari_smdiffusion.images.patches import grid_patches, symmetry
from napari_smdiffusion.measure.filaments import FilamentDifference
from napari_smdiffusion.measure.realism import Realism
from napari_smdiffusion.report.measures.enhanced import ENHANCED, Agreement, Enhanced
from napari_smdiffusion.report.measures.realism import REALISM
from napari_smdiffusion.report.measures.skeletons import SKELETONS, Skeletons
from napari_smdiffusion.report.summary import summary

pytestmark = pytest.mark.usefixtures("quick_classifier", "no_picture")


@pytest.fixture(scope="module")
def experiment():
    return Image(np.stack([curves(seed) for seed in range(3)]), 20.0, name="storm.tif")


def _summary(tmp_path, *images):
    return " ".join(summary(compare_images(*images, tmp_path)))


def test_the_summary_reports_repeated_patches(experiment, tmp_path):
    two_patches = grid_patches([curves(10)], 64)[:2]
    turned = np.stack([symmetry(two_patches[i % 2], i % 8) for i in range(24)])
    text = _summary(tmp_path, [experiment], Image(turned, 20.0, name="collapsed"), [])
    assert "occur more than once" in text
    assert "too similar" in text
    assert "is missing" in text
    assert "Give the model's training images" in text
    fresh = Image(np.stack([curves(seed) for seed in (20, 21)]), 20.0, name="fresh")
    text = _summary(tmp_path / "fresh", [experiment], fresh, [])
    assert not [words for words in ("more than once", "too similar", "missing") if words in text]


@pytest.mark.parametrize(("patches", "repeated", "alarm"), [(30, 0.25, False), (30, 0.27, True), (0, 0.06, True)])
def test_repeated_patches_alarm_by_the_number_of_patches(patches, repeated, alarm):
    """Of few patches with next to nothing in them, more are alike by chance; an older report states no number."""
    result = Realism(0.0, 0.0, 0.1, 1.0, 1.0, 9.0, diversity=1.0, repeated=repeated, coverage=1.0, patches=patches)
    assert ("occur more than once" in " ".join(REALISM.summary(result))) == alarm
    assert REALISM.verdict(result) is not alarm


@pytest.mark.parametrize("given", [True, False])
def test_the_summary_reports_experimental_images_that_are_training_images(experiment, tmp_path, given):
    facts = {"training_data": [{"name": "storm.tif", "sha256": experiment.digest}]}
    generated = Image(np.stack([curves(20), curves(21)]), 20.0, name="made")
    generated = generated if given else replace(generated, provenance={"kind": "synthetic", **facts})
    text = _summary(tmp_path, [experiment], generated, [experiment] if given else [])
    assert "trained on the experimental images (storm.tif)" in text
    assert "Copies were not looked for" not in text  # halves of the training image are held out from each other


def test_the_summary_reports_skeletons_with_another_distribution():
    difference = FilamentDifference(1.0, 1.0, 0.0, 2.0, inside=True, difference=0.6, by_chance=0.4, unit="")
    sentences = SKELETONS.summary(Skeletons({"order": difference, "free_ends": replace(difference, difference=0.3)}))
    assert sentences == [
        "Skeletons lie within the spread of experimental patches in: order, free ends.",
        "Within it, their distributions differ more than by chance in: order.",
    ]


def test_the_summary_has_the_resolution_at_one_half_first():
    sentences = ENHANCED.summary(Enhanced(0.1, 1.0, agreement=Agreement(90.0, 160.0)))
    assert any("down to 160 nm, and in traces down to 90 nm" in line for line in sentences)
    assert any(
        "in traces only" in line for line in ENHANCED.summary(Enhanced(0.1, 1.0, agreement=Agreement(90.0, None)))
    )


def test_the_summary_reports_an_enhanced_image_without_agreement():
    unlike = Enhanced(0.1, 1.0, agreement=Agreement(None, None))
    assert any("hardly agrees with the super-resolution image" in line for line in ENHANCED.summary(unlike))
    assert not any("agrees" in line for line in ENHANCED.summary(Enhanced(0.1, 1.0)))
