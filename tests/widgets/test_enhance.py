"""The Enhance dock, used by mouse clicks."""

import dataclasses
import json

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QPushButton
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import Enhancement, Image, load_enhancer, simulate, write_image
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.enhance.facts import FEATURES, Familiar
from napari_smdiffusion.widgets.frame.remembered import remember
from napari_smdiffusion.widgets.parts.warnings import ResultWarnings
from napari_smdiffusion.widgets.viewer.enhanced_layers import original, show_enhanced
from napari_smdiffusion.widgets.viewer.layers import kind

from .conftest import PATIENCE


@pytest.fixture
def widefield(widefield):
    """Return a part of the widefield image, 80 × 70 pixels of 80 nm."""
    return widefield.crop(slice(0, 80), slice(0, 70))


@pytest.fixture
def coarse(viewer, widefield):
    """Return a widefield layer of 80 × 70 pixels of 80 nm, rotated and shifted."""
    return viewer.add_image(
        widefield.pixels[0], name="cell", scale=(80, 80), translate=(1040, 540), rotate=10, units=("nm", "nm")
    )


@pytest.fixture
def dock(open_dock, my_enhancer, coarse):
    dock = open_dock("Enhance widefield")
    dock.model.choose(my_enhancer)
    return dock


def _corners(layer, shape):
    """Return the outer corners of the first and last pixel in world coordinates."""
    low, high = np.full(2, -0.5), np.array(shape[-2:]) - 0.5
    return np.array([layer.data_to_world(corner)[-2:] for corner in (low, high)])


def test_a_new_layer_is_exactly_on_top_of_its_input(viewer, dock, click, coarse, widefield):
    click(dock, dock.run_button)
    enhanced = viewer.layers[-1]
    assert enhanced.data.shape == (320, 280)
    np.testing.assert_allclose(_corners(enhanced, (320, 280)), _corners(coarse, (80, 70)))
    assert kind(enhanced) == "enhanced"
    assert "enhanced" in enhanced.name
    expected = load_enhancer("tiny").enhance(widefield)
    np.testing.assert_allclose(enhanced.data, expected.pixels[0], rtol=1e-4, atol=1e-3)


def test_a_layer_is_enhanced_in_place_and_restored(viewer, dock, click, coarse, widefield):
    before = _corners(coarse, (80, 70))
    limits = list(coarse.contrast_limits)
    dock.in_place.setChecked(True)
    click(dock, dock.run_button)
    assert len(viewer.layers) == 1
    assert coarse.data.shape == (320, 280)
    assert coarse.name == "enhanced ×4: cell"
    np.testing.assert_allclose(_corners(coarse, (320, 280)), before)
    assert np.shares_memory(original(coarse)["source"].pixels, original(coarse)["data"])  # stored once
    enhanced = coarse.data.copy()
    coarse.name = "renamed"
    viewer.add_image(np.eye(64), name="finer", scale=(20, 20), units=("nm", "nm"))
    assert dock.layer_list.layers() == [coarse]  # ticked by itself: its original is a widefield image
    click(dock, dock.run_button)  # enhances the original again
    np.testing.assert_allclose(coarse.data, enhanced)
    assert dock.training.factor.values()["upscale"] == 4  # from the original's pixels to the finer ones
    np.testing.assert_allclose(_corners(coarse, (320, 280)), before)
    click(dock, dock.restore)
    np.testing.assert_array_equal(coarse.data, widefield.pixels[0])
    np.testing.assert_allclose(_corners(coarse, (80, 70)), before)
    assert list(coarse.contrast_limits) == limits
    assert coarse.metadata == {}
    assert coarse.name == "renamed"
    assert not dock.restore.isEnabled()  # there is nothing to restore


