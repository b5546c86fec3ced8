"""User actions and errors while work is running."""

import gc
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
import torch

from napari_smdiffusion import load_diffusion_model
from napari_smdiffusion.base.events import PartDone
from napari_smdiffusion.images.provenance import layer_metadata
from napari_smdiffusion.widgets.viewer.layers import kind, layer_provenance
from napari_smdiffusion.widgets.viewer.view import canvas_grid

from .conftest import PATIENCE, quick_training


@pytest.fixture
def training(open_dock, storm_layer, my_model, click, qtbot):
    """Return a Train dock that trains for half an hour."""
    dock = open_dock("Train diffusion model")
    quick_training(dock, previews=1)
    dock.name.setText("mine")
    dock.time.set_minutes(30)
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: "training" in dock.progress.format(), timeout=PATIENCE)
    return dock


def _ended(job, qtbot):
    """Wait until the thread of a job has ended."""
    qtbot.waitUntil(lambda: not job.worker_thread.is_alive(), timeout=PATIENCE)


def test_closing_the_viewer_keeps_the_model(viewer, training, qtbot):
    job = training.background
    viewer.close()
    _ended(job, qtbot)
    assert load_diffusion_model("mine").facts.steps >= 1


def test_closing_the_dock_keeps_the_model(viewer, training, qtbot):
    job = training.background
    viewer.window.remove_dock_widget(training)
    _ended(job, qtbot)
    assert load_diffusion_model("mine").facts.steps >= 1


CLOSING = """
import time
import napari
from qtpy.QtWidgets import QApplication

def use_and_close():
    viewer = napari.Viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-smdiffusion", "Generate images")
    dock.model.choose("tiny")
    dock.main.show_values({"count": 2, "height": 64, "width": 64})
    dock.advanced.show_values({"steps": 2})
    dock.run_button.click()
    while dock.running:
        QApplication.processEvents()
        time.sleep(0.001)
    print(dock.status.text())
    viewer.close()

use_and_close()
print("closed")
"""


def test_napari_closes_with_a_dock_open(my_model):
    """In a separate process, which crashed when Qt called a closure that the garbage collector had cleared."""
    command = [sys.executable, "-W", "ignore", "-c", CLOSING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE / 1000)
    assert "2 synthetic images" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "closed", done.stderr
    assert done.returncode == 0, done.stderr


def test_layers_theme_and_selection_may_change(viewer, training, storm_layer, click, qtbot):
    viewer.theme = "light"
    storm_layer.name = "renamed"
    other = viewer.add_image(np.zeros((32, 32)), name="other")
    viewer.layers.selection.active = other
    viewer.layers.remove(storm_layer)
    viewer.theme = "dark"
    qtbot.wait(300)
    assert training.running
    click(training, training.stop_button, wait=False)
    qtbot.waitUntil(lambda: not training.running, timeout=PATIENCE)
    assert load_diffusion_model("mine").facts.training_data[0].name == "storm"


def test_a_deleted_preview_is_not_added_again(viewer, open_dock, storm_layer, my_model, click, qtbot):
    dock = open_dock("Train diffusion model")
    quick_training(dock, previews=1)
    dock.as_layer.setChecked(True)
    dock.time.set_minutes(0.05)
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)
    viewer.layers.remove(viewer.layers[-1])
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert len(viewer.layers) == 1


def test_a_second_click_on_run_starts_no_second_run(training, click):
    job = training.background
    training.run()
    click(training, training.run_button, wait=False)
    assert training.background is job


def test_no_second_run_begins_while_images_are_generated(viewer, open_dock, click, qtbot, my_model, storm_layer):
    dock = open_dock("Generate images")
    dock.model.choose(my_model)
    dock.main.show_values({"count": 500, "height": 64, "width": 64})
    dock.advanced.show_values({"steps": 4, "batch": 1})
    click(dock, dock.run_button, wait=False)
    job = dock.background
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)
    dock.run()
    dock.find_nearest()
    assert dock.background is job
    assert dock.running
    click(dock, dock.stop_button)
    assert len(viewer.layers) == 2


