"""The Enhance dock while it works: tiles as they come, the part in view, deleted layers, and the end."""

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication

from napari_smdiffusion import load_enhancer
from napari_smdiffusion.widgets.frame import dock as frame
from napari_smdiffusion.widgets.viewer.layers import kind, layer_image
from napari_smdiffusion.widgets.viewer.regions import SEEN
from napari_smdiffusion.widgets.viewer.view import _seen, scene_camera

from .conftest import PATIENCE


@pytest.fixture
def coarse(viewer, widefield):
    """Return a widefield layer of 150 × 131 pixels of 80 nm, rotated and shifted."""
    return viewer.add_image(
        widefield.pixels[0], name="cell", scale=(80, 80), translate=(1040, 540), rotate=10, units=("nm", "nm")
    )


@pytest.fixture
def dock(open_dock, my_enhancer, coarse):
    dock = open_dock("Enhance widefield")
    dock.model.choose(my_enhancer)
    return dock


@pytest.fixture
def film(viewer, widefield):
    """Return a stack of many planes, which takes seconds."""
    return viewer.add_image(np.concatenate([widefield.pixels] * 3), name="film", scale=(1, 80, 80))


def _filling(viewer):
    return [layer for layer in viewer.layers if layer.name == "enhancing: film"]


def _corner(layer, pixel):
    """Return a pixel's place in world coordinates."""
    return layer.data_to_world((0,) * (layer.ndim - 2) + tuple(pixel))[-2:]


def test_tiles_are_shown_as_they_come(viewer, dock, click, qtbot, film, widefield):
    dock.layer_list.choose([film])
    dock.advanced.show_values({"tile": 64})
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: bool(_filling(viewer)) and " of " in dock.progress.format(), timeout=PATIENCE)
    (layer,) = _filling(viewer)
    assert "tile " in dock.progress.format()
    assert 0 < np.count_nonzero(layer.data.any(axis=(1, 2))) < 3
    np.testing.assert_allclose(_corner(layer, (-0.5, -0.5)), _corner(film, (-0.5, -0.5)))
    np.testing.assert_allclose(_corner(layer, (599.5, 523.5)), _corner(film, (149.5, 130.5)))
    assert kind(layer) == "enhanced"
    with pytest.raises(ValueError, match="still being computed: wait"):
        layer_image(layer)
    assert layer not in dock.layer_list.layers()
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert viewer.layers[-1] is layer
    assert layer.name == "enhanced ×4: film"
    assert len(layer_image(layer)) == 3
    expected = load_enhancer("tiny").enhance(widefield).pixels[0]
    np.testing.assert_allclose(layer.data[2], expected, rtol=1e-2, atol=0.02 * expected.max())


@pytest.mark.parametrize("deleted", ["result", "stopped"])
def test_deleting_the_unfinished_result_stops_and_stopping_removes_it(viewer, dock, click, qtbot, film, deleted):
    dock.layer_list.choose([film])
    dock.advanced.show_values({"tile": 64})
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: bool(_filling(viewer)), timeout=PATIENCE)
    if deleted == "result":
        viewer.layers.remove(_filling(viewer)[0])
    else:
        click(dock, dock.stop_button, wait=False)
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert [layer.name for layer in viewer.layers] == ["cell", "film"]
    assert ("was deleted, so the work was stopped" in dock.status.text()) == (deleted == "result")


def test_the_visible_part_is_enhanced_at_its_place(viewer, dock, click, coarse, widefield):
    camera = scene_camera(viewer)
    camera.center = (*camera.center[:-2], *_corner(coarse, (75, 65)))
    camera.zoom = 1.0  # pixels of the canvas per nm
    dock.region.choose(SEEN)
    click(dock, dock.run_button)
    first = viewer.layers[-1]
    assert first.data.shape == (256, 256)  # 64 widefield pixels, the least
    (top, _), (bottom, _) = _seen(viewer)  # a nm per pixel of the canvas now
    camera.zoom = (bottom - top) / (100 * 80)  # 100 widefield pixels of 80 nm
    click(dock, dock.copy_button)
    click(dock, dock.run_button)
    part = viewer.layers[-1]
    assert 256 < part.data.shape[0] < 600
    # Each corner is at the same corner of the widefield part.
    (window,) = [source.window for source in dock.job().widefield]
    rows, columns = window
    shape = np.array(part.data.shape)
    np.testing.assert_allclose(_corner(part, (-0.5, -0.5)), _corner(coarse, (rows.start - 0.5, columns.start - 0.5)))
    np.testing.assert_allclose(_corner(part, shape - 0.5), _corner(coarse, (rows.stop - 0.5, columns.stop - 0.5)))
    expected = load_enhancer("tiny").enhance(widefield.crop(rows, columns)).pixels[0]
    np.testing.assert_allclose(part.data, expected, rtol=1e-4, atol=1e-3)
    exec(QGuiApplication.clipboard().text(), {})
    copied = viewer.layers[-1]
    np.testing.assert_allclose(copied.data, part.data, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(copied.translate, part.translate)
    camera.center = (*camera.center[:-2], 1e6, 1e6)
    click(dock, dock.run_button)
    assert "cell is outside of the view" in dock.status.text()
    dock.in_place.setChecked(True)
    click(dock, dock.run_button)
    assert "cannot be enhanced in place" in dock.status.text()


def test_the_end_of_long_work_is_a_notification(viewer, dock, click, monkeypatch):
    shown = []
    monkeypatch.setattr(frame, "show_info", shown.append)
    click(dock, dock.run_button)
    assert not shown
    monkeypatch.setattr(frame, "LONG", 0.0)
    click(dock, dock.run_button)
    assert shown == ["1 of 1 layers enhanced ×4."]


def test_restoring_hides_the_maps_of_the_enhanced_image(viewer, dock, click, coarse):
    dock.in_place.setChecked(True)
    dock.uncertainty.setChecked(True)
    assert not dock.restore.isEnabled()
    click(dock, dock.run_button)
    assert dock.restore.isEnabled()
    assert not viewer.layers["uncertainty: cell"].visible
    viewer.layers["uncertainty: cell"].visible = True
    dock.maps.box.setCurrentText("uncertainty")
    click(dock, dock.restore)
    assert not viewer.layers["uncertainty: cell"].visible
    assert not any(layer.name.startswith("relative") for layer in viewer.layers)
    assert not dock.restore.isEnabled()
    assert dock.status.text() == "Restored: cell. The maps of the enhanced image are hidden."