def test_the_enhancer_is_chosen_by_pixel_size_and_structure(viewer, open_dock, coarse, click, qtbot):
    dock = open_dock("Enhance widefield")
    assert dock.model.model() is None  # what the layer shows is unknown
    assert "Choose the structure that cell shows" in dock.choice.fit.text()
    click(dock, dock.run_button)
    assert "Choose the structure that cell shows" in dock.status.text()
    assert len(viewer.layers) == 1

    dock.choice.structure.setCurrentText("mitochondria")
    dock.choice.structure.activated.emit(dock.choice.structure.currentIndex())
    assert dock.model.model() == "mitochondria"  # ×4, for 80 nm
    assert dock.choice.fit.text() == ""
    assert "structure: mitochondria; widefield pixels: 80 nm" in dock.choice.card.brief.text()
    assert not dock.choice.card.rows.isVisible()
    dock.choice.card.more.click()
    assert "not for: Other structures" in dock.choice.card.rows.text()
    assert coarse.metadata["napari_smdiffusion"]["provenance"]["structure"] == "mitochondria"

    coarse.scale = (108, 108)
    assert dock.model.model() == "mitochondria-x5"  # for 100 nm
    assert dock.choice.fit.text() == "cell: resampled from 108 to 100 nm."
    dock.model.choose("microtubules")  # by hand
    assert "resampled from 108 to 97 nm" in dock.choice.fit.text()
    wrong = "draws microtubules into images of mitochondria"
    qtbot.waitUntil(lambda: wrong in dock.choice.familiarity.text(), timeout=PATIENCE)
    coarse.scale = (250, 250)
    assert "pixels of 250 nm do not fit" in dock.choice.fit.text()
    click(dock, dock.run_button)
    assert "cell has pixels of 250 nm, but microtubules was trained for 97 nm" in dock.status.text()


def test_the_structure_is_asked_for_once_for_each_layer(viewer, open_dock, coarse):
    dock = open_dock("Enhance widefield")
    dock.choice.structure.setCurrentText("microtubules")
    dock.choice.structure.activated.emit(dock.choice.structure.currentIndex())
    assert dock.model.model() == "microtubules-x4"
    other = viewer.add_image(coarse.data, name="other", scale=(80, 80), units=("nm", "nm"))
    dock.layer_list.choose([other])
    assert dock.model.model() is None  # what one layer shows says nothing of another
    dock.layer_list.choose([coarse])
    assert dock.model.model() == "microtubules-x4"
    # Other programs use the same words for other things.
    viewer.add_image(coarse.data, name="foreign", metadata={"structure": "mitochondria", "napari_smdiffusion": 3})
    dock.layer_list.choose([viewer.layers["foreign"]])
    assert dock.model.model() is None
    viewer.layers["foreign"].metadata = {"napari_smdiffusion": {"provenance": ["microtubules"]}}
    dock.choice.structure.setCurrentText("another structure")
    dock.choice.structure.activated.emit(dock.choice.structure.currentIndex())
    assert dock.model.model() is None
    assert "No enhancer here fits images of another structure" in dock.choice.fit.text()


def test_stack_with_maps(viewer, dock, click, widefield):
    stack = viewer.add_image(np.concatenate([widefield.pixels] * 2), name="stack", scale=(1, 80, 80))
    dock.layer_list.choose([stack])
    dock.uncertainty.setChecked(True)
    dock.error_map.setChecked(True)
    click(dock, dock.run_button)
    names = [layer.name for layer in viewer.layers]
    assert names[-3:] == ["enhanced ×4: stack", "uncertainty: stack", "error map: stack"]
    enhanced, spread, error = list(viewer.layers)[-3:]
    assert enhanced.data.shape == spread.data.shape == (2, 320, 280)
    assert error.data.shape == (2, 80, 70)
    for layer in (enhanced, spread, error):
        np.testing.assert_allclose(_corners3(layer), _corners3(stack))
    assert "RSP" in dock.status.text()


def _corners3(layer):
    low, high = np.array([0, -0.5, -0.5]), np.array([0, *(n - 0.5 for n in layer.data.shape[1:])])
    return np.array([layer.data_to_world(corner) for corner in (low, high)])


def test_parts_of_an_enhanced_layer_cannot_be_restored(viewer, dock, click, widefield):
    stack = viewer.add_image(
        np.stack([widefield.pixels[0]] * 2), name="stack", scale=(1, 80, 80), units=("px", "nm", "nm")
    )
    dock.layer_list.choose([stack])
    dock.in_place.setChecked(True)
    click(dock, dock.run_button)
    # Split Stack and projections copy the metadata like this.
    part = viewer.add_image(stack.data[0], name="part", scale=stack.scale[1:], metadata=dict(stack.metadata))
    assert original(stack) is not None
    assert original(part) is None
    dock.layer_list.choose([])
    click(dock, dock.restore)
    assert part.data.shape == (320, 280)
    assert stack.data.shape == (2, 80, 70)


