"""Runs a job's steps in a thread, and delivers their events to the docks, which live in Qt's event loop.

The thread only appends events to a queue. A timer of the event loop empties the queue ten times a second. So the thread
touches no Qt object, a closed dock receives no event, and late events of one run cannot reach the next.

The thread is a plain Python thread outside Qt's global pool. That pool belongs to the whole program and has one thread
per core: work that lasts for hours would block other tasks.
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

from ...base.errors import Stopped, is_user_error, sentence_of
from ...base.events import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...base.events import Event, Steps, Stop

_LOG = logging.getLogger(__name__)
_INTERVAL = 100  # ms


@dataclass(frozen=True)
class _Returned:
    value: Any


@dataclass(frozen=True)
class _Failed:
    message: str
    stopped: bool


class _Work:
    """The work of the thread. It holds no Qt object: Qt objects must not be deleted in another thread."""

    def __init__(self, title: str, make_steps: Callable[[Stop], Steps[Any]]) -> None:
        self.title = title
        self.make_steps = make_steps
        self.stop_requested = Flag()
        self.events: deque[Event | _Returned | _Failed] = deque()

    def abandon(self) -> None:
        """Stop, and discard all further events: their receiver is gone."""
        self.stop_requested.set()
        self.events = deque(maxlen=0)

    def __call__(self) -> None:
        # The dock must show every exception, so none may leave the thread.
        try:
            self.events.append(_Returned(run(self.make_steps(self.stop_requested.is_set), self._append)))
        except Exception as error:
            self.events.append(_Failed(error_message(error, self.title), isinstance(error, Stopped)))
        finally:
            del self.make_steps  # frees the copied layers

    def _append(self, event: Event) -> None:
        self.events.append(event)


def error_message(error: Exception, title: str) -> str:
    """Return the message to show for an exception in the work `title`. The traceback of a defect goes into the log."""
    if is_user_error(error):
        return sentence_of(error) or f"{title} failed ({type(error).__name__})."
    _LOG.error("%s failed", title, exc_info=error)
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"{title} failed ({first_line}). The details are in the log."


class _Title:
    """The title that napari shows for the work when it asks whether to close while work is running."""

    def __init__(self, title: str) -> None:
        self.title = title

    def __repr__(self) -> str:
        return self.title

    def __call__(self) -> None:
        """Do nothing: the thread does the work."""


class _NapariTask(FunctionWorker):
    """The entry of the work in napari's task list: napari shows its status, and calls `quit` when the viewer closes.

    It never runs. `FunctionWorker.run` would change how the whole process handles warnings, and of two overlapping
    runs, the last one to end would restore the settings of the other.
    """

    stop_requested: Flag | None = None

    def quit(self) -> None:
        """Ask the work to stop."""
        super().quit()
        if self.stop_requested is not None:
            self.stop_requested.set()


def _list_in_napari(title: str, stop_requested: Flag, thread: Thread) -> None:
    """Add the thread's work to napari's list of running tasks, and mark it there as finished when the thread ends.

    The timer belongs to the application, not to the dock: the work may end after its dock is closed.
    """
    task = create_worker(_Title(title), _start_thread=False, _worker_class=_NapariTask)
    task.stop_requested = stop_requested
    task.started.emit()
    timer = QTimer(QCoreApplication.instance())

    def check() -> None:
        if not thread.is_alive():
            timer.stop()
            timer.deleteLater()
            task.finished.emit()

    timer.timeout.connect(check)
    timer.start(_INTERVAL)


class BackgroundRun(QObject):
    """One run of a job's steps in a thread. All signals are emitted on the main thread.

    Attributes
    ----------
    happened
        Signal with the list of new events.
    returned
        Signal with the result.
    stopped
        Signal with a message, if the run was stopped before there was a result.
    failed
        Signal with a message, if the run raised an exception.
    """

    happened = Signal(list)
    returned = Signal(object)
    stopped = Signal(str)
    failed = Signal(str)

    def __init__(self, title: str, make_steps: Callable[[Stop], Steps[Any]], parent: QObject) -> None:
        super().__init__(parent)
        self._work = work = _Work(title, make_steps)
        # A destroyed dock stops its run, which then keeps its finished results. Qt holds a bound method weakly, but
        # would call a closure even after the garbage collector has cleared it.
        self.destroyed.connect(work.abandon)
        self._timer = QTimer(self)
        self._timer.setInterval(_INTERVAL)
        self._timer.timeout.connect(self.deliver)
        self.title = title
        self.worker_thread = Thread(target=work, name=title)
        self.running = False

    def start(self) -> None:
        """Start the thread. Python waits for it at exit, so that a stopped training can still save its model."""
        self.running = True
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.stop)
        self.worker_thread.start()
        _list_in_napari(self.title, self._work.stop_requested, self.worker_thread)
        self._timer.start()

    def stop(self) -> None:
        """Ask the work to stop. It stops between two steps, and keeps its finished results."""
        self._work.stop_requested.set()

    @property
    def stop_requested(self) -> bool:
        """Whether the work was asked to stop."""
        return self._work.stop_requested.is_set()

    def deliver(self) -> None:
        """Emit the new events, and the outcome if the run has ended."""
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
            (self.stopped if outcome.stopped else self.failed).emit(outcome.message)
