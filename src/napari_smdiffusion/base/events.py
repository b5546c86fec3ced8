"""Events of a job. A job is a generator that yields small frozen events and returns its result.

The docks, the command line, notebooks and tests run the same generator, and each shows the events in its own form.
A `Stop` is a function that the generator calls between two steps. If the function returns True, the generator returns
its result so far.
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
    """Step `step` of `total` is done.

    Parameters
    ----------
    stage
        Name of the part of the job, such as "training".
    step
        Number of finished steps.
    total
        Number of steps; 0 while it is unknown.
    seconds_left
        Expected time to the end of the stage in s; infinite while it is unknown.
    loss
        Mean loss of the training, or None outside a training.
    quartiles
        Loss in each quartile of the noise levels, lowest noise first; empty outside the training of a diffusion model.
    detail
        What is done, in words for a user, such as "image 2 of 3, tile 4 of 16"; "" if `step` and `total` are enough.
    share
        Share of the whole job that is done; None if it is `step / total`.
    """

    stage: str
    step: int
    total: int
    seconds_left: float
    loss: float | None = None
    quartiles: tuple[float, ...] = ()
    detail: str = ""
    share: float | None = None


@dataclass(frozen=True)
class Preview:
    """Intermediate images at step `step`, (N, Y, X), in the units of the result.

    `names` states what each image shows, if they show different structures.
    """

    stage: str
    step: int
    images: npt.NDArray[np.float32]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Generated:
    """Generated image `index` is ready: (Y, X), in the units of the training images."""

    image: npt.NDArray[np.float32]
    index: int
    seed: int


@dataclass(frozen=True)
class TileDone:
    """The `rows` and `columns` of plane `plane` are final, in pixels of the result."""

    plane: int
    rows: slice
    columns: slice


@dataclass(frozen=True)
class SampleDone:
    """Posterior sample `sample` of plane `plane` is final, and the best estimate of the plane contains it."""

    plane: int
    sample: int


@dataclass(frozen=True)
class Note:
    """A message for the user, in one sentence."""

    message: str


@dataclass(frozen=True)
class PartBegun:
    """Part `index` of a job with several parts begins. The next events are about this part."""

    index: int


@dataclass(frozen=True)
class PartDone:
    """Part `index` of a job with several parts is finished. Its result is kept if the rest is stopped."""

    index: int
    result: Any


Event: TypeAlias = Progress | Preview | Generated | TileDone | SampleDone | PartBegun | PartDone | Note
Result = TypeVar("Result")
Steps: TypeAlias = Generator[Event, None, Result]
Stop: TypeAlias = Callable[[], bool]


def never() -> bool:
    """Return False: the `Stop` of a job that runs to its end."""
    return False


def run(steps: Steps[Result], on_event: Callable[[Event], object] | None = None) -> Result:
    """Run `steps` to its end, pass each event to `on_event`, and return the result."""
    # If `on_event` raises an error, closing the generator frees the device's memory and removes incomplete files.
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # StopIteration carries the generator's result
            if on_event is not None:
                on_event(event)


class Countdown:
    """Estimates the time left for a known number of steps, from the speed of the recent steps.

    The first step is not counted: it is slower by the start of libraries and devices, and an estimate from it would be
    several times too long. It is counted only as long as no other step is finished.
    """

    def __init__(self, done: float, total: float) -> None:
        self._total = total
        self._marks = [(time.monotonic(), done)]
        self._warm = False  # whether the first step was left out

    def left(self, done: float) -> float:
        """Return the expected time in s from `done` steps to all steps; infinite while it is unknown."""
        now = time.monotonic()
        self._marks.append((now, done))
        start_time, start_step = self._marks[0]
        if not self._warm and len(self._marks) == 2 and self._total - start_step > 3 * (done - start_step):
            return float("inf")
        if not self._warm and len(self._marks) > 2:
            self._marks.pop(0)
            self._warm = True
        # A window of 30 s follows changes in the machine's load, and is long enough for a steady estimate.
        while len(self._marks) > 2 and now - self._marks[1][0] > 30:
            self._marks.pop(0)
        start_time, start_step = self._marks[0]
        return (now - start_time) / max(done - start_step, 1) * (self._total - done)