def test_several_layers_at_once(viewer, dock, click, widefield, coarse):
    other = viewer.add_image(widefield.pixels[0, :60, :60], name="other", scale=(80, 80), units=("nm", "nm"))
    dock.layer_list.choose([coarse, other])
    click(dock, dock.run_button)
    shapes = {layer.name: layer.data.shape for layer in viewer.layers}
    assert (shapes["enhanced ×4: cell"], shapes["enhanced ×4: other"]) == ((320, 280), (240, 240))


def test_the_factor_is_suggested_from_the_pixel_sizes(dock, storm_layer, coarse):
    dock.model.choose("")
    dock.training.sources.choose([storm_layer])  # 20 nm
    dock.layer_list.choose([coarse])  # 80 nm
    assert dock.training.factor.values()["upscale"] == 4
    storm_layer.scale = (40, 40)
    dock.layer_list.choose([coarse])
    dock.layer_list.changed.emit()
    assert dock.training.factor.values()["upscale"] == 2


def test_an_entered_factor_stays_and_a_factor_of_one_is_not_suggested(viewer, dock, storm_layer, coarse):
    dock.model.choose("")
    upscale = dock.training.factor
    assert upscale.values()["upscale"] == 4
    upscale.show_values({"upscale": 2})
    coarse.name = "renamed"
    viewer.add_image(np.eye(64), name="of a third size", scale=(50, 50), units=("nm", "nm"))
    dock.layer_list.choose([coarse])
    assert upscale.values()["upscale"] == 2
    dock.layer_list.choose([storm_layer])  # a factor of 1
    assert upscale.values()["upscale"] == 2


def test_the_pixel_sizes_take_precedence_over_a_remembered_factor(viewer, open_dock, coarse, storm_layer):
    remember("enhance", {"model": "", "training": {"upscale": 2}})
    assert open_dock("Enhance widefield").training.factor.values()["upscale"] == 4


def test_training_layers_are_not_ticked_as_widefield_layers(viewer, open_dock, storm_layer, my_enhancer):
    dock = open_dock("Enhance widefield")
    dock.model.choose("")
    assert dock.training.sources.layers() == [storm_layer]
    assert dock.layer_list.layers() == []
    dock.model.choose(my_enhancer)
    assert dock.layer_list.layers() == [storm_layer]


def test_a_trained_enhancer_is_remembered_with_its_settings(viewer, open_dock, click, storm_layer, qtbot):
    dock = open_dock("Enhance widefield")
    dock.model.choose("")
    form = dock.training
    form.time.set_minutes(30)
    form.advanced.show_values({"channels": 8, "patch": 64, "batch": 1})
    form.simulated.setCurrentText("microtubules")
    form.simulated_weight.setValue(3)
    form.name.setText("for my scope")
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: "/" in dock.progress.format(), timeout=PATIENCE)
    click(dock, dock.stop_button)
    viewer.window.remove_dock_widget(dock)
    again = open_dock("Enhance widefield")
    assert again.choice.preferred == "for my scope"  # chosen again where it fits
    assert again.training.simulated.currentText() == "microtubules"
    assert again.training.simulated_weight.value() == 3
    assert again.training.name.text() == "for my scope 2"