def test_two_docks_at_once(viewer, training, open_dock, click, qtbot, my_model):
    generate = open_dock("Generate images")
    generate.model.choose(my_model)
    generate.main.show_values({"count": 2, "height": 64, "width": 64})
    generate.advanced.show_values({"steps": 3})
    click(generate, generate.run_button)
    assert training.running
    assert any(kind(layer) == "synthetic" for layer in viewer.layers)
    training.stop()
    qtbot.waitUntil(lambda: not training.running, timeout=PATIENCE)
    assert load_diffusion_model("mine").facts.steps >= 1
    assert (generate.background, training.background) == (None, None)


def test_layer_deleted_while_generating(viewer, open_dock, click, qtbot, my_model):
    dock = open_dock("Generate images")
    dock.model.choose(my_model)
    dock.main.show_values({"count": 60, "height": 64, "width": 64})
    dock.advanced.show_values({"steps": 4, "batch": 1})
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=PATIENCE)
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert not viewer.layers
    assert "was deleted, so the work was stopped" in dock.status.text()


def test_layer_deleted_while_enhanced_in_place(viewer, open_dock, click, qtbot, my_enhancer, widefield):
    layer = viewer.add_image(widefield.pixels[0], name="cell", scale=(80, 80), units=("nm", "nm"))
    dock = open_dock("Enhance widefield")
    dock.model.choose(my_enhancer)
    dock.in_place.setChecked(True)
    click(dock, dock.run_button, wait=False)
    viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert viewer.layers[0].name == "enhanced ×4: cell"  # the result is kept
    assert "cell was deleted during the run: its enhanced image was added as a new layer." in dock.status.text()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("The size of tensor a (3) must match"), "The size of tensor a (3) must match"),
        (torch.OutOfMemoryError("CUDA out of memory."), "Memory ran out with a single patch"),
        (KeyError("weights"), "failed"),
    ],
)
def test_errors_in_torch_reach_the_user(
    monkeypatch, caplog, capsys, viewer, open_dock, storm_layer, my_model, click, error, words
):
    from napari.utils.notifications import notification_manager

    def fail(*_):
        raise error

    monkeypatch.setattr("napari_smdiffusion.diffusion.denoiser.EdmDenoiser.loss", fail)
    dock = open_dock("Train diffusion model")
    quick_training(dock)
    dock.name.setText("mine")
    click(dock, dock.run_button)
    assert words in dock.status.text()
    assert "Traceback" not in dock.status.text()
    assert words in notification_manager.records[-1].message
    assert dock.run_button.isEnabled()
    assert all(
        line.startswith("ERROR: ") for line in capsys.readouterr().out.splitlines()
    )  # napari's own lines in tests
    if isinstance(error, (RuntimeError, KeyError)) and not isinstance(error, torch.OutOfMemoryError):
        assert "Traceback" in caplog.text


def test_napari_asks_before_it_closes_with_work_running(viewer, training, monkeypatch):
    from napari._qt import qt_main_window

    calls = []

    class Dialog:
        def __init__(self, parent, close_app=False, extra_info="", display_checkbox=True):
            calls.append(extra_info)

        def exec_(self):
            return 0  # Cancel

    monkeypatch.setattr(qt_main_window, "ConfirmCloseDialog", Dialog)

    class Spontaneous:  # the event of the window manager's close button
        def spontaneous(self):
            return True

        def ignore(self):
            calls.append("ignored")

        def accept(self):
            calls.append("accepted")

    viewer.window._qt_window.closeEvent(Spontaneous())
    assert "training mine" in calls[0]
    assert calls[1] == "ignored"
    assert training.running
    training.stop()


