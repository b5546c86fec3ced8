"""The nearest training patch: both patches beside each other, and rectangles at their places."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_smdiffusion.base.events import run
from napari_smdiffusion.images.provenance import layer_metadata
from napari_smdiffusion.recipes.nearest_patch import nearest_patch
from napari_smdiffusion.widgets.viewer.layers import kind, layer_provenance
from napari_smdiffusion.widgets.viewer.nearest_patch import search_of, show_nearest
from napari_smdiffusion.widgets.viewer.regions import shapes_layers

_SYNTHETIC = layer_metadata({"kind": "synthetic"})


def _found(viewer):
    """Search and show, as the dock does, and return the sentence."""
    search = search_of(viewer)
    return show_nearest(viewer, search, run(nearest_patch(search.patch, search.sources, search.training)))


def _corners(layer, plane, rows, columns):
    """Return the corners of a window in the world of a layer."""
    places = [(y - 0.5, x - 0.5) for y, x in ((rows[0], columns[0]), (rows[1], columns[1]))]
    return [layer.data_to_world((*plane, *place)) for place in places]


def _marked(shapes):
    """Return two opposite corners of the one rectangle of a layer in its world."""
    (corners,) = shapes.data
    return [shapes.data_to_world(corners[k]) for k in (0, 2)]


def test_the_dock_shows_both_patches_and_both_places_until_the_next_search(
    viewer, open_dock, click, storm_layer, storm
):
    made = viewer.add_image(
        np.rot90(storm.pixels[0][20:148, 40:168])[np.newaxis], name="made", metadata=_SYNTHETIC, scale=(1, 20, 20)
    )
    dock = open_dock("Generate images")
    viewer.layers.selection.active = made
    click(dock, dock.nearest)
    generated, nearest = (
        viewer.layers[f"{title}: {of.name}"]
        for title, of in (("generated patch", made), ("nearest training patch", storm_layer))
    )
    assert (kind(generated), kind(nearest)) == ("generated patch", "training patch")
    np.testing.assert_allclose(nearest.data, made.data[0])
    np.testing.assert_allclose(generated.data, made.data[0])
    assert layer_provenance(nearest)["correlation"] > 0.99
    assert "row 20, column 40" in dock.status.text()
    np.testing.assert_array_equal(generated.scale, nearest.scale)
    assert generated.contrast_limits == nearest.contrast_limits
    (top, left), (bottom, right) = generated.extent.world[:, -2:]
    assert nearest.extent.world[:, 0] == pytest.approx((top, bottom))
    assert right < nearest.extent.world[0, 1] < right + 0.2 * (right - left)
    assert "Rectangles mark both places, each at its plane." in dock.status.text()
    assert viewer.layers.selection.active is made
    assert not shapes_layers(viewer)  # they are no regions to train on
    assert dock.pair.isVisible()
    assert [label.text() for label in dock.pair.names] == ["generated patch", "nearest training patch: storm"]
    generated.name = "kept"
    names = [layer.name for layer in viewer.layers]
    click(dock, dock.nearest)
    assert sorted(layer.name for layer in viewer.layers) == sorted([*names, "generated patch: made"])
    assert generated in viewer.layers


def test_rectangles_lie_at_the_planes_and_places_of_moved_and_turned_layers(storm):
    viewer = ViewerModel()
    stack = np.random.default_rng(0).poisson(3.0, (2, 3, 192, 192)).astype(np.float32)
    stack[1, 2] = storm.pixels[0]
    labels = {"axis_labels": ("t", "z", "y", "x"), "units": ("pixel", "um", "um", "um")}
    training = viewer.add_image(stack, name="stack", scale=(1, 0.3, 0.02, 0.02), translate=(0, 1, 2, 3), **labels)
    planes = np.zeros((3, 160, 150), np.float32)
    planes[1] = storm.pixels[0][10:170, 21:171]
    made = viewer.add_image(planes, metadata=_SYNTHETIC, scale=(1, 20, 20), translate=(0, 500, -900), rotate=30)
    viewer.dims.set_point(viewer.dims.ndim - 3, 1)
    sentence = _found(viewer)
    # The centre of the generated image begins at its row 16 and column 11.
    assert "stack, time 1, depth 2, row 26, column 32. It correlates by 1.00; a copy would reach 1." in sentence
    of_generated, of_nearest = (viewer.layers[f"place in {of.name}"] for of in (made, training))
    expected = _corners(made, (1,), (16, 144), (11, 139))
    np.testing.assert_allclose(_marked(of_generated), expected, rtol=1e-6)
    np.testing.assert_allclose(_marked(of_nearest), _corners(training, (1, 2), (26, 154), (32, 160)), rtol=1e-6)
    assert (of_generated.units, of_nearest.units) == (made.units, training.units)


def test_a_result_is_shown_without_a_layer_that_was_removed_meanwhile(storm):
    viewer = ViewerModel()
    training = viewer.add_image(storm.pixels[0], name="storm")
    viewer.add_image(storm.pixels[0][:128, :128], name="made", metadata=_SYNTHETIC)
    search = search_of(viewer)
    found = run(nearest_patch(search.patch, search.sources, search.training))
    viewer.layers.remove(training)
    sentence = show_nearest(viewer, search, found)
    assert "Rectangles" not in sentence
    names = [layer.name for layer in viewer.layers]
    assert names == ["made", "place in made", "generated patch: made", "nearest training patch: storm"]
