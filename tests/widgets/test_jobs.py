"""Runs in threads: what they leave behind, alone and beside each other."""

import gc
import sys
import threading
import warnings
import weakref
from threading import Event as Flag

import pytest
from qtpy.QtCore import QObject, QThreadPool

import napari_smdiffusion
from napari_smdiffusion.errors import InputError, Stopped
from napari_smdiffusion.progress import Note
from napari_smdiffusion.widgets.jobs import Job, error_message, load_ahead


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
            assert self.go.wait(20)
            return type(pixels).__name__

        self.job = Job("waiting", steps, self.parent)
        self.job.happened.connect(self.told.extend)
        self.job.returned.connect(self.results.append)
        self.job.start()
        qtbot.waitUntil(lambda: bool(self.told), timeout=10_000)

    def end(self, qtbot):
        self.go.set()
        qtbot.waitUntil(lambda: self.results == ["Pixels"], timeout=10_000)


def test_runs_that_overlap_leave_nothing_behind(viewer, qtbot):
    filters, show = list(warnings.filters), warnings.showwarning
    one = Running(qtbot)
    other = Running(qtbot)
    one.end(qtbot)
    assert gc.get_freeze_count()  # for the other
    other.end(qtbot)
    QThreadPool.globalInstance().waitForDone(10_000)
    assert warnings.filters == filters
    assert warnings.showwarning is show
    assert not gc.get_freeze_count()
    gc.collect()
    assert one.pixels() is None
    assert other.pixels() is None


class Cycle:
    """What only the collector can delete, and tells in which thread it was."""

    def __init__(self, threads):
        self.itself, self.threads = self, threads

    def __del__(self):
        self.threads.append(threading.current_thread())


def test_a_run_waits_for_no_other_one(viewer, qtbot, monkeypatch):
    """The pool of napari, which all share, has as many threads as the machine: with one, no second would begin."""
    pool = QThreadPool.globalInstance()
    before = pool.maxThreadCount()
    pool.setMaxThreadCount(1)
    try:
        runs = [Running(qtbot) for _ in range(3)]  # each waits until it has begun
        for run in runs:
            run.end(qtbot)
    finally:
        pool.setMaxThreadCount(before)


def test_a_run_collects_no_garbage_in_its_thread(viewer, qtbot):
    """An object of Qt's must be deleted by the thread it lives in."""
    parent, threads, told, begun = QObject(), [], [], Flag()

    def steps(stop):
        kept = [[] for _ in range(100_000)]
        yield Note("begun")
        begun.set()
        while not stop():
            kept = [[] for _ in range(100_000)]
        return len(kept)

    Cycle(threads)
    job = Job("making lists", steps, parent)
    job.returned.connect(told.append)
    job.start()
    assert begun.wait(10)
    assert threads == []
    Cycle(threads)
    qtbot.waitUntil(lambda: len(threads) > 0, timeout=10_000)
    job.stop()
    qtbot.waitUntil(lambda: told == [100_000], timeout=10_000)
    assert set(threads) == {threading.main_thread()}
    qtbot.waitUntil(gc.isenabled, timeout=5_000)


def test_loading_ahead_collects_no_garbage_in_its_thread(viewer, qtbot, tmp_path, monkeypatch):
    threads = []
    (tmp_path / "large_room.py").write_text("kept = [[] for _ in range(100_000)]")
    monkeypatch.setattr(napari_smdiffusion, "__path__", [*napari_smdiffusion.__path__, str(tmp_path)])
    Cycle(threads)
    thread = load_ahead("large_room")
    thread.join(10)
    monkeypatch.delitem(sys.modules, "napari_smdiffusion.large_room")
    assert threads == []
    assert not gc.isenabled()
    qtbot.waitUntil(gc.isenabled, timeout=5_000)
    gc.collect()
    assert threads == [threading.main_thread()]


@pytest.mark.parametrize("gone", [False, True])
def test_a_run_is_forgotten_with_its_dock(viewer, qtbot, gone):
    run = Running(qtbot)
    work = run.job._work
    if gone:
        run.parent = None
        qtbot.waitUntil(lambda: work.asked.is_set(), timeout=5_000)
    run.go.set()
    QThreadPool.globalInstance().waitForDone(10_000)
    assert bool(work.events) != gone


def test_a_defect_is_logged_and_an_error_for_people_is_not(caplog):
    for error in (InputError("Choose another image."), Stopped("Stopped before there was a result.")):
        assert error_message(error, "enhancing") == str(error)
    assert not caplog.records
    message = error_message(KeyError("channels"), "enhancing")
    assert message == "enhancing failed ('channels'). The details are in the log."
    assert caplog.records[0].exc_info[0] is KeyError
