"""Comparisons that lack an image, or hold too little of one: what is refused, and what is left out."""

import numpy as np
import pytest

from napari_smdiffusion import EnhancedField, Image, InputError, Report
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.images.provenance import SYNTHETIC, Provenance
from napari_smdiffusion.measure.copies import look_for_copies_within
from napari_smdiffusion.report.context import MeasureContext
from napari_smdiffusion.report.enhanced import mapped_error
from napari_smdiffusion.report.measures.copies import COPIES
from napari_smdiffusion.report.measures.enhanced import ENHANCED, _intervals, _planes_with_structure
from napari_smdiffusion.report.measures.enhancement import similarity_to_reference
from napari_smdiffusion.report.training_data import known_training_images
from napari_smdiffusion.report.verdict_rows import enhanced_rows
from napari_smdiffusion.store.facts import training_image

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.gamma(1.0, 10.0, (1, 96, 96)).astype(np.float32)


def _field(reference=None):
    coarse = Image(NOISE.reshape(1, 24, 4, 24, 4).mean((2, 4)), 80.0, name="w")
    return EnhancedField(Image(NOISE, 20.0, name="e"), coarse, reference)


def test_an_error_map_has_the_pixels_of_the_widefield_image():
    field = _field()
    errors = mapped_error(field)
    assert errors.pixels.shape == field.widefield.pixels.shape
    assert len(errors.provenance.rse) == len(errors.provenance.rsp) == 1


def test_a_field_without_a_reference_is_not_compared_with_one():
    for work in (similarity_to_reference, _planes_with_structure):
        with pytest.raises(InputError, match="There is no reference to compare with: give the super-resolution image"):
            work(_field())
    with pytest.raises(InputError, match="The coverage needs a reference and an uncertainty map: give both"):
        _intervals(_field(), (0.0, 0.0))
    assert ENHANCED.row(None, MeasureContext()) is None
    assert enhanced_rows({}, None) == ()
    assert COPIES.row(None, MeasureContext()) is None


def test_patches_need_images_and_enough_of_them():
    with pytest.raises(InputError, match="There are no generated images to cut into patches: give some"):
        MeasureContext().cut((64,), 1)
    few = MeasureContext((Image(NOISE[:, :40, :40]),), Image(NOISE[:, :40, :40]))
    with pytest.raises(InputError, match=r"There are \d+ generated and \d+ experimental patches .* generate more"):
        _ = few.all_patches
    with pytest.raises(InputError, match="The search for copies needs generated patches and training images"):
        look_for_copies_within(np.empty((0, 64, 64), np.float32), [], 40)


def test_a_model_that_states_its_parts_is_read_if_it_is_the_same(tiny_model):
    tiny_model.save(user_folder() / "diffusion" / "mine")
    whole = tiny_model.facts.training_data
    for stated, expected in ((whole, whole), ((training_image(Image(NOISE)),), None)):
        made = Image(NOISE, provenance=Provenance(SYNTHETIC, model="mine", training_data=stated))
        assert known_training_images(made) == (expected or stated)


def test_a_report_is_a_mapping_that_leaves_out_results_of_another_kind():
    report = Report.from_json({"enhanced": {"error": "much"}, "mine": 5})
    assert len(report) == len(list(report))
    assert "enhanced" not in report.results
    assert report["mine"] == 5
