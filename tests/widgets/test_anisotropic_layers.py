"""Layers whose pixels are not square: enhanced on square pixels exactly over the layer, and refused elsewhere."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer

from napari_smdiffusion import EnhanceJob, run_job
from napari_smdiffusion.widgets.viewer.enhanced_layers import live_widefield_source, show_enhanced, widefield_pixels
from napari_smdiffusion.widgets.viewer.layer_pixels import layer_pixel_size, set_pixel_size, typed_pixel_size
from napari_smdiffusion.widgets.viewer.layers import add_file_facts, layer_image, size_text


@pytest.fixture
def pixels(widefield):
    """Return (60, 100) widefield pixels."""
    return widefield.pixels[0, :60, :100]


def _extent(layer):
    """Return the corners of a layer, at the edges of its pixels, in its own units."""
    low, high = (np.zeros(2) - 0.5, np.array(layer.data.shape) - 0.5)
    return np.array([layer.data_to_world(low), layer.data_to_world(high)])


@pytest.mark.parametrize(
    "place",
    [
        {"scale": (0.12, 0.06), "translate": (3.0, 5.0), "units": ("um", "um")},
        {"scale": (0.12, 0.06), "rotate": 30, "translate": (3.0, 5.0), "units": ("um", "um")},
        {"scale": (2.0, 1.0)},  # and its pixel size is entered
    ],
)
def test_a_result_lies_over_its_anisotropic_layer(tiny_enhancer, pixels, place):
    viewer = ViewerModel()
    layer = viewer.add_image(pixels, name="cell", **place)
    if "units" not in place:
        set_pixel_size(layer, 60.0)
    assert widefield_pixels(layer) == pytest.approx((120.0, 60.0))
    assert size_text(layer) == "60 × 100, 120 by 60 nm"
    source = live_widefield_source(layer)
    result = run_job(EnhanceJob(tiny_enhancer, source)).images[0].enhancement
    (shown,) = show_enhanced(viewer, layer, result, 4, in_place=False)
    assert layer_pixel_size(shown) == pytest.approx(20.0)
    half = 0.5 * max(layer.scale)  # of a pixel of the layer
    np.testing.assert_allclose(_extent(shown), _extent(layer), atol=half)
    np.testing.assert_allclose(_extent(shown)[0], _extent(layer)[0], atol=1e-9)
    corner = np.array(layer.data_to_world((-0.5, -0.5))) * (1000 if "units" in place else 60)
    assert result.image.origin == pytest.approx(tuple(corner))
    with pytest.raises(ValueError, match="cell has pixels of 120 by 60 nm: resample it"):
        layer_image(layer)


def test_a_part_of_an_anisotropic_layer_has_its_own_corner(pixels):
    layer = ImageLayer(pixels, scale=(120, 60), units=("nm", "nm"), name="cell")
    part = live_widefield_source(layer).crop(slice(10, 40), slice(20, 60))
    assert part.origin == (1200 - 60, 1200 - 30)  # the corner of the first pixel; its centre is at 0


def test_an_anisotropic_layer_without_a_known_size_asks_for_it(pixels):
    layer = ImageLayer(pixels, scale=(2, 1), name="cell")
    with pytest.raises(ValueError, match="cell has pixels of 2 by 1 in no unit of length: enter its pixel size"):
        live_widefield_source(layer)


def test_a_file_with_anisotropic_pixels_is_shown_in_its_proportions(viewer, tmp_path, pixels):
    path = tmp_path / "anisotropic.tif"
    tifffile.imwrite(path, pixels, ome=True, metadata={"PhysicalSizeY": 0.12, "PhysicalSizeX": 0.06})
    (layer,) = viewer.open(str(path), plugin="napari")
    add_file_facts(layer)
    assert tuple(layer.scale) == (2.0, 1.0)
    assert typed_pixel_size(layer) == pytest.approx(60.0)
    assert widefield_pixels(layer) == pytest.approx((120.0, 60.0))
    set_pixel_size(layer, 80.0)  # replaces both sides, as --pixel-size does
    assert widefield_pixels(layer) == layer_pixel_size(layer) == 80.0
    assert tuple(layer.scale) == (1.0, 1.0)
    set_pixel_size(layer, 90.0)
    assert tuple(layer.scale) == (1.0, 1.0)


def test_the_dock_tells_that_anisotropic_pixels_are_resampled(viewer, open_dock, click, pixels):
    layer = viewer.add_image(pixels, name="cell", scale=(120, 60), units=("nm", "nm"))
    dock = open_dock("Enhance widefield")
    assert dock.layer_list.layers() == [layer]
    dock.model.choose("mitochondria")
    assert "cell: resampled from 120 by 60 to 80 nm." in dock.choice.fit.text()
    assert not dock.layer_list.pixel_size.isVisible()
    assert "widefield_source(viewer.layers['cell'])" in dock.code()
    dock.in_place.setChecked(True)
    click(dock, dock.run_button)
    assert "not square cannot be enhanced in place" in dock.status.text()
    dock.new_layer.setChecked(True)
    click(dock, dock.run_button)
    assert "cell is resampled from 120 by 60 to 80 nm, because its pixels are not square." in dock.status.text()
    assert layer_pixel_size(viewer.layers["enhanced ×4: cell"]) == pytest.approx(20.0)
