"""The choice of an enhancer by pixel size and structure."""

import pytest

from napari_smdiffusion import list_models
from napari_smdiffusion.enhance.choosing import OTHER_STRUCTURE, fitting_enhancer, known_structures, mismatch


@pytest.fixture(scope="module")
def enhancers():
    return [entry for entry in list_models("enhancer") if entry.bundled]


@pytest.mark.parametrize(
    ("sizes", "structure", "name"),
    [
        ([97.0], "microtubules", "microtubules"),
        ([80.0], "microtubules", "microtubules-x4"),
        ([80.0], "mitochondria", "mitochondria"),
        ([108.0, 100.0], "mitochondria", "mitochondria-x5"),
        ([160.0], "microtubules", "microtubules"),
        ([250.0], "microtubules", None),
        ([80.0, 250.0], "microtubules", None),
        ([97.0], "", None),
        ([97.0], "nuclei", None),
        ([97.0], OTHER_STRUCTURE, None),
    ],
)
def test_the_enhancer_of_the_structure_with_the_nearest_pixels_is_chosen(enhancers, sizes, structure, name):
    entry = fitting_enhancer(enhancers, sizes, structure)
    assert (entry and entry.name) == name


def test_the_preferred_enhancer_is_chosen_only_where_it_fits(enhancers):
    assert fitting_enhancer(enhancers, [80.0], "microtubules", "microtubules").name == "microtubules"
    assert fitting_enhancer(enhancers, [80.0], "mitochondria", "microtubules").name == "mitochondria"
    assert fitting_enhancer(enhancers, [80.0], "", "microtubules") is None


def test_an_enhancer_of_another_structure_is_reported(enhancers):
    assert "mine was trained on microtubules, and draws microtubules into images of mitochondria" in mismatch(
        "mine", "microtubules", {"mitochondria"}
    )
    assert mismatch("mine", "microtubules", {"microtubules", ""}) == mismatch("mine", "", {"mitochondria"}) == ""
    assert known_structures(enhancers) == ["microtubules", "mitochondria"]
