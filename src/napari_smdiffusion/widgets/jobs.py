"""The bridge between long work, a generator that runs in a thread, and the docks, which live in the event loop.

The thread only puts events into a queue; a timer of the event loop takes them out ten times a second. So nothing of Qt
is touched by the thread, a dock that is gone receives nothing, and a run's late events cannot reach the next one.
"""

from __future__ import annotations

import gc
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
from qtpy.QtCore import QObject, QTimer, Signal

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
    thread.start()
    return thread


@dataclass(frozen=True)
class _Returned:
    value: Any


@dataclass(frozen=True)
class _Failed:
    sentence: str
    stopped: bool


class _Work:
    """What the thread runs. napari shows its text when it asks whether to close with work running."""

    def __init__(self, what: str, make_steps: Callable[[Stop], Steps[Any]]) -> None:
        self.what = what
        self.make_steps = make_steps
        self.asked = Flag()
        self.events: deque[Event | _Returned | _Failed] = deque()
        self.worker: FunctionWorker | None = None
        self._spared = False

    def __repr__(self) -> str:
        return self.what

    def stop(self) -> bool:
        """Tell whether a person, or napari when it closes, asked to stop."""
        return self.asked.is_set() or (self.worker is not None and self.worker.abort_requested)

    def __call__(self) -> None:
        # The worker loses RuntimeErrors, which is what torch raises: no exception may leave this function.
        try:
            steps = self.make_steps(self.stop)
            while True:
                try:
                    self.events.append(next(steps))
                except StopIteration as finished:
                    self.events.append(_Returned(finished.value))
                    return
                self._spare_event_loop()
        except Exception as error:
            stopped = isinstance(error, InterruptedError)
            if not (stopped or _is_ours(error)):
                _LOG.exception("%s failed", self.what)
            self.events.append(_Failed(sentence(error, self.what), stopped))
        finally:
            gc.unfreeze()

    def _spare_event_loop(self) -> None:
        """Keep what is loaded by the first step, napari and torch, out of garbage collections while the work runs.

        Looking through all of it stops every thread, the event loop's too, and finds nothing.
        """
        if not self._spared:
            self._spared = True
            gc.freeze()


def _is_ours(error: Exception) -> bool:
    """Tell whether the message was written for people: what this package raises of its own accord."""
    return isinstance(error, (ValueError, OSError, MemoryError, InterruptedError, ArithmeticError)) and str(
        error
    ).endswith(".")


def sentence(error: Exception, what: str) -> str:
    """Return what to tell a person about an exception."""
    if _is_ours(error):
        return str(error)
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"{what} failed ({first}). The layers are as they were; the details are in the log."


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
        # A dock that is destroyed takes its job with it; the thread then stops by itself and keeps what it made.
        self.destroyed.connect(lambda: work.asked.set())
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self._deliver)
        self.running = False

    def start(self) -> None:
        """Start the thread."""
        self.running = True
        self._work.worker = create_worker(self._work, _start_thread=False)
        self._work.worker.start()
        self._timer.start()

    def stop(self) -> None:
        """Ask the work to stop and keep what it has made; it does so between two of its steps."""
        self._work.asked.set()

    def _deliver(self) -> None:
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