def test_training_on_real_pairs(viewer, dock, click, coarse):
    truth = simulate("microtubules", size=256, pixel_size=20.0, seed=3, organisation="random").pixels[0]
    place = {"units": ("nm", "nm")}
    wide = viewer.add_image(gaussian_filter(truth, 4)[2::4, 2::4], name="wide", scale=(80, 80), **place)
    part = viewer.add_image(truth[40:240, 20:180], name="part", scale=(20, 20), **place)
    dock.model.choose("")
    form = dock.training
    form.sources.choose([part])
    form.time.set_minutes(0.02)
    form.factor.show_values({"upscale": 4})
    form.advanced.show_values({"channels": 8, "patch": 80, "batch": 2})
    form.name.setText("of pairs")
    click(dock, form.pairs)
    assert not any(widget.isEnabled() for widget in (form.fit, form.simulated, form.optics))
    dock.layer_list.choose([wide, coarse])
    click(dock, dock.run_button)
    assert "1 super-resolution and 2 widefield layers are ticked: tick one" in dock.status.text()
    dock.layer_list.choose([wide])
    click(dock, dock.run_button)
    assert "part shows rows 10 to 59 and columns 5 to 44 of wide." in dock.status.text()
    assert load_enhancer("of pairs").facts.trained_on == "registered pairs"
    assert viewer.layers[-1].name == "enhanced ×4: wide"
    dock.model.choose("")
    show_enhanced(viewer, wide, Enhancement(Image(truth, 20.0)), 4, in_place=True)
    dock.layer_list.choose([wide])
    click(dock, dock.copy_button)
    code = QGuiApplication.clipboard().text()
    assert "widefield=(widefield_source(viewer.layers[" in code
    exec(code, {})
    assert load_enhancer("of pairs 2").facts.trained_on == "registered pairs"
    click(dock, form.only_sharp)
    assert form.fit.isEnabled()


def test_an_enhancer_is_trained_and_applied_in_one_run(viewer, dock, click, storm_layer, coarse):
    dock.model.choose("")
    assert dock.training.isVisible()
    dock.training.sources.choose([storm_layer])
    dock.training.simulated.setCurrentText("microtubules")
    dock.training.time.set_minutes(0.02)
    dock.training.advanced.show_values({"channels": 16, "patch": 64})
    dock.training.name.setText("mine")
    dock.training.fit.setChecked(True)
    dock.layer_list.choose([])
    click(dock, dock.run_button)
    assert "is to be fitted to it" in dock.status.text()
    dock.layer_list.choose([coarse])
    dock.training.factor.show_values({"upscale": 4})
    click(dock, dock.run_button)
    assert "The enhancer mine is trained, but in only" in dock.status.text()
    assert dock.view.plot._steps[0] == 1
    assert dock.view.previews.isVisible()
    assert dock.view.previews._previews[-1].images.shape[0] == 4
    assert not dock.view.go_on.isVisible()
    low, high = load_enhancer("mine").microscope.photons_range
    assert high == pytest.approx(4 * low)
    facts = load_enhancer("mine").facts
    assert [image.kind for image in facts.training_data] == ["experimental", "simulated"]
    assert facts.weights == (1.0, 1.0)
    assert dock.model.model() == "mine"
    assert not dock.training.isVisible()
    assert viewer.layers["enhanced ×4: cell"].data.shape == (320, 280)


def test_stop_keeps_an_enhancer_in_training(dock, click, qtbot, storm_layer, computed):
    dock.model.choose("")
    dock.training.sources.choose([storm_layer])
    dock.training.advanced.show_values({"channels": 16, "patch": 64})
    dock.training.name.setText("mine")
    dock.training.time.set_minutes(30)
    dock.layer_list.choose([])
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: "/" in dock.progress.format(), timeout=PATIENCE)
    click(dock, dock.stop_button, wait=False)
    computed.stopped.set()
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert load_enhancer("mine").facts.steps >= 1
    # The current step, perhaps a preview, and a short calibration: 12 patches, 4 at a time, in 8 symmetries. A full
    # calibration of 80 patches takes 160 predictions.
    assert computed.training <= 1
    assert computed.using <= 1 + 12 // 4 * 8


@pytest.mark.parametrize("in_place", [False, True])
def test_copied_code_does_the_same(viewer, dock, click, coarse, in_place):
    dock.uncertainty.setChecked(True)
    dock.error_map.setChecked(True)
    click(dock, dock.run_button)
    names = ["enhanced ×4: cell", "uncertainty: cell", "error map: cell"]
    expected = [viewer.layers[name].data.copy() for name in names]
    (dock.in_place if in_place else dock.new_layer).setChecked(True)
    dock.layer_list.choose([coarse])
    click(dock, dock.copy_button)
    before = list(viewer.layers)
    exec(QGuiApplication.clipboard().text(), {})
    added = [layer for layer in viewer.layers if layer not in before]
    shown = [coarse, *added] if in_place else added
    for layer, pixels in zip(shown, expected, strict=True):
        np.testing.assert_allclose(layer.data, pixels, rtol=1e-4, atol=1e-3)


