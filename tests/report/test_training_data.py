"""Training images in a comparison: recognized by their parts, and searched for copies without other images."""

import re
from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import Image, simulate
from napari_smdiffusion.images.patches import draw_patches
from napari_smdiffusion.images.provenance import SYNTHETIC, Provenance
from napari_smdiffusion.images.registration import translated
from napari_smdiffusion.measure.copies import look_for_copies_within
from napari_smdiffusion.report.context import MeasureContext
from napari_smdiffusion.report.enhanced import EnhancedField
from napari_smdiffusion.report.measures.copies import reason_for_no_search
from napari_smdiffusion.report.measures.enhancement import ENHANCEMENT, similarity_to_reference
from napari_smdiffusion.report.measures.trained_on import TRAINED_ON
from napari_smdiffusion.store.facts import training_image


@pytest.fixture(scope="module")
def storm():
    """Return an image with structure and noise, 320² pixels."""
    clean = simulate("microtubules", size=320, pixel_size=20.0, seed=5)
    return Image(np.random.default_rng(0).poisson(20 * clean.pixels + 0.3), 20.0, name="storm.tif")


def _context(storm, *trained_on):
    provenance = Provenance(
        SYNTHETIC, model="none of the catalogue", training_data=tuple(map(training_image, trained_on))
    )
    return MeasureContext((storm,), Image(np.zeros((4, 64, 64)), 20.0, provenance=provenance))


def test_a_part_that_was_trained_on_is_reported(storm):
    other = Image(np.random.default_rng(1).poisson(2.0, (1, 320, 320)), 20.0, name="other.tif")
    part = Image(storm.pixels[:, :, :200], 20.0, name="storm.tif, columns 0 to 199")
    sentence = TRAINED_ON.compute(_context(storm, other, part)).sentence
    assert "trained on parts of the experimental images (storm.tif: storm.tif, columns 0 to 199)" in sentence
    assert TRAINED_ON.compute(_context(part, storm)) is not None  # a crop of what was trained on
    assert "trained on the experimental images (storm.tif)" in TRAINED_ON.compute(_context(storm, storm)).sentence
    assert TRAINED_ON.compute(_context(storm, other)) is None


def test_copies_are_looked_for_in_a_single_image(storm):
    context = _context(storm, storm)
    assert reason_for_no_search(context) == ""
    assert len(context.searched_planes) == 1
    random = np.random.default_rng(3)
    field = simulate("microtubules", size=320, pixel_size=20.0, seed=6).pixels
    new = draw_patches([random.poisson(20 * field[0] + 0.3).astype(np.float32)], 64, 6, random)
    places = ((0, 0), (40, 120), (90, 200), (180, 60), (250, 250), (130, 10))
    copies = np.stack([storm.pixels[0, y : y + 64, x : x + 64] for y, x in places])
    search = look_for_copies_within(np.concatenate([new, copies]), list(storm.pixels), 40)
    assert sum(search.copied[6:]) >= 5
    assert sum(search.copied[:6]) == 0
    assert "Halves of the training images were held out from each other" in search.report.verdict


@pytest.mark.parametrize(
    ("origin", "misplaced", "said"),
    [
        ((-48.0, 20.0), (0, 0), ""),
        ((32.0, 80.0), (4, 3), "pixels down and [23].. to the right"),
        ((0.0, 0.0), (2.4, -1), "pixels down and [01].. to the left"),
    ],
)
def test_a_shift_is_what_is_left_after_the_places(storm, origin, misplaced, said):
    moved = translated(storm.pixels[0], (2.4, -1.0))
    wide = moved.reshape(1, 64, 5, 64, 5).mean((2, 4))
    field = EnhancedField(
        Image(moved[None], 20.0, name="enhanced"), Image(wide, 100.0, origin=origin, name="widefield"), storm
    )
    result = similarity_to_reference(field)
    assert result.misplaced == pytest.approx(misplaced, abs=0.4)
    first, *others = ENHANCEMENT.sentences(result)
    assert "after registration" in first
    assert len(others) == bool(said)
    assert re.search(said, " ".join(others))
    kept = ENHANCEMENT.from_json(ENHANCEMENT.to_json(result))
    assert list(ENHANCEMENT.sentences(kept)) == [first, *others]


def test_a_part_without_places_has_no_shift(storm):
    wide = Image(storm.pixels.reshape(1, 64, 5, 64, 5).mean((2, 4)), 100.0, name="widefield")
    enhanced = Image(storm.pixels, 20.0, name="enhanced")
    part = Image(storm.pixels[:, 12:262, 17:317], 20.0, name="part")  # as a file without a place
    for corner, placed in (((0.0, 0.0), False), ((-10.0, -10.0), False), ((240.0, 340.0), True)):
        field = EnhancedField.cropped_to_reference(enhanced, wide, replace(part, origin=corner))
        assert field.placed == placed
        misplaced = similarity_to_reference(field).misplaced
        assert misplaced == (pytest.approx((0, 0), abs=0.4) if placed else None)
