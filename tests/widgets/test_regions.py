"""Rectangles of a Shapes layer as regions: their pixels, the row that lists them, and the docks that use them."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_smdiffusion import InputError
from napari_smdiffusion.widgets.viewer.layers import layer_image
from napari_smdiffusion.widgets.viewer.regions import SEEN, WHOLE, Region, rectangles_in, widefield_parts, windows_in


def _box(top, left, bottom, right):
    return [[top, left], [top, right], [bottom, right], [bottom, left]]


def _shapes(viewer, *boxes, **place):
    return viewer.add_shapes([_box(*box) for box in boxes], shape_type="rectangle", name="Shapes", **place)


def test_a_rectangle_is_the_pixels_whose_centres_lie_in_it_also_in_other_units_and_in_stacks():
    viewer = ViewerModel()
    place = {"scale": (1, 20, 20), "translate": (0, 1000, 0), "units": ("pixel", "nm", "nm")}
    layer = viewer.add_image(np.zeros((3, 100, 120)), **place)
    # Two rectangles with a common edge share no pixel.
    shapes = _shapes(viewer, (1.2, 0.4, 1.61, 0.9), (1.61, 0.4, 5, 1), units=("um", "um"))
    inside = Region("inside", shapes)
    assert rectangles_in(viewer, inside, layer) == ((10, 31, 20, 45), (31, 100, 20, 50))
    assert rectangles_in(viewer, WHOLE, layer) == ()
    shapes.data = [_box(0, 0, 0.5, 1)]
    with pytest.raises(InputError, match=r"A rectangle of Shapes lies beside .*, or covers fewer than 16"):
        windows_in(viewer, inside, layer)
    assert windows_in(viewer, Region("outside", shapes), layer) == []
    shapes.data = []
    with pytest.raises(InputError, match="Shapes has no rectangle: draw one"):
        windows_in(viewer, inside, layer)
    viewer.layers.remove(shapes)
    with pytest.raises(InputError, match="The Shapes layer of the region was removed"):
        windows_in(viewer, inside, layer)


def test_a_turned_rectangle_is_refused_and_one_turned_with_its_layer_is_not():
    viewer = ViewerModel()
    place = {"scale": (2, 2), "rotate": 10, "translate": (5, 7)}
    layer = viewer.add_image(np.zeros((100, 120)), name="cell", **place)
    shapes = _shapes(viewer, (10, 20, 60, 90), **place)
    assert rectangles_in(viewer, Region("inside", shapes), layer) == ((10, 60, 20, 90),)
    straight = _shapes(viewer, (10, 20, 60, 90))
    with pytest.raises(InputError, match="is turned against cell: draw one along its rows and columns"):
        windows_in(viewer, Region("inside", straight), layer)


def test_each_rectangle_is_a_part_at_its_place():
    viewer = ViewerModel()
    pixels = np.random.default_rng(0).random((100, 120))
    layer = viewer.add_image(pixels, scale=(80, 80), units=("nm", "nm"))
    shapes = _shapes(viewer, (0, 0, 1600, 1600), (1600, 1600, 4000, 4000), units=("nm", "nm"))
    first, second = (source.read() for source in widefield_parts(viewer, Region("inside", shapes), [layer]))
    np.testing.assert_allclose(second.pixels[0], pixels[20:50, 20:50], rtol=1e-6)
    assert second.origin == (20 * 80 - 40, 20 * 80 - 40)
    assert (first.provenance.window, second.provenance.window) == ((0, 20, 0, 20), (20, 50, 20, 50))


def test_the_row_follows_the_shapes_layers_and_never_falls_back_to_the_whole_image(viewer, open_dock, storm_layer):
    dock = open_dock("Train diffusion model")
    box = dock.region.box

    def texts():
        return [box.itemText(i) for i in range(box.count())]

    assert texts() == ["whole image", "what I see"]
    shapes = viewer.add_shapes(name="area", units=("nm", "nm"))
    assert texts() == ["whole image", "what I see"]
    shapes.add_rectangles([_box(0, 0, 1280, 3840)])
    assert texts() == ["whole image", "what I see", "rectangle of area", "leave out: rectangle of area"]
    box.setCurrentIndex(3)
    shapes.name = "corner"
    shapes.add_ellipses([_box(0, 0, 1280, 3840)])
    shapes.add_rectangles([_box(3000, 0, 3840, 1000)])
    assert box.currentText() == "leave out: 2 rectangles of corner"
    viewer.layers.remove(shapes)
    with pytest.raises(InputError, match="was removed: choose another region"):
        dock.job()
    dock.region.choose(SEEN)
    assert texts() == ["whole image", "what I see"]


def test_a_rectangle_is_held_out_of_a_training_or_trained_on(viewer, open_dock, storm_layer):
    shapes = _shapes(viewer, (1280, 1600, 2560, 3840), units=("nm", "nm"))
    dock = open_dock("Train diffusion model")
    dock.advanced.show_values({"patch": 64})
    dock.region.choose(Region("outside", shapes))
    held_out = np.zeros((192, 192), bool)
    held_out[64:128, 80:192] = True
    seen = np.zeros((192, 192), int)
    for source in dock.job().images:
        rows, columns = source.window
        seen[rows, columns] += 1
        assert source.read().provenance.window == (rows.start, rows.stop, columns.start, columns.stop)
    np.testing.assert_array_equal(seen, ~held_out)
    dock.region.choose(Region("inside", shapes))
    (source,) = dock.job().images
    np.testing.assert_array_equal(source.read().pixels[0], layer_image(storm_layer).pixels[0, 64:128, 80:192])
    shapes.data = [_box(9000, 9000, 9900, 9900)]
    dock.region.choose(Region("outside", shapes))
    with pytest.raises(InputError, match="nothing would be left out"):
        dock.job()


def test_several_rectangles_of_a_layer_are_enhanced_one_by_one(viewer, open_dock, click, my_enhancer, widefield):
    layer = viewer.add_image(widefield.pixels[0], name="cell", scale=(80, 80), units=("nm", "nm"))
    shapes = _shapes(viewer, (0, 0, 1600, 1600), (3200, 1600, 4800, 5600), units=("nm", "nm"))
    dock = open_dock("Enhance widefield")
    dock.model.choose(my_enhancer)
    dock.layer_list.choose([layer])
    dock.region.choose(Region("inside", shapes))
    click(dock, dock.run_button)
    first, second = (each for each in viewer.layers if each.name.startswith("enhanced"))
    assert (first.data.shape, second.data.shape) == ((80, 80), (80, 200))
    # The corner of the result is that of the rectangle's first pixel.
    np.testing.assert_allclose(np.array(second.translate) - 10, (40 * 80 - 40, 20 * 80 - 40))
    assert layer_image(second).provenance.window == (40, 60, 20, 70)