def test_copied_code_trains_too(viewer, dock, click, storm_layer, coarse):
    dock.model.choose("")
    dock.training.sources.choose([storm_layer])
    dock.training.simulated.setCurrentText("mitochondria")
    dock.training.time.set_minutes(0.01)
    dock.training.advanced.show_values({"channels": 16, "patch": 64})
    dock.training.name.setText("by code")
    dock.training.fit.setChecked(True)
    dock.layer_list.choose([coarse])
    click(dock, dock.copy_button)
    exec(QGuiApplication.clipboard().text(), {})
    assert [image.kind for image in load_enhancer("by code").facts.training_data] == ["experimental", "simulated"]
    dock.training.fit.setChecked(False)
    dock.layer_list.choose([])
    click(dock, dock.copy_button)
    assert "show_enhanced" not in QGuiApplication.clipboard().text()  # no layer to enhance


def test_an_enhancer_starts_from_another(viewer, dock, click, storm_layer, coarse):
    dock.model.choose("")
    form = dock.training
    assert form.start_from.model() == ""
    form.sources.choose([storm_layer])
    form.time.set_minutes(0.01)
    form.advanced.show_values({"patch": 64})
    form.factor.show_values({"upscale": 4})
    form.start_from.choose("tiny")
    form.name.setText("from tiny")
    dock.layer_list.choose([coarse])
    click(dock, dock.run_button)
    assert load_enhancer("from tiny").facts.started_from == "tiny"
    assert form.start_from.box.findText("from tiny", Qt.MatchFlag.MatchContains) >= 0
    dock.model.choose("")
    click(dock, dock.copy_button)
    exec(QGuiApplication.clipboard().text(), {"__name__": "code"})
    assert load_enhancer("from tiny 2").facts.started_from == "tiny"
    form.name.setText("of another factor")
    form.factor.show_values({"upscale": 5})
    click(dock, dock.run_button)
    assert "tiny enlarges 4 times, and the setting is 5 times" in dock.status.text()
    assert [layer.name for layer in viewer.layers][2:] == ["enhanced ×4: cell", "enhanced ×4: cell [1]"]
    assert dock.settings()["training"]["start"] == "tiny"


def test_a_run_without_layers_is_refused(dock, click):
    dock.layer_list.choose([])
    click(dock, dock.run_button)
    assert dock.status.text() == "Choose at least one widefield layer to enhance."
    dock.model.choose("")
    dock.training.sources.choose([])
    click(dock, dock.run_button)
    assert "or a simulated structure" in dock.status.text()


def test_a_layer_that_cannot_be_enhanced_does_not_stop_the_others(viewer, dock, click, coarse):
    blank = viewer.add_image(np.zeros((40, 40), np.float32), name="blank", scale=(80, 80), units=("nm", "nm"))
    dock.layer_list.choose([blank, coarse])
    click(dock, dock.run_button)
    assert "enhanced ×4: cell" in {layer.name for layer in viewer.layers}
    assert "1 of 2 layers enhanced" in dock.status.text()
    assert "All pixels of blank" in dock.status.text()


def test_a_layer_whose_file_is_missing_does_not_stop_the_training(viewer, dock, click, storm_layer, coarse):
    import dask.array

    unplugged = []

    def read_block(block):
        if unplugged:
            raise FileNotFoundError(2, "No such file or directory", "drive/cell.zarr")
        return block

    lazy = dask.array.zeros((64, 64), np.float32).map_blocks(read_block, dtype=np.float32)
    layer = viewer.add_image(lazy, name="lost", scale=(80, 80), units=("nm", "nm"), contrast_limits=(0, 1))
    dock.model.choose("")
    dock.training.name.setText("new one")
    dock.training.sources.choose([storm_layer])
    dock.training.time.set_minutes(0.02)
    dock.training.advanced.show_values({"channels": 8, "patch": 64})
    dock.training.factor.show_values({"upscale": 4})
    dock.layer_list.choose([layer, coarse])
    unplugged.append(True)
    click(dock, dock.run_button)
    assert dock.model.model() == "new one"
    assert "1 of 2 layers enhanced" in dock.status.text()
    lost = "drive/cell.zarr cannot be used (there is no such file or folder): check the name."
    assert lost in dock.status.text()
    dock.layer_list.choose([layer])
    click(dock, dock.run_button)
    assert dock.status.text() == lost


