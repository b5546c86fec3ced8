"""Progress of a job on standard error."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .events import Event, Note, Progress
from .lines import write_status

if TYPE_CHECKING:
    from tqdm import tqdm


def clock(seconds: float) -> str:
    """Return a time in s as minutes and seconds (1:05), or with hours (2:03:04)."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _time_left(event: Progress) -> str:
    return f"  {clock(event.seconds_left)} left" if math.isfinite(event.seconds_left) else ""


def _on_terminal() -> bool:
    """Return whether standard error is a terminal."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # it is closed
        return False


class Reporter:
    """Shows events on standard error: a bar with the time left on a terminal, and lines elsewhere.

    No failure to write ends the job: standard error may be closed, full, or a pipe whose reader has ended.

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
            with suppress(OSError, ValueError):
                self._bar.close()
            self._bar = None

    def _write(self, line: str) -> None:
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.clear()
        write_status(line)

    def _progress(self, event: Progress) -> None:
        loss = "" if event.loss is None else f"  loss {event.loss:.4f}"
        if event.stage != self._stage:
            self.close()
            self._stage, self._last = event.stage, 0.0
        if _on_terminal():
            with suppress(OSError, ValueError):
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
