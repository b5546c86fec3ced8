"""Runs in threads: they release their data, and leave the settings of the host process unchanged."""

import gc
import subprocess
import sys
import time
import warnings
import weakref
from threading import Event as Flag

import pytest
from qtpy.QtCore import QObject, QThreadPool
from qtpy.QtWidgets import QLabel

from napari_smdiffusion.base.errors import InputError, Stopped
from napari_smdiffusion.base.events import Note
from napari_smdiffusion.widgets.frame.background import BackgroundRun, error_message
from napari_smdiffusion.widgets.frame.preload import preload

from .conftest import PATIENCE


class Pixels:
    """Data of a run."""


class Running:
    """A run that waits until it is released."""

    def __init__(self, qtbot):
        self.parent, self.go, self.events, self.results = QObject(), Flag(), [], []
        pixels = Pixels()
        self.pixels = weakref.ref(pixels)

        def steps(stop):
            yield Note("begun")
            assert self.go.wait(PATIENCE / 1000)
            return type(pixels).__name__

        self.background = BackgroundRun("waiting", steps, self.parent)
        self.thread = self.background.worker_thread
        self.background.happened.connect(self.events.extend)
        self.background.returned.connect(self.results.append)
        self.background.start()
        qtbot.waitUntil(lambda: bool(self.events), timeout=PATIENCE)

    def end(self, qtbot):
        self.go.set()
        qtbot.waitUntil(lambda: self.results == ["Pixels"], timeout=PATIENCE)


@pytest.fixture
def nothing_frozen():
    """Undo the freeze of these tests, so that the number of frozen objects is exact."""
    gc.unfreeze()
    yield
    gc.collect()
    gc.freeze()


def host_state():
    """Return settings of the process that a plugin must not change."""
    return {
        "collector": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "pool": QThreadPool.globalInstance().maxThreadCount(),
        "warnings": (list(warnings.filters), warnings.showwarning),
    }


def test_overlapping_runs_leave_the_host_unchanged(viewer, nothing_frozen, qtbot):
    before = host_state()
    first = Running(qtbot)
    second = Running(qtbot)
    assert host_state() == before
    first.end(qtbot)
    assert host_state() == before
    second.end(qtbot)
    second.thread.join()
    assert host_state() == before
    gc.collect()
    assert first.pixels() is None
    assert second.pixels() is None


def test_preloading_leaves_the_host_unchanged(viewer, nothing_frozen, tmp_path, monkeypatch):
    before = host_state()
    (tmp_path / "slow_module.py").write_text("import gc, time; time.sleep(0.2); enabled = gc.isenabled()")
    monkeypatch.syspath_prepend(tmp_path)
    thread = preload("slow_module")
    assert host_state() == before
    thread.join()
    assert sys.modules.pop("slow_module").enabled
    assert host_state() == before


_NO_EVENT_LOOP = """
import gc, threading
from qtpy.QtCore import QObject, QThreadPool, QTimer
from qtpy.QtWidgets import QApplication
from napari_smdiffusion import Note
from napari_smdiffusion.widgets.frame.background import BackgroundRun
from napari_smdiffusion.widgets.frame.preload import preload

application, parent, stopped = QApplication([]), QObject(), []

def state():
    return gc.isenabled(), gc.get_freeze_count(), QThreadPool.globalInstance().maxThreadCount()

def steps(stop):
    while not stop():
        yield Note("working")
    stopped.append(True)

before = state()
thread = preload("napari_smdiffusion.images.patches")
job = BackgroundRun("working", steps, parent)
job.start()
QTimer.singleShot(300, application.quit)
application.exec()
assert state() == before, state()
job.worker_thread.join()
thread.join()
assert stopped and state() == before, state()
print("the same")
"""


def test_the_end_of_the_event_loop_stops_a_run_and_leaves_the_host_unchanged():
    """In a separate process, in which no viewer is closed: a script may continue after the event loop."""
    command = [sys.executable, "-W", "ignore", "-c", _NO_EVENT_LOOP]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE / 1000)
    assert done.stdout.strip() == "the same", done.stderr


def test_a_run_does_not_wait_for_another_run(viewer, qtbot):
    """Qt's global pool has one thread per core: on two cores a third run would have to wait there."""
    pool = QThreadPool.globalInstance()
    before = pool.maxThreadCount()
    pool.setMaxThreadCount(1)
    try:
        runs = [Running(qtbot) for _ in range(3)]  # each waits until it has begun
        for run in runs:
            run.end(qtbot)
    finally:
        pool.setMaxThreadCount(before)


