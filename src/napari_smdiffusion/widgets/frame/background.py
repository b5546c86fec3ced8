"""Runs long work, a generator, in a thread, and delivers its events to the docks, which live in Qt's event loop.

The thread only appends events to a queue. A timer of the event loop empties the queue ten times a second. So the thread
touches no Qt object, a closed dock receives nothing, and late events of one run cannot reach the next.

The thread is a plain one of Python, outside Qt's global pool: that pool belongs to the whole program, and has as many
threads as the machine has cores. Work that lasts for hours would keep others from starting.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any

from napari.qt.threading import FunctionWorker, create_worker
from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from ...base.errors import Stopped, is_user_error
from ...base.events import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...base.events import Event, Steps, Stop

_LOG = logging.getLogger(__name__)
_EVERY = 100  # ms


@dataclass(frozen=True)
class _Returned:
    value: Any


@dataclass(frozen=True)
class _Failed:
    sentence: str
    stopped: bool


class _Work:
    """What the thread runs. It holds no Qt object, so that none can be deleted in the thread."""

    def __init__(self, what: str, make_steps: Callable[[Stop], Steps[Any]]) -> None:
        self.what = what
        self.make_steps = make_steps
        self.asked = Flag()
        self.events: deque[Event | _Returned | _Failed] = deque()

    def leave(self) -> None:
        """Stop, and forget all events from now on: nobody is left to receive them."""
        self.asked.set()
        self.events = deque(maxlen=0)

    def __call__(self) -> None:
        # No exception may leave the thread: nobody would see it.
        try:
            self.events.append(_Returned(run(self.make_steps(self.asked.is_set), self._happened)))
        except Exception as error:
            self.events.append(_Failed(error_message(error, self.what), isinstance(error, Stopped)))
        finally:
            del self.make_steps  # with the copied layers in it

    def _happened(self, event: Event) -> None:
        self.events.append(event)


def error_message(error: Exception, what: str) -> str:
    """Return the sentence to show for an exception that ended `what`; the traceback of a defect goes into the log."""
    if is_user_error(error):
        return str(error) or f"{what} failed ({type(error).__name__})."
    _LOG.error("%s failed", what, exc_info=error)
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"{what} failed ({first}). The details are in the log."


class _Title:
    """The text by which napari names the work when it asks whether to close with work running."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return self.what

    def __call__(self) -> None:
        """Do nothing: the thread does the work."""


class _NapariTask(FunctionWorker):
    """The work as napari knows it: napari shows its status, and calls `quit` when the viewer closes.

    It never runs. `FunctionWorker.run` would change how the whole process handles warnings, and of two overlapping
    runs the last one to end would restore what the other had set.
    """

    asked: Flag | None = None

    def quit(self) -> None:
        """Ask the work to stop."""
        super().quit()
        if self.asked is not None:
            self.asked.set()


def _show_to_napari(what: str, asked: Flag, thread: Thread) -> None:
    """Add the thread's work to napari's list of running tasks, and mark it there as finished when the thread ends.

    The timer belongs to the application, not to the dock: the work may end after its dock is closed.
    """
    task = create_worker(_Title(what), _start_thread=False, _worker_class=_NapariTask)
    task.asked = asked
    task.started.emit()
    timer = QTimer(QCoreApplication.instance())

    def look() -> None:
        if not thread.is_alive():
            timer.stop()
            timer.deleteLater()
            task.finished.emit()

    timer.timeout.connect(look)
    timer.start(_EVERY)


class BackgroundRun(QObject):
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
        # A dock that is destroyed takes its run with it; the thread then stops by itself and keeps what it made. Qt
        # refers to a method weakly; a function it would call even when the garbage collector has emptied it already.
        self.destroyed.connect(work.leave)
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self.deliver)
        self.what = what
        self.worker_thread = Thread(target=work, name=what)
        self.running = False

    def start(self) -> None:
        """Start the thread. Python waits for it at exit, so that a stopped training can still save its model."""
        self.running = True
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.stop)
        self.worker_thread.start()
        _show_to_napari(self.what, self._work.asked, self.worker_thread)
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
