"""An enhanced image that was doubted when it was made, or is of another structure, gets a warning in its report."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import Image
from napari_smdiffusion.base.events import run
from napari_smdiffusion.images.provenance import ENHANCED as KIND
from napari_smdiffusion.images.provenance import Provenance
from napari_smdiffusion.report.context import MeasureContext
from napari_smdiffusion.report.enhanced import EnhancedField, error_map_steps
from napari_smdiffusion.report.measures.enhanced import ENHANCED
from napari_smdiffusion.report.verdict import verdicts_of

DOUBT = "cell looks more like microtubules than like mitochondria, which mine was trained on."


@pytest.fixture(scope="module")
def field():
    """Return a field whose enhanced image explains its widefield image."""
    sharp = gaussian_filter(np.random.default_rng(0).random((160, 160)) ** 8, 3).astype(np.float32)
    coarse = gaussian_filter(sharp, 5).reshape(40, 4, 40, 4).mean((1, 3))
    enhanced = Image(sharp, 20.0, name="enhanced", provenance=Provenance(KIND, model="mine", structure="mitochondria"))
    return EnhancedField(enhanced, Image(coarse, 80.0, name="cell"))


def _result(field):
    return ENHANCED.compute(MeasureContext(enhanced=field, error_maps=tuple(run(error_map_steps(field)))))


def _stating(image, **facts):
    return replace(image, provenance=replace(image.provenance, **facts))


def test_a_doubt_of_the_enhancement_is_the_verdict_and_a_sentence(field):
    result = _result(replace(field, enhanced=_stating(field.enhanced, doubts=(DOUBT,))))
    (verdict,) = verdicts_of({"enhanced": result}, {})
    assert (verdict.level, verdict.text) == (
        "warning",
        f"Warning: the enhanced image is in doubt. {DOUBT}",
    )
    assert ENHANCED.summary(result)[0] == DOUBT
    assert ENHANCED.decode(ENHANCED.encode(result)).doubts == (DOUBT,)


@pytest.mark.parametrize(("shown", "level"), [("microtubules", "warning"), ("mitochondria", "good"), (None, "good")])
def test_an_enhanced_image_of_another_structure_than_its_widefield_image_has_a_warning(field, shown, level):
    result = _result(replace(field, widefield=_stating(field.widefield, structure=shown)))
    (verdict,) = verdicts_of({"enhanced": result}, {})
    assert verdict.level == level
    assert ("enhanced was made by mine, which draws mitochondria, and cell shows microtubules" in verdict.text) == (
        level == "warning"
    )
