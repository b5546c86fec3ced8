"""The Train dock, used by mouse clicks."""

import json

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from napari_smdiffusion import load_diffusion_model
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.diffusion.facts import DiffusionRecord
from napari_smdiffusion.diffusion.sampler import STEPS
from napari_smdiffusion.diffusion.settings import DEFAULT_START
from napari_smdiffusion.store.folder import read_facts, training_lock
from napari_smdiffusion.widgets.frame.new_models import announce_model

from .conftest import PATIENCE, quick_training


@pytest.fixture
def dock(open_dock, storm_layer, my_model):
    dock = open_dock("Train diffusion model")
    quick_training(dock)
    dock.name.setText("mine")
    return dock


def test_training_shows_samples_and_keeps_the_model(viewer, dock, click, qtbot):
    dock.time.set_minutes(0.1)  # for more than one step on a busy machine too
    click(dock, dock.run_button, wait=False)
    assert not dock.run_button.isEnabled()
    assert dock.stop_button.isEnabled()
    previews = dock.view.previews
    qtbot.waitUntil(previews.isVisible, timeout=PATIENCE)
    qtbot.mouseClick(previews.picture, Qt.MouseButton.LeftButton)  # during the training
    assert previews._window.isVisible()
    assert previews._window.width() >= 800
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert previews.picture.width() > 250
    assert len(previews._previews) > 1
    assert "the newest" in previews.caption.text()
    previews.slider.setValue(0)
    assert "before the first step (1 of" in previews.caption.text()
    assert previews._window.windowTitle() == previews.caption.text()
    assert [layer.name for layer in viewer.layers] == ["storm"]
    model = load_diffusion_model("mine")
    assert model.pixel_size == 20
    assert model.facts.steps > 1
    assert f"The model mine is trained, but in only {model.facts.steps} steps" in dock.status.text()
    assert "Only about" in dock.status.text()
    assert dock.run_button.isEnabled()
    assert dock.name.text() == "mine 2"
    assert dock.view.plot._steps[0] == 1
    assert dock.view.plot.plot.viewRange()[0][0] == 0
    previews._window.close()


def test_previews_share_one_layer_if_it_is_wanted(viewer, dock, click):
    dock.as_layer.setChecked(True)
    for name in ("mine", "mine 2"):
        assert dock.name.text() == name
        click(dock, dock.run_button)
        assert [layer.name for layer in viewer.layers] == ["storm", f"training preview: {name} (synthetic)"]
    np.testing.assert_allclose(viewer.layers[1].scale, (20, 20))


def test_a_stopped_training_shows_how_far_it_came_and_continues(dock, click, qtbot):
    dock.time.set_minutes(0.5)
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: bool(dock.view.plot._steps), timeout=PATIENCE)
    assert not dock.view.go_on.isVisible()
    click(dock, dock.stop_button, wait=False)
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    steps = load_diffusion_model("mine").facts.steps
    assert f"The training of the model mine was stopped after {steps}" in dock.status.text()
    assert "This is too few" in dock.status.text()
    assert dock.view.go_on.isVisible()
    click(dock, dock.view.go_on, wait=False)
    assert dock.running
    assert not dock.view.go_on.isVisible()
    qtbot.waitUntil(lambda: bool(dock.view.plot._steps), timeout=PATIENCE)
    assert dock.view.plot._steps[0] == steps + 1
    click(dock, dock.stop_button, wait=False)
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert load_diffusion_model("mine").facts.steps > steps


def test_trained_model_is_selected_in_generate_and_can_be_trained_on(dock, open_dock, click):
    generate = open_dock("Generate images")
    click(dock, dock.run_button)
    assert generate.model.model() == "mine"
    assert dock.start_from.box.findData("mine") >= 0


def test_a_new_model_is_chosen_when_generate_is_opened_and_until_it_is_used(viewer, open_dock, click, my_model):
    announce_model(viewer, "diffusion", my_model)
    announce_model(viewer, "enhancer", "another")
    for _ in range(2):
        generate = open_dock("Generate images")
        assert generate.model.model() == my_model
        viewer.window.remove_dock_widget(generate)
    announce_model(viewer, "diffusion", my_model)  # no open dock chooses it
    generate = open_dock("Generate images")
    generate.model.choose(DEFAULT_START)
    generate.main.show_values({"count": 1, "height": 64, "width": 64})
    generate.advanced.show_values({"steps": 2})
    click(generate, generate.run_button)
    viewer.window.remove_dock_widget(generate)
    assert open_dock("Generate images").model.model() == DEFAULT_START


def test_stop_keeps_the_model(dock, click, qtbot, computed):
    dock.time.set_minutes(30)
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: "training" in dock.progress.format(), timeout=PATIENCE)
    click(dock, dock.stop_button, wait=False)
    computed.stopped.set()
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert load_diffusion_model("mine").facts.steps >= 1
    # The current step, and perhaps one preview.
    assert computed.training <= 1
    assert computed.using <= STEPS


