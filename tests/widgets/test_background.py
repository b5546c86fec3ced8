"""Runs in threads: what they leave behind, alone and beside each other, and what of the host they leave alone."""

import gc
import subprocess
import sys
import time
import warnings
import weakref
from threading import Event as Flag

import pytest
from qtpy.QtCore import QObject, QThreadPool

from napari_smdiffusion.base.errors import InputError, Stopped
from napari_smdiffusion.base.events import Note
from napari_smdiffusion.widgets.frame.background import BackgroundRun, error_message
from napari_smdiffusion.widgets.frame.preload import preload

from .conftest import PATIENCE


class Pixels:
    """What a run holds."""


class Running:
    """A run that waits to be let go."""

    def __init__(self, qtbot):
        self.parent, self.go, self.told, self.results = QObject(), Flag(), [], []
        pixels = Pixels()
        self.pixels = weakref.ref(pixels)

        def steps(stop):
            yield Note("begun")
            assert self.go.wait(PATIENCE / 1000)
            return type(pixels).__name__

        self.background = BackgroundRun("waiting", steps, self.parent)
        self.thread = self.background.worker_thread
        self.background.happened.connect(self.told.extend)
        self.background.returned.connect(self.results.append)
        self.background.start()
        qtbot.waitUntil(lambda: bool(self.told), timeout=PATIENCE)

    def end(self, qtbot):
        self.go.set()
        qtbot.waitUntil(lambda: self.results == ["Pixels"], timeout=PATIENCE)


def host_state():
    """Return what a plugin must not change for the whole process."""
    return {
        "collector": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "pool": QThreadPool.globalInstance().maxThreadCount(),
        "warnings": (list(warnings.filters), warnings.showwarning),
    }


def test_runs_that_overlap_leave_the_host_alone(viewer, qtbot):
    before = host_state()
    one = Running(qtbot)
    other = Running(qtbot)
    assert host_state() == before
    one.end(qtbot)
    assert host_state() == before
    other.end(qtbot)
    other.thread.join()
    assert host_state() == before
    gc.collect()
    assert one.pixels() is None
    assert other.pixels() is None


def test_preloading_leaves_the_host_alone(viewer, tmp_path, monkeypatch):
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


def test_the_end_of_the_event_loop_stops_a_run_and_leaves_the_host_alone():
    """In a process of its own, in which no viewer is closed: a script may go on after the event loop."""
    command = [sys.executable, "-W", "ignore", "-c", _NO_EVENT_LOOP]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE / 1000)
    assert done.stdout.strip() == "the same", done.stderr


def test_a_run_waits_for_no_other_one(viewer, qtbot):
    """Qt's global pool has as many threads as the machine: on two cores, no third run would begin there."""
    pool = QThreadPool.globalInstance()
    before = pool.maxThreadCount()
    pool.setMaxThreadCount(1)
    try:
        runs = [Running(qtbot) for _ in range(3)]  # each waits until it has begun
        for run in runs:
            run.end(qtbot)
    finally:
        pool.setMaxThreadCount(before)


def test_napari_lists_a_run_until_it_ends_and_may_stop_it(viewer, qtbot):
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
from napari_smdiffusion.widgets.frame.background import BackgroundRun

def steps(stop):
    while not stop():
        yield Note("working")
        gc.collect()
        time.sleep(0.1)

viewer, parent = napari.Viewer(), QObject()
gc.collect()
gc.freeze()  # so that a collection is quick
job = BackgroundRun("collecting", steps, parent)
job.start()
for name in ("Train diffusion model", "Generate images", "Compare images", "Enhance widefield"):
    dock = viewer.window.add_plugin_dock_widget("napari-smdiffusion", name)[1]
    if hasattr(dock, "plot"):
        dock.show_plot()
    QApplication.processEvents()
    viewer.window.remove_dock_widget(dock)
    del dock
    QApplication.processEvents()
viewer.close()
job.worker_thread.join()
print("closed")
"""


def test_docks_come_and_go_while_a_thread_collects_garbage():
    """In a process of its own: an object of Qt that is deleted by the wrong thread can end the process."""
    command = [sys.executable, "-W", "ignore", "-c", _COLLECTING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE / 1000)
    assert (done.returncode, done.stdout.strip()) == (0, "closed"), done.stderr


@pytest.mark.parametrize("gone", [False, True])
def test_a_run_is_forgotten_with_its_dock(viewer, qtbot, gone):
    run = Running(qtbot)
    work = run.background._work
    if gone:
        run.parent = None
        qtbot.waitUntil(lambda: work.asked.is_set(), timeout=PATIENCE)
    run.go.set()
    run.thread.join()
    assert bool(work.events) != gone


def test_a_defect_is_logged_and_an_error_for_people_is_not(caplog):
    for error in (InputError("Choose another image."), Stopped("Stopped before there was a result.")):
        assert error_message(error, "enhancing") == str(error)
    assert not caplog.records
    message = error_message(KeyError("channels"), "enhancing")
    assert message == "enhancing failed ('channels'). The details are in the log."
    assert caplog.records[0].exc_info[0] is KeyError
