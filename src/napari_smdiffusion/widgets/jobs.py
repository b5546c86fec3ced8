"""The bridge between long work, a generator that runs in a thread, and the docks, which live in the event loop.

The thread only puts events into a queue; a timer of the event loop takes them out ten times a second. So nothing of Qt
is touched by the thread, a dock that is gone receives nothing, and a run's late events cannot reach the next one.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any

from napari.qt.threading import FunctionWorker, create_worker
from qtpy.QtCore import QObject, QThreadPool, QTimer, Signal

from ..garbage import FROZEN, PAUSED, collect
from ..progress import is_for_people, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..progress import Event, Steps, Stop

_LOG = logging.getLogger(__name__)
_EVERY = 100  # ms


def load_ahead(room: str) -> Thread | None:
    """Load a room of the package, and torch with it, in a thread of its own; return the thread, or None if it is there.

    That takes seconds, in which a person fills in the form. Whoever needs the room earlier waits for this thread.
    """
    name = f"napari_smdiffusion.{room}"
    if name in sys.modules:
        return None

    def load() -> None:
        # What is wrong with an installation is said when the room is needed.
        with suppress(ImportError, OSError):
            importlib.import_module(name)

    thread = Thread(target=load, name=f"loading {name}")
    _collect_here(lambda: thread.is_alive())
    thread.start()
    return thread


def _collect_here(at_work: Callable[[], bool]) -> None:
    """Collect garbage in this thread, which is Qt's, and in no other one, until that which begins now is over.

    Python collects it in whichever thread asks for memory, and an object of Qt's that another thread deletes can bring
    the program down, long after.
    """
    PAUSED.hold()

    def look() -> None:
        # Until a first step is done, modules are loaded: they leave none, and take long to look through.
        if FROZEN.held:
            collect()
        if at_work():
            QTimer.singleShot(_EVERY, look)
        else:
            PAUSED.release()

    QTimer.singleShot(_EVERY, look)


@dataclass(frozen=True)
class _Returned:
    value: Any


@dataclass(frozen=True)
class _Failed:
    sentence: str
    stopped: bool


class _Worker(FunctionWorker):
    """A worker that leaves the handling of warnings alone.

    superqt's own changes it for all threads: of two runs that overlap, the one that ends last would put back what the
    other one had put there.
    """

    def run(self) -> None:
        """Do the work, as `WorkerBase.run` does; no exception leaves it, and its result is in its events."""
        self.started.emit()
        self._running = True
        self.work()
        self._running = False
        self.finished.emit()
        self._finished.emit(self)


class _Work:
    """What the thread runs. napari shows its text when it asks whether to close with work running."""

    def __init__(self, what: str, make_steps: Callable[[Stop], Steps[Any]]) -> None:
        self.what = what
        self.make_steps = make_steps
        self.asked = Flag()
        self.events: deque[Event | _Returned | _Failed] = deque()
        self.over = Flag()
        self.worker: FunctionWorker | None = None
        self._holds = False

    def __repr__(self) -> str:
        return self.what

    def stop(self) -> bool:
        """Tell whether a person, or napari when it closes, asked to stop."""
        return self.asked.is_set() or (self.worker is not None and self.worker.abort_requested)

    def leave(self) -> None:
        """Stop, for nobody: what happens from now on is forgotten."""
        self.asked.set()
        self.events = deque(maxlen=0)

    def __call__(self) -> None:
        # The worker loses RuntimeErrors, which is what torch raises: no exception may leave this function.
        try:
            self.events.append(_Returned(run(self.make_steps(self.stop), self._happened)))
        except Exception as error:
            self.events.append(_Failed(error_message(error, self.what), isinstance(error, InterruptedError)))
        finally:
            if self._holds:
                FROZEN.release()
            # napari lists its tasks until it ends, and holds them: not the copied layers, though.
            del self.make_steps
            self.over.set()

    def _happened(self, event: Event) -> None:
        self.events.append(event)
        # The first step has loaded what the work needs.
        if not self._holds:
            self._holds = True
            FROZEN.hold()


def error_message(error: Exception, what: str) -> str:
    """Return the sentence to show for an exception that ended `what`; the traceback of a defect goes into the log."""
    if is_for_people(error):
        return str(error) or f"{what} failed ({type(error).__name__})."
    _LOG.error("%s failed", what, exc_info=error)
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"{what} failed ({first}). The details are in the log."


class Job(QObject):
    """One run of some steps in a thread.

    Signals, all on the main thread: `happened` with the list of events since the last time, then one of `returned`
    with the result, `stopped` with a sentence, where it was stopped before there was a result, and `failed` with one.
    """

    happened = Signal(list)
    returned = Signal(object)
    stopped = Signal(str)
    failed = Signal(str)

    def __init__(self, what: str, make_steps: Callable[[Stop], Steps[Any]], parent: QObject) -> None:
        super().__init__(parent)
        self._work = work = _Work(what, make_steps)
        # A dock that is destroyed takes its job with it; the thread then stops by itself and keeps what it made. Qt
        # refers to a method weakly; a function it would call even when the garbage collector has emptied it already.
        self.destroyed.connect(work.leave)
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self.deliver)
        self.what = what
        self.running = False

    def start(self) -> None:
        """Start the thread."""
        self.running = True
        work = self._work
        _collect_here(lambda: not work.over.is_set())
        # napari's pool has as many threads as the machine: work that lasts for hours would keep others from beginning.
        pool = QThreadPool.globalInstance()
        pool.setMaxThreadCount(max(pool.maxThreadCount(), pool.activeThreadCount() + 2))
        work.worker = create_worker(work, _start_thread=False, _worker_class=_Worker)
        work.worker.start()
        self._timer.start()

    def stop(self) -> None:
        """Ask the work to stop and keep what it has made; it does so between two of its steps."""
        self._work.asked.set()

    def deliver(self) -> None:
        """Emit what has happened since the last time."""
        events: list[Event] = []
        outcome = None
        while self._work.events:
            event = self._work.events.popleft()
            if isinstance(event, (_Returned, _Failed)):
                outcome = event
            else:
                events.append(event)
        if events:
            self.happened.emit(events)
        if outcome is None:
            return
        self._timer.stop()
        self.running = False
        if isinstance(outcome, _Returned):
            self.returned.emit(outcome.value)
        else:
            (self.stopped if outcome.stopped else self.failed).emit(outcome.sentence)