def test_napari_lists_a_run_until_it_ends_and_can_stop_it(viewer, qtbot):
    def steps(stop):
        while not stop():
            yield Note("working")
            time.sleep(0.01)
        return "stopped"

    results, parent = [], QObject()
    job = BackgroundRun("counting", steps, parent)
    job.returned.connect(results.append)
    job.start()
    tasks = viewer.window._task_status_manager
    assert any("counting" in text for text in tasks.get_status())
    tasks.cancel_all()
    qtbot.waitUntil(lambda: results == ["stopped"], timeout=PATIENCE)
    qtbot.waitUntil(lambda: not tasks.is_busy(), timeout=PATIENCE)


_COLLECTING = """
import gc
import time
import napari
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication
from napari_smdiffusion import Note
from napari_smdiffusion.widgets.docks import compare, enhance, generate, train
from napari_smdiffusion.widgets.frame.background import BackgroundRun
from napari_smdiffusion.widgets.parts import plots

def steps(stop):
    while not stop():
        yield Note("working")
        gc.collect()
        collections.append(True)
        time.sleep(0.02)

def wait_for_a_collection():
    count = len(collections) + 2  # the next one may have begun already
    while len(collections) < count:
        time.sleep(0.01)

collections = []
for dock in (train.TrainDock, generate.GenerateDock, compare.CompareDock, enhance.EnhanceDock):
    dock.preload_module = "sys"  # torch has too many objects for quick collections, and no part in this test
viewer, parent = napari.Viewer(), QObject()
gc.collect()
gc.freeze()  # collections then visit new objects only
job = BackgroundRun("collecting", steps, parent)
job.start()
for name in ("Train diffusion model", "Generate images", "Compare images", "Enhance widefield"):
    dock = viewer.window.add_plugin_dock_widget("napari-smdiffusion", name)[1]
    if hasattr(dock, "view"):
        dock.view.begin()
    QApplication.processEvents()
    viewer.window.remove_dock_widget(dock)
    del dock
    wait_for_a_collection()
    QApplication.processEvents()
wait_for_a_collection()
viewer.close()
job.worker_thread.join()
print("closed")
"""


def test_docks_open_and_close_while_a_thread_collects_garbage():
    """In a separate process, which crashes if the wrong thread deletes a Qt object."""
    command = [sys.executable, "-W", "ignore", "-c", _COLLECTING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE / 1000)
    assert (done.returncode, done.stdout.strip()) == (0, "closed"), done.stderr


@pytest.mark.parametrize("closed", [False, True])
def test_a_run_stops_with_its_dock(viewer, qtbot, closed):
    run = Running(qtbot)
    work = run.background._work
    if closed:
        run.parent = None
        qtbot.waitUntil(lambda: work.stop_requested.is_set(), timeout=PATIENCE)
    run.go.set()
    run.thread.join()
    assert bool(work.events) != closed


def test_a_defect_is_logged_and_an_error_for_the_user_is_not(caplog):
    for error in (InputError("Choose another image."), Stopped("Stopped before there was a result.")):
        assert error_message(error, "enhancing") == str(error)
    assert not caplog.records
    message = error_message(KeyError("channels"), "enhancing")
    assert message == "enhancing failed ('channels'). The details are in the log."
    assert caplog.records[0].exc_info[0] is KeyError


@pytest.mark.parametrize("quit_app", [False, True])
def test_the_question_before_closing_names_the_work(viewer, open_dock, qtbot, monkeypatch, quit_app):
    """After Ctrl+W and Ctrl+Q too, where napari itself does not name it."""
    from napari._qt.dialogs.confirm_close_dialog import ConfirmCloseDialog

    dock, go = open_dock("Generate images"), Flag()

    def steps(stop):
        yield Note("begun")
        assert go.wait(PATIENCE / 1000)

    dock.start("counting molecules", steps, lambda _: "done")
    dialog = ConfirmCloseDialog(viewer.window._qt_window, quit_app)
    qtbot.addWidget(dialog)
    dialog.show()
    texts = [label.text() for label in dialog.findChildren(QLabel)]
    assert sum("Still running: counting molecules." in text for text in texts) == 1
    go.set()
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    other = ConfirmCloseDialog(viewer.window._qt_window, quit_app)
    qtbot.addWidget(other)
    other.show()
    assert not any("Still running" in label.text() for label in other.findChildren(QLabel))