def test_a_second_training_under_the_same_name_does_not_begin(dock, click, qtbot):
    folder = user_folder() / "diffusion" / "mine"
    with training_lock(folder):
        click(dock, dock.run_button)
        assert "Another training is saving its model in" in dock.status.text()
    assert not folder.exists()


def test_rgb_layers_and_axes_of_unknown_kind_are_refused(viewer, dock, click):
    for data, word in (
        (np.zeros((64, 64, 3), np.uint8), "RGB"),
        (np.zeros((2, 2, 64, 64)), "2 × 2 planes on axes of unknown kind"),
    ):
        layer = viewer.add_image(data, name="odd")
        dock.layer_list.choose([layer])
        click(dock, dock.run_button)
        assert word in dock.status.text()
        viewer.layers.remove(layer)
    assert not (user_folder() / "diffusion" / "mine").exists()


def test_bad_input_is_refused(viewer, dock, click, storm_layer):
    dock.layer_list.choose([])
    click(dock, dock.run_button)
    assert dock.status.text() == "Choose at least one image layer to train on."
    dock.layer_list.choose([storm_layer])
    dock.name.setText("a/b")
    click(dock, dock.run_button)
    assert "cannot be the name" in dock.status.text()
    dock.name.setText("mine")
    dock.advanced.show_values({"patch": 512})
    click(dock, dock.run_button)
    assert "smaller than a patch of 512" in dock.status.text()
    assert not (user_folder() / "diffusion" / "mine").exists()


def test_dask_and_zarr_layers_are_read_plane_by_plane(viewer, dock, click, storm):
    import dask.array as dask
    import zarr

    stack = np.stack([storm.pixels[0]] * 3)
    lazy = viewer.add_image(dask.from_array(stack, chunks=(1, 192, 192)), name="dask", scale=(1, 20, 20))
    stored = viewer.add_image(zarr.array(stack, chunks=(1, 192, 192)), name="zarr", scale=(1, 20, 20))
    dock.layer_list.choose([lazy, stored])
    click(dock, dock.run_button)
    data = load_diffusion_model("mine").facts.training_data
    assert [image.shape for image in data] == [(3, 192, 192)] * 2
    assert data[0].sha256 == data[1].sha256


def test_a_pixel_size_is_entered_once(viewer, dock, qtbot, storm):
    bare = viewer.add_image(storm.pixels[0], name="bare")
    dock.layer_list.choose([bare])
    assert dock.layer_list.pixel_size.isVisible()
    dock.layer_list.pixel_size.setValue(25.0)
    dock.layer_list.pixel_size.editingFinished.emit()
    assert not dock.layer_list.pixel_size.isVisible()
    dock.layer_list.choose([])
    dock.layer_list.choose([bare])
    assert not dock.layer_list.pixel_size.isVisible()
    np.testing.assert_allclose(bare.scale, (1, 1))


def test_settings_are_remembered(dock, open_dock, click, viewer):
    dock.advanced.show_values({"seed": 7})
    click(dock, dock.run_button)
    viewer.window.remove_dock_widget(dock)
    again = open_dock("Train diffusion model")
    assert again.advanced.values()["seed"] == 7
    assert again.time.minutes() == pytest.approx(0.01)


def test_copied_code_does_the_same(dock, click, storm_layer):
    click(dock, dock.run_button)
    dock.name.setText("by code")
    click(dock, dock.copy_button)
    exec(QGuiApplication.clipboard().text(), {})
    first, second = (
        read_facts(user_folder() / "diffusion" / name, "diffusion", DiffusionRecord) for name in ("mine", "by code")
    )
    assert second.name == "by code"
    for key in ("training_data", "started_from", "config"):
        assert getattr(first, key) == getattr(second, key)


def test_starting_from_a_model_uses_its_network(dock, click):
    click(dock, dock.run_button)
    assert load_diffusion_model("mine").facts.started_from == "tiny"
    assert load_diffusion_model("mine").config.channels == (16, 32)


def test_from_scratch(dock, click):
    dock.start_from.choose("")
    click(dock, dock.run_button)
    assert load_diffusion_model("mine").facts.started_from is None


def test_models_of_the_papers_code_are_offered_to_generate_with_but_not_to_start_from(viewer, open_dock, my_model):
    facts = user_folder() / "diffusion" / my_model / "model.json"
    stored = json.loads(facts.read_text())
    facts.write_text(json.dumps({**stored, "imported": {"image_size": 64}}))
    assert open_dock("Generate images").model.choose(my_model)
    train = open_dock("Train diffusion model")
    assert not train.start_from.choose(my_model)
    assert train.start_from.model() == DEFAULT_START


def test_a_missing_start_model_starts_no_training(dock, click):
    folder = user_folder() / "diffusion" / "tiny"
    folder.rename(folder.with_name(".away"))
    dock.start_from.refresh()
    click(dock, dock.run_button)
    assert "tiny is missing" in dock.status.text()
    assert not (user_folder() / "diffusion" / "mine").exists()
