"""Images that a model computed are not trained on, unless it is allowed."""

from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import Image, InputError, TrainEnhancerJob, TrainJob, write_image
from napari_smdiffusion.images.provenance import ENHANCED, MADE_BY_MODELS, RESULT_KINDS, SYNTHETIC, Provenance
from napari_smdiffusion.recipes.training_images import read_training_images


def _image(kind, name="cell"):
    return Image(np.random.default_rng(0).random((32, 32)), 20.0, name=name, provenance=Provenance(kind, model="mine"))


@pytest.mark.parametrize("kind", MADE_BY_MODELS)
def test_computed_images_are_refused_unless_allowed(kind):
    with pytest.raises(InputError, match=r"cell is no measurement .*made by mine.*--allow-computed"):
        read_training_images([_image(kind)], None, MADE_BY_MODELS, False)
    assert len(read_training_images([_image(kind)], None, MADE_BY_MODELS, True)) == 1


def test_computed_images_in_folders_are_skipped_unless_allowed(tmp_path):
    for kind in ("experimental", SYNTHETIC):
        write_image(tmp_path / f"{kind}.tif", _image(kind))
    kinds = [
        [image.provenance.kind for image in read_training_images([tmp_path], None, MADE_BY_MODELS, allowed)]
        for allowed in (False, True)
    ]
    assert kinds == [["experimental"], ["experimental", SYNTHETIC]]


def test_trainings_refuse_computed_images_before_any_work():
    for job in (
        TrainJob(_image(SYNTHETIC)),
        TrainJob([_image("experimental"), _image(ENHANCED)]),
        TrainEnhancerJob(_image(ENHANCED)),
        TrainEnhancerJob(_image("experimental"), widefield=replace(_image(ENHANCED), pixel_size=80.0)),
    ):
        with pytest.raises(InputError, match="is no measurement"):
            next(job.steps())


def test_enhancers_are_trained_on_generated_images():
    assert SYNTHETIC not in RESULT_KINDS
    assert len(read_training_images([_image(SYNTHETIC)], None, RESULT_KINDS, False)) == 1
