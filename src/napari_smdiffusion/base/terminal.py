"""Progress on a terminal, and Ctrl-C, which stops a job and keeps its result."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .events import Event, Note, Progress, Stop, never
from .printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tqdm import tqdm


@contextmanager
def stop_on_interrupt() -> Iterator[Stop]:
    """Yield a `Stop` that returns True after the first Ctrl-C; the second Ctrl-C is a KeyboardInterrupt.

    Python delivers signals only to the main thread. In other threads the `Stop` always returns False.
    """
    if threading.current_thread() is not threading.main_thread():
        yield never
        return
    stop_requested = threading.Event()
    previous = signal.getsignal(signal.SIGINT)

    def request_stop(*_: object) -> None:
        stop_requested.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, request_stop)
    try:
        yield stop_requested.is_set
    finally:
        signal.signal(signal.SIGINT, previous)


def clock(seconds: float) -> str:
    """Return a time in s as minutes and seconds (1:05), or with hours (2:03:04)."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _time_left(event: Progress) -> str:
    return f"  {clock(event.seconds_left)} left" if math.isfinite(event.seconds_left) else ""


class Reporter:
    """Shows events on standard error: a bar with the time left on a terminal, and lines elsewhere.

    Parameters
    ----------
    every
        Time between two lines in s, if standard error is no terminal.
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
        """Close the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _write(self, line: str) -> None:
        if self._bar is not None:
            self._bar.clear()
        print(printable(line), file=sys.stderr, flush=True)

    def _progress(self, event: Progress) -> None:
        loss = "" if event.loss is None else f"  loss {event.loss:.4f}"
        if event.stage != self._stage:
            self.close()
            self._stage, self._last = event.stage, 0.0
        if sys.stderr.isatty():
            self._draw(event, loss)
        elif time.monotonic() - self._last >= self._every or event.step == event.total:
            self._last = time.monotonic()
            left = "" if event.step == event.total else _time_left(event)
            total = f"/{event.total}" if event.total else ""
            self._write(f"{event.stage}: {event.step}{total}{loss}{left}")

    def _draw(self, event: Progress, loss: str) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=event.total or None, bar_format="{desc} {bar} {n_fmt}/{total_fmt}{postfix}")
        self._bar.set_description_str(event.stage, refresh=False)
        self._bar.set_postfix_str(f"{loss}{_time_left(event)}", refresh=False)
        self._bar.total = event.total or None
        self._bar.n = event.step
        if event.step == event.total:
            self._bar.refresh()
        else:
            self._bar.update(0)
