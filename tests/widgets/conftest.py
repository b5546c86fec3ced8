"""Tests of the docks: a real viewer on a real (virtual) screen, and real, tiny trainings."""

import gc
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import display

from . import shared_viewer

# Milliseconds that a test waits for an event. Far longer than an event takes on a busy machine, and far shorter than
# the half hour of the trainings that tests stop.
PATIENCE = 300_000
_FAILED = pytest.StashKey[bool]()

_PROBLEM = display.problem()
if _PROBLEM:
    # CI must test the docks; elsewhere one loud line reports that they are not tested.
    if os.environ.get("CI"):
        raise pytest.UsageError(f"The docks cannot be tested: {_PROBLEM}")
    print(f"\n*** THE DOCKS ARE NOT TESTED: {_PROBLEM} ***\n", file=sys.stderr)
    collect_ignore_glob = ["test_*.py"]

_SCREEN = None if _PROBLEM else display.start_screen()


def pytest_unconfigure(config):
    if _SCREEN is not None:
        _SCREEN.terminate()
        _SCREEN.wait()


@pytest.fixture(autouse=True)
def _quick_results(quick_calibration, quick_classifier):
    """Calibrate and classify quickly: these tests train and compare for another purpose."""


@pytest.fixture(scope="session", autouse=True)
def _quick_viewers():
    """Save a large part of the time in which a viewer opens and closes.

    For every viewer npe2 searches the environment for plugins, and napari writes its settings six times and renews the
    shortcuts of the welcome screen, which tests do not show. For every layer it renews the style of its buttons and
    makes sliders and a histogram. The viewer's test fixture collects garbage: what napari and torch have loaded is left
    out.
    """
    import torch  # noqa: F401
    from napari._qt.layer_controls.qt_image_controls import QtImageControls
    from napari._qt.layer_controls.qt_layer_controls_base import QtLayerControls
    from napari._qt.layer_controls.qt_layer_controls_container import layer_to_controls
    from napari._qt.widgets.qt_viewer_buttons import QtViewerPushButton
    from napari.layers import Image
    from napari.settings import NapariSettings
    from npe2 import PluginManifest

    class FewControls(QtLayerControls):
        MODE = QtImageControls.MODE
        PAN_ZOOM_ACTION_NAME = QtImageControls.PAN_ZOOM_ACTION_NAME
        TRANSFORM_ACTION_NAME = QtImageControls.TRANSFORM_ACTION_NAME

    plugins = list(PluginManifest.discover())
    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", lambda paths=(): plugins)
        patch.setattr(NapariSettings, "_maybe_save", lambda _: None, raising=False)
        with suppress(ImportError):  # napari 0.7 has none
            from napari._qt.widgets.qt_welcome import QtWelcomeWidget

            patch.setattr(QtWelcomeWidget, "refresh", lambda *_: None, raising=False)
        patch.setitem(layer_to_controls, Image, FewControls)
        patch.setattr(QtViewerPushButton, "_refresh_qss", lambda *_: None, raising=False)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Keep the report of a test for the fixtures that end after it."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(scope="module")
def _viewers(qapp):
    """Return the viewer of the tests of a module; its end checks that nothing holds a viewer or a window."""
    with shared_viewer.isolated() as shared:
        yield shared


@pytest.fixture
def viewer(_viewers, request):
    """Return a shown viewer without layers and docks, as new."""
    yield _viewers.ready()
    _viewers.leave(failed=request.node.stash.get(_FAILED, True))  # none, if another fixture failed


@pytest.fixture
def open_dock(viewer, qtbot):
    """Return a function that opens a dock as the Plugins menu does."""

    def open_it(name):
        _, dock = viewer.window.add_plugin_dock_widget("napari-smdiffusion", name)
        qtbot.wait(20)
        return dock

    return open_it


@pytest.fixture
def click(qtbot):
    """Return a function that clicks a button, and waits until the dock's work is done, if `wait`."""
    from qtpy.QtCore import Qt

    def click_it(dock, button, *, wait=True):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        if wait:
            qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)

    return click_it


@pytest.fixture
def storm_layer(viewer, storm):
    """Return a layer with a simulated super-resolution image, 192² pixels of 20 nm."""
    return viewer.add_image(storm.pixels[0], name="storm", scale=(20, 20), units=("nm", "nm"))


@pytest.fixture
def my_model(tiny_model):
    """Put a tiny diffusion model into the user's folder and return its name."""
    from napari_smdiffusion.base.folders import user_folder

    tiny_model.save(user_folder() / "diffusion" / "tiny")
    return "tiny"


@pytest.fixture
def my_conditional(tiny_conditional):
    """Put a tiny model of two structures into the user's folder and return its name."""
    from napari_smdiffusion.base.folders import user_folder

    tiny_conditional.save(user_folder() / "diffusion" / "tiny two")
    return "tiny two"


@pytest.fixture
def interrupted(storm, my_model):
    """Return the job of an interrupted training, whose model "interrupted" is in the user's folder."""
    import itertools

    from napari_smdiffusion import TrainConfig, TrainJob
    from napari_smdiffusion.base.events import run
    from napari_smdiffusion.base.folders import user_folder

    settings = TrainConfig(steps=4, patch=64, batch=2, seed=5, channels=(16, 32), previews=0, log_sigma_mean=-0.3)
    job = TrainJob(storm, settings, start=None, out=user_folder() / "diffusion" / "interrupted")
    count = itertools.count()
    run(job.steps(lambda: next(count) >= 2))
    return job


@pytest.fixture
def my_enhancer(tiny_enhancer):
    """Put a tiny enhancer ×4 into the user's folder and return its name."""
    from napari_smdiffusion.base.folders import user_folder

    tiny_enhancer.save(user_folder() / "enhancer" / "tiny")
    return "tiny"


@pytest.fixture
def my_sampler(tiny_sampler):
    """Put a tiny enhancer ×4 that draws samples into the user's folder and return its name."""
    from napari_smdiffusion.base.folders import user_folder

    tiny_sampler.save(user_folder() / "enhancer" / "tiny sampler")
    return "tiny sampler"


class Computed:
    """Counts of network predictions that begin after `stopped` is set.

    `training` counts those of training steps, `using` those of previews and results. The cost of a stop is counted in
    predictions, because seconds depend on the load of the machine.
    """

    def __init__(self):
        self.stopped, self.training, self.using = threading.Event(), 0, 0

    def note(self, module, _):
        """Count a call of a whole network."""
        from napari_smdiffusion.diffusion.unet import UNet
        from napari_smdiffusion.enhance.network import EnhancerNetwork

        if self.stopped.is_set() and isinstance(module, (EnhancerNetwork, UNet)):
            self.training += module.training
            self.using += not module.training


@pytest.fixture
def computed():
    """Return the counts of predictions after a stop."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    count = Computed()
    hook = register_module_forward_pre_hook(count.note)
    yield count
    hook.remove()


def quick_training(dock, **others):
    """Set a training dock to a few steps that start from the tiny model."""
    dock.time.set_minutes(0.01)
    dock.start_from.choose("tiny")
    dock.advanced.show_values({"patch": 64, "batch": 4, "previews": 2, **others})
