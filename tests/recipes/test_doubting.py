"""What raises doubt about an enhancement is said before and after it, and stated in its files."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import EnhanceConfig, EnhanceJob, load_enhancer, read_image, run, user_folder
from napari_smdiffusion.base.events import Note, TileDone
from napari_smdiffusion.enhance.facts import FEATURES, Familiar
from napari_smdiffusion.images.provenance import Provenance
from napari_smdiffusion.images.samples import simulated_pair
from napari_smdiffusion.recipes.doubting import doubts_before

_ZERO = (0.0,) * FEATURES
_TINY = tuple(tuple(1e-4 * (row == column) for column in range(FEATURES)) for row in range(FEATURES))
# No image is like this training.
ELSEWHERE = Familiar((50.0, *_ZERO[1:]), _TINY, _TINY, 1.0)
# Any image is like this training.
EVERYTHING = Familiar(_ZERO, _TINY, _TINY, 1e6)


@pytest.fixture(scope="module")
def enhancer(tiny_enhancer):
    """Return an enhancer with random weights, whose results explain nothing and have a grid."""
    return dataclasses.replace(tiny_enhancer, familiar=ELSEWHERE)


def _notes(events):
    return [event.message for event in events if isinstance(event, Note)]


@pytest.mark.usefixtures("no_other_enhancers")
def test_an_unfamiliar_image_is_named_before_the_first_tile_and_in_the_result(enhancer, widefield):
    events = []
    result = run(EnhanceJob(enhancer, widefield).steps(), events.append).images[0].enhancement.image
    unfamiliar, unexplained, grid = result.provenance.doubts
    assert unfamiliar.startswith("cell looks unlike the images that ")
    assert unexplained.startswith("The result does not explain cell")
    assert grid.startswith("The result of cell has a grid")
    assert _notes(events) == [unfamiliar, unexplained, grid]
    kinds = [type(event) for event in events]
    assert kinds.index(Note) < kinds.index(TileDone)
    assert list(result.provenance["doubts"]) == list(result.provenance.doubts)  # as layers have it


@pytest.mark.parametrize("known", [None, EVERYTHING])
def test_nothing_is_said_before_of_familiar_images_and_by_models_of_earlier_versions(enhancer, widefield, known):
    enhancer = dataclasses.replace(enhancer, familiar=known)
    doubts = run(EnhanceJob(enhancer, widefield).steps()).images[0].enhancement.image.provenance.doubts
    assert [sentence for sentence in doubts if "unlike" in sentence] == []


def test_files_state_the_doubts_and_a_finished_run_repeats_them(enhancer, widefield, tmp_path):
    job = EnhanceJob(enhancer, widefield, EnhanceConfig(uncertainty=True), out=tmp_path / "e.tif", resume=True)
    events, again = [], []
    run(job.steps(), events.append)
    written = read_image(tmp_path / "e.tif")
    assert len(written.provenance.doubts) == 3
    assert read_image(tmp_path / "e_uncertainty.tif").provenance.doubts == written.provenance.doubts
    in_memory = run(EnhanceJob(enhancer, widefield).steps()).images[0].enhancement.image
    np.testing.assert_array_equal(written.pixels, in_memory.pixels)
    assert (written.pixel_size, written.origin) == (in_memory.pixel_size, in_memory.origin)
    with tifffile.TiffFile(tmp_path / "e.tif") as tiff:
        assert tiff.is_imagej
    run(job.steps(), again.append)
    assert set(written.provenance.doubts) < set(_notes(again))


def test_of_a_stack_the_most_familiar_plane_counts(enhancer, widefield, monkeypatch):
    distances = itertools.chain([3.0, 0.0, 1.5], itertools.repeat(9.0))  # of the planes, then of other enhancers
    monkeypatch.setattr("napari_smdiffusion.enhance.likely_structure.strangeness", lambda *arguments: next(distances))
    stack = dataclasses.replace(widefield, pixels=np.stack([widefield.pixels[0]] * 3))
    doubts = run(EnhanceJob(enhancer, stack).steps()).images[0].enhancement.image.provenance.doubts
    assert "(distance 1.50;" in doubts[0]


@pytest.fixture
def microtubules():
    """Return a bundled enhancer, and the widefield image of simulated microtubules, whose structure is not stated."""
    return load_enhancer("microtubules"), simulated_pair()[1]


def test_a_wrong_structure_is_named_if_an_enhancer_of_the_right_one_is_at_hand(microtubules):
    right, image = microtubules
    wrong = load_enhancer("mitochondria-x5")
    (said,) = doubts_before(wrong, image)
    assert "looks more like microtubules than like mitochondria, which mitochondria-x5 was trained on" in said
    assert doubts_before(right, image) == ()
    stated = dataclasses.replace(image, provenance=Provenance(structure="microtubules"))
    (said,) = doubts_before(wrong, stated)
    assert "mitochondria-x5 was trained on mitochondria, and draws mitochondria into images of microtubules" in said
    assert doubts_before(right, stated) == ()


def test_a_damaged_enhancer_costs_no_other_its_result(microtubules):
    right, image = microtubules
    folder = user_folder() / "enhancer" / "damaged"
    load_enhancer("mitochondria-x5").save(folder)
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**facts, "levels": "bright"}))
    assert doubts_before(right, image) == ()