def test_an_image_is_kept_if_its_error_map_fails(viewer, dock, click, monkeypatch):
    def fail(*_):
        raise MemoryError("There is no room for the error map.")

    monkeypatch.setattr("napari_smdiffusion.report.enhanced.error_map", fail)
    dock.error_map.setChecked(True)
    click(dock, dock.run_button)
    assert [layer.name for layer in viewer.layers] == ["cell", "enhanced ×4: cell"]
    assert "1 of 1 layers enhanced" in dock.status.text()
    assert "no room for the error map" in dock.status.text()


def test_an_entered_pixel_size_can_be_corrected(viewer, dock, widefield, qtbot):
    from napari_smdiffusion.widgets.viewer.layer_pixels import layer_pixel_size

    layer = viewer.add_image(widefield.pixels[0], name="plain")
    dock.layer_list.choose([layer])
    boxes = dock.layer_list
    boxes.pixel_size.setValue(800)
    boxes.pixel_size.editingFinished.emit()
    assert layer_pixel_size(layer) == 800
    assert not boxes.pixel_size.isVisible()
    row = next(i for i in range(boxes.list.count()) if boxes.list.item(i).text().startswith("plain"))
    boxes.list.setCurrentRow(row)
    assert boxes.pixel_size.isVisible()
    assert boxes.pixel_size.value() == 800
    boxes.pixel_size.setValue(80)
    boxes.pixel_size.editingFinished.emit()
    assert layer_pixel_size(layer) == 80


def test_the_final_status_repeats_all_notes(viewer, dock, click, widefield, coarse):
    path = user_folder() / "enhancer" / "tiny" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "calibration": None}))
    coarser = viewer.add_image(widefield.pixels[0], name="coarser", scale=(100, 100), units=("nm", "nm"))
    dock.uncertainty.setChecked(True)
    dock.layer_list.choose([coarse, coarser])
    click(dock, dock.run_button)
    result, *notes = dock.status.text().splitlines()
    assert result == "2 of 2 layers enhanced ×4."
    # A network with random weights explains no image, and leaves a grid.
    notes = [note for note in notes if not note.startswith("The result ")]
    assert sorted(note[:15] for note in notes) == ["coarser is resa", "tiny has no cal"]  # once for both layers
    dock.uncertainty.setChecked(False)
    dock.layer_list.choose([coarse])
    click(dock, dock.run_button)
    result, doubt, grid = dock.status.text().splitlines()
    assert result == "1 of 1 layers enhanced ×4."
    assert doubt.startswith("The result does not explain")
    assert grid.startswith("The result of cell has a grid")


def test_a_stop_after_the_last_tile_keeps_the_image(viewer, dock, click, monkeypatch):
    from napari_smdiffusion.enhance.applying import enhance_steps

    def stopped_late(*arguments, **options):
        enhancement = yield from enhance_steps(*arguments, **options)
        dock.background.stop()
        return enhancement

    monkeypatch.setattr("napari_smdiffusion.enhance.applying.enhance_steps", stopped_late)
    dock.error_map.setChecked(True)
    click(dock, dock.run_button)
    assert [layer.name for layer in viewer.layers] == ["cell", "enhanced ×4: cell"]
    assert "1 of 1 layers enhanced" in dock.status.text()


def test_a_missing_enhancer_starts_no_training(dock, click):
    folder = user_folder() / "enhancer" / "tiny"
    folder.rename(folder.with_name(".away"))
    dock.model.refresh()
    assert dock.model.model() is None
    assert not dock.training.isVisible()
    click(dock, dock.run_button)
    assert "tiny is missing" in dock.status.text()
    folder.with_name(".away").rename(folder)
    dock.model.refresh()
    assert dock.model.model() == "tiny"


