"""Long work is a generator that yields small frozen events and returns its result.

The docks, the command line, notebooks and tests all drain the same generator; whoever drains it decides what to show.
A stop is a predicate (`Stop`) that the generator asks between two steps: when it says yes, the generator returns what
it has made so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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
