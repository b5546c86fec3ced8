"""Runs in threads: what they leave behind, alone and beside each other."""

import gc
import warnings
import weakref
from threading import Event as Flag

import pytest
from qtpy.QtCore import QObject, QThreadPool

from napari_smdiffusion.progress import Note
from napari_smdiffusion.widgets.jobs import Job


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