def test_docks_are_not_leaked(viewer, open_dock, qtbot):
    before = threading.active_count()
    references = []
    for name in ("Train diffusion model", "Generate images", "Compare images", "Enhance widefield"):
        dock = open_dock(name)
        references.append(weakref.ref(dock))
        viewer.window.remove_dock_widget(dock)
        del dock
    viewer.add_image(np.zeros((32, 32)))  # no dock listens any more
    qtbot.wait(100)
    for thread in threading.enumerate():
        if thread.name.startswith("preloading "):
            thread.join()

    def all_gone():
        gc.collect()
        return all(ref() is None for ref in references)

    qtbot.waitUntil(all_gone, timeout=PATIENCE)  # a job in the queue of the event loop holds its dock until it has run
    assert threading.active_count() <= before


def test_closing_the_dock_keeps_finished_images(viewer, open_dock, click, qtbot, my_model):
    dock = open_dock("Generate images")
    dock.model.choose(my_model)
    dock.main.show_values({"count": 500, "height": 64, "width": 64, "seed": 5})
    dock.advanced.show_values({"steps": 4, "batch": 1})
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: bool(viewer.layers) and len(viewer.layers[0].data) > 2, timeout=PATIENCE)
    viewer.window.remove_dock_widget(dock)
    (layer,) = viewer.layers
    count = len(layer.data)
    expected = load_diffusion_model("tiny").generate(count, size=64, seed=5, steps=4, batch=1)
    np.testing.assert_allclose(layer.data, expected.pixels, atol=1e-3)
    assert {"kind", "model", "settings", "training_data"} <= set(layer_provenance(layer))
    qtbot.wait(300)
    assert len(layer.data) == count


def test_closing_the_dock_keeps_finished_layers(viewer, open_dock, click, qtbot, my_enhancer, widefield):
    layers = [
        viewer.add_image(np.concatenate([widefield.pixels] * n), name=f"{n} planes", scale=(1, 80, 80)) for n in (90, 1)
    ]
    dock = open_dock("Enhance widefield")
    dock.model.choose(my_enhancer)
    dock.layer_list.choose(layers)
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: len(viewer.layers) >= 3, timeout=PATIENCE)
    assert dock.running
    job = dock.background
    viewer.window.remove_dock_widget(dock)
    _ended(job, qtbot)
    qtbot.wait(300)
    assert [layer.name for layer in viewer.layers] == ["90 planes", "1 planes", "enhanced ×4: 1 planes"]


def test_closing_the_dock_keeps_the_last_finished_layer(viewer, open_dock, click, qtbot, my_enhancer, widefield):
    viewer.add_image(widefield.pixels[0], name="cell", scale=(80, 80), units=("nm", "nm"))
    dock = open_dock("Enhance widefield")
    dock.model.choose(my_enhancer)
    click(dock, dock.run_button, wait=False)
    job = dock.background
    job._timer.stop()  # so that the dock learns of the result only when it is closed
    qtbot.waitUntil(lambda: any(isinstance(event, PartDone) for event in list(job._work.events)), timeout=PATIENCE)
    viewer.window.remove_dock_widget(dock)
    assert [layer.name for layer in viewer.layers] == ["cell", "enhanced ×4: cell"]
    _ended(job, qtbot)


def test_closing_compare_restores_the_view(viewer, open_dock, click):
    real = viewer.add_image(np.random.default_rng(0).random((64, 64)), name="real")
    generated = viewer.add_image(
        real.data, name="made", metadata=layer_metadata({"kind": "synthetic"}), translate=(0, 99)
    )
    other = viewer.add_image(real.data, name="other")
    dock = open_dock("Compare images")
    dock.experimental.choose(real)
    click(dock, dock.side_by_side)
    assert not other.visible
    viewer.window.remove_dock_widget(dock)
    assert not canvas_grid(viewer).enabled
    assert other.visible
    assert tuple(generated.translate) == (0, 99)
