"""Long work is a generator that yields small frozen events and returns its result.

The docks, the command line, notebooks and tests all drain the same generator; whoever drains it decides what to show.
A stop is a predicate (`Stop`) that the generator asks between two steps: when it says yes, the generator returns what
it has made so far.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from .errors import Stopped, UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tqdm import tqdm


@dataclass(frozen=True)
class Progress:
    """One step of `total` is done; `loss` and its noise `quartiles` (lowest noise first) while training.

    `total` is 0 while the number of steps is not yet known, `seconds_left` infinite where nobody knows.
    """

    stage: str
    step: int
    total: int
    seconds_left: float
    loss: float | None = None
    quartiles: tuple[float, ...] = ()


@dataclass(frozen=True)
class Preview:
    """Images of the moment, (N, Y, X), in the units of the result."""

    stage: str
    step: int
    images: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Generated:
    """Image `index` of a run is ready: (Y, X), in the training images' units."""

    image: npt.NDArray[np.float32]
    index: int
    seed: int


@dataclass(frozen=True)
class TileDone:
    """These rows and columns of plane `plane` are final; in output pixels."""

    plane: int
    rows: slice
    columns: slice


@dataclass(frozen=True)
class Note:
    """Something a person should read, in one sentence."""

    message: str


@dataclass(frozen=True)
class PartDone:
    """Part `index` of work in several parts is finished; stopping the rest does not take its result back."""

    index: int
    result: Any


Event: TypeAlias = Progress | Preview | Generated | TileDone | PartDone | Note
Result = TypeVar("Result")
Steps: TypeAlias = Generator[Event, None, Result]
Stop: TypeAlias = Callable[[], bool]


def never() -> bool:
    """Never stop."""
    return False


def run(steps: Steps[Result], on_event: Callable[[Event], object] | None = None) -> Result:
    """Drain `steps`, pass each event to `on_event`, and return the result."""
    # Whatever `on_event` raises, the work gives back what it holds: a device's memory, a file half written.
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # StopIteration carries the generator's result
            if on_event is not None:
                on_event(event)


def is_for_people(error: BaseException) -> bool:
    """Return whether the message of an error is enough for a person; any other error is a defect with a traceback.

    The class decides. The errors of this package for users and its stops are for people, as are those of the operating
    system about files and memory.
    """
    if isinstance(error, (UserError, Stopped, OSError, MemoryError)):
        return True
    # until every raise is an InputError
    return isinstance(error, ValueError) and str(error).endswith(".") and _raised_here(error)


def _raised_here(error: BaseException) -> bool:
    """Return whether a line of this package raised an error: other libraries write sentences, too."""
    # until every raise is an InputError
    rooms = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(rooms) and rooms[-1].partition(".")[0] == __package__


@contextmanager
def stop_on_interrupt() -> Iterator[Stop]:
    """Make the first Ctrl-C a stop that keeps the result, and the second one an ordinary KeyboardInterrupt.

    Outside the main thread, where Python delivers no signals, the predicate never says yes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield never
        return
    asked = threading.Event()
    previous = signal.getsignal(signal.SIGINT)

    def ask(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, previous)


class Countdown:
    """Seconds left of a known number of steps, from the speed of the recent ones."""

    def __init__(self, done: int, total: int) -> None:
        self._total = total
        self._marks = [(time.monotonic(), done)]

    def left(self, done: int) -> float:
        """Return the expected seconds until `total`, after `done` steps."""
        now = time.monotonic()
        self._marks.append((now, done))
        # A window of half a minute follows a machine that gets busier without jumping about.
        while len(self._marks) > 2 and now - self._marks[1][0] > 30:
            self._marks.pop(0)
        began, before = self._marks[0]
        return (now - began) / max(done - before, 1) * (self._total - done)


def clock(seconds: float) -> str:
    """Return seconds as people read them: 1:05, or 2:03:04."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _left(event: Progress) -> str:
    return f"  {clock(event.seconds_left)} left" if math.isfinite(event.seconds_left) else ""


class Reporter:
    """Show events on standard error: a bar with the time left on a terminal, plain lines anywhere else.

    Parameters
    ----------
    every
        Seconds between two lines where there is no terminal.
    """

    def __init__(self, every: float = 20.0) -> None:
        self._every = every
        self._last = 0.0
        self._stage = ""
        self._bar: tqdm[object] | None = None

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Note):
            self._write(event.message)
        elif isinstance(event, Progress):
            self._progress(event)

    def close(self) -> None:
        """End the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _write(self, line: str) -> None:
        if self._bar is not None:
            self._bar.clear()
        print(line, file=sys.stderr, flush=True)

    def _progress(self, event: Progress) -> None:
        loss = "" if event.loss is None else f"  loss {event.loss:.4f}"
        if event.stage != self._stage:
            self.close()
            self._stage, self._last = event.stage, 0.0
        if sys.stderr.isatty():
            self._draw(event, loss)
        elif time.monotonic() - self._last >= self._every or event.step == event.total:
            self._last = time.monotonic()
            left = "" if event.step == event.total else _left(event)
            total = f"/{event.total}" if event.total else ""
            self._write(f"{event.stage}: {event.step}{total}{loss}{left}")

    def _draw(self, event: Progress, loss: str) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=event.total or None, bar_format="{desc} {bar} {n_fmt}/{total_fmt}{postfix}")
        self._bar.set_description_str(event.stage, refresh=False)
        self._bar.set_postfix_str(f"{loss}{_left(event)}", refresh=False)
        self._bar.total = event.total or None
        self._bar.n = event.step
        if event.step == event.total:
            self._bar.refresh()
        else:
            self._bar.update(0)