def test_a_layer_with_channels_and_depths_is_enhanced_plane_by_plane(viewer, dock, click, widefield):
    first = widefield.pixels[0, :64, :48]
    pixels = np.stack([[first + k, 10 * first[::-1]] for k in range(3)])
    labels, scale, units = ("z", "c", "y", "x"), (300, 1, 80, 80), ("nm", "pixel", "nm", "nm")
    layer = viewer.add_image(pixels, name="cells", axis_labels=labels, scale=scale, units=units)
    dock.layer_list.choose([layer])
    click(dock, dock.run_button)
    assert "cells has 2 channels: 0 and 1. Choose one of them below the list of layers." in dock.status.text()
    row = dock.layer_list.channel
    row.box.setCurrentIndex(1)
    row.box.activated.emit(1)
    dock.in_place.setChecked(True)
    click(dock, dock.run_button)
    assert "A layer with channels cannot be enhanced in place" in dock.status.text()
    dock.new_layer.setChecked(True)
    click(dock, dock.copy_button, wait=False)
    code = QGuiApplication.clipboard().text()
    assert "channel=1, channel_axis=1" in code
    click(dock, dock.run_button)
    enhanced = viewer.layers[-1]
    assert enhanced.data.shape == (3, 1, 256, 192)
    assert enhanced.translate[1] == 1
    expected = load_enhancer("tiny").enhance(Image(pixels[:, 1], 80.0))
    np.testing.assert_array_equal(enhanced.data[:, 0], expected.pixels)
    exec(code, {})
    np.testing.assert_array_equal(viewer.layers[-1].data, enhanced.data)


@pytest.mark.usefixtures("no_other_enhancers")
def test_warnings_are_shown_before_the_run_and_beside_the_result(viewer, dock, click, widefield, tiny_enhancer, qtbot):
    elsewhere = Familiar((50.0, *[0.0] * (FEATURES - 1)), *[tuple(map(tuple, 1e-4 * np.eye(FEATURES)))] * 2, 1.0)
    dataclasses.replace(tiny_enhancer, familiar=elsewhere).save(user_folder() / "enhancer" / "other")
    large = np.tile(widefield.pixels[0], (2, 2))
    layer = viewer.add_image(np.stack([0 * large, large, large]), name="large", scale=(1, 80, 80), units=[*["nm"] * 3])
    assert dock.choice.familiarity.isHidden()
    dock.layer_list.choose([layer])
    dock.model.refresh()
    dock.model.choose("other")
    qtbot.waitUntil(dock.choice.familiarity.isVisible, timeout=PATIENCE)
    said = dock.choice.familiarity.text()
    assert said.startswith("\u26a0 large looks unlike the images that ")
    box = dock.findChild(ResultWarnings)
    assert box.isHidden()
    click(dock, dock.run_button)
    lines = box.text().splitlines()
    assert lines[0] == said
    assert lines[1].startswith("\u26a0 The result does not explain plane")
    assert [
        f"\u26a0 {line}" for line in viewer.layers[-1].metadata["napari_smdiffusion"]["provenance"]["doubts"]
    ] == lines
    dock.model.choose("tiny")  # a model that does not know its training
    assert dock.choice.familiarity.isHidden()


def test_a_folder_is_enhanced_without_layers(viewer, dock, click, widefield, tmp_path, monkeypatch):
    for name in ("a", "b"):
        write_image(tmp_path / "in" / f"{name}.tif", widefield.crop(slice(0, 40), slice(0, 40)), np.float32)
    write_image(tmp_path / "in" / "c.tif", Image(np.zeros((40, 40), np.float32), 80.0))
    folders = [str(tmp_path / "in"), str(tmp_path / "out"), ""]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: folders.pop(0))
    layers = list(viewer.layers)
    button = dock.findChild(QPushButton, "enhance folder")
    click(dock, button)
    table = tmp_path / "out" / "enhanced.csv"
    expected = f"2 of 3 images are enhanced. 1 failed or lacks its error map. {table} lists what became of each file."
    assert dock.status.text() == expected
    assert table.exists()
    assert list(viewer.layers) == layers
    click(dock, button)  # the dialog is closed without a choice
    assert not dock.running
