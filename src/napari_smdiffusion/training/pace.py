"""The pace of a training: its length in steps or in time, the time left, and the share that is done.

A training of some minutes has no fixed number of steps. The number is planned again after every step, from the speed of
the newest steps, and the schedule of the learning rate follows the share of the time. So the training ends in time with
a learning rate of 0, also if the machine becomes slower or faster.
"""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.events import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .state import TrainingState

ENOUGH_STEPS = 300  # a model of fewer steps has hardly learned anything; those of the benchmarks had 500 and more
PREVIEWS = 10  # per run
_WINDOW = 30.0  # s; the speed is that of the steps in this time
_FEWEST, _MOST = 3, 200  # steps that the speed is measured over
_EARLY = 0.1  # share of the time that the start of a run may take, until its steps are counted
_CLEARLY = 1.1  # times the fewest steps of use, from which on a report of too few is withdrawn
_PREVIEW_SHARE = 0.1  # of the time, that previews take at most, and that is reserved for the one at the end at most
_CALIBRATION_SHARE = 0.25  # of the time, that the work after the training takes at most


@dataclass(frozen=True)
class Budget:
    """Length of a training: `steps` where they are set, otherwise `minutes`.

    Parameters
    ----------
    minutes, steps
        The length. `minutes` include the work after the training.
    after
        Measures how long the work after the training will take, in s; None if there is none.
    began
        `time.monotonic()` at the start of the preparations, which are a part of the minutes; None without any.
    """

    minutes: float
    steps: int | None = None
    after: Callable[[], float] | None = None
    began: float | None = None


def enough(steps: int) -> bool:
    """Return whether a model of this many training steps may be of use."""
    return steps >= ENOUGH_STEPS


class Pace:
    """The speed and the plan of one run. It sets `total` and `seconds` of the state.

    Parameters
    ----------
    state
        The run. Its `seconds` are None if its length is a number of steps.
    budget
        The length of a run that has no number of steps yet.
    """

    def __init__(self, state: TrainingState, budget: Budget) -> None:
        if state.total is None and budget.steps is not None:
            state.total = budget.steps
        elif state.total is None and state.seconds is None:
            state.seconds = 0.0
        self._state, self._budget = state, budget
        now = time.monotonic()
        prepared = now - (budget.began if budget.began is not None else now)
        self._length = budget.minutes * 60
        # A long preparation must not take the time of the training.
        self._began = now - (state.seconds or 0.0) - min(prepared, _EARLY * self._length)
        self._steps: deque[float] = deque(maxlen=_MOST)  # seconds of the newest steps
        self._first: float | None = None  # s; the first step also allocates memory and chooses algorithms
        self._over = self.timed and state.step > 0 and self._begun() >= self._length
        self._costs = {"preview": 0.0, "save": 0.0}  # s, of the newest one
        self._after: list[float] = []  # duration of the work after the training, in steps
        self._last_preview = now
        self._warned = self._withdrawn = False

    @property
    def timed(self) -> bool:
        """Whether the length of the run is a time."""
        return self._state.seconds is not None

    def share(self) -> float:
        """Return the share of the run that is done, 0 to 1."""
        if not self.timed:
            return self._state.step / max(1, self._state.total or 1)
        end = max(self._training_end(), 1e-6)
        return min(1.0, self._begun() / end)

    def done(self) -> bool:
        """Return whether the run has its length: a further step would end later than it should."""
        state = self._state
        return self._over if self.timed else state.total is not None and state.step >= state.total

    @contextmanager
    def timing(self, work: str) -> Iterator[None]:
        """Measure a "step", a "preview" or a "save" in the block."""
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        if work != "step":
            self._costs[work] = seconds
        elif self._first is None:
            self._first = seconds
        else:
            self._steps.append(seconds)
        if work == "preview":
            self._last_preview = time.monotonic()

    def plan(self) -> Iterator[Note]:
        """Plan the number of steps after a step; yield a note if the time is too short for a useful model.

        The note comes once. If the machine becomes faster and the time suffices after all, another note withdraws it.
        """
        state = self._state
        if not self.timed:
            return
        self._measure_after()
        state.seconds = self._begun()
        left, per_step = self._training_end() - state.seconds, self._per_step()
        self._over = left < per_step / 2
        if self._over:
            state.total = state.step
            return
        # Some systems update the clock every 16 ms only: the first steps may seem to take no time.
        if per_step == 0 or (len(self._steps) < _FEWEST and state.seconds < _EARLY * self._length):
            return
        left -= self._previews_seconds(left)
        state.total = state.step + max(1, round(left / per_step))
        if not self._warned and not enough(state.total):
            self._warned = True
            yield Note(
                f"Only about {state.total} training steps fit into the time, and a useful model needs at least "
                f"{ENOUGH_STEPS}: choose a longer time, or close other programs."
            )
        elif self._warned and not self._withdrawn and enough(round(state.total / _CLEARLY)):
            self._withdrawn = True
            yield Note(f"Training became faster: about {state.total} steps fit into the time now, which is enough.")

    def preview_due(self, previous_share: float) -> bool:
        """Return whether a preview is made after a step that began at `previous_share`: ten times in a run."""
        state = self._state
        if not self.timed:
            return bool(state.total) and state.step % max(1, (state.total or 1) // PREVIEWS) == 0
        if self.done():
            return True  # a picture of the result
        # On a slow machine a preview takes long: at most a tenth of the time is spent on previews.
        rest = (1 / _PREVIEW_SHARE - 1) * self._costs["preview"]
        rested = time.monotonic() - self._last_preview >= rest
        return rested and math.floor(self.share() * PREVIEWS) > math.floor(previous_share * PREVIEWS)

    def finish(self) -> None:
        """Note the time that the run has taken, with its last preview and save."""
        if self.timed:
            self._state.seconds = self._begun()

    def seconds_left(self) -> float:
        """Return the expected time in s until the run and the work after it are done."""
        state = self._state
        if self.timed:
            return max(0.0, self._length - self._begun())
        steps = max(0, (state.total or 0) - state.step)
        if self._first is None:
            return math.inf
        every = max(1, (state.total or 1) // PREVIEWS)
        return steps * self._per_step() + steps // every * self._costs["preview"]

    def after_seconds(self) -> float:
        """Return the expected duration of the work after the training in s; 0 if there is none."""
        return sum(self._after) / len(self._after) * self._per_step() if self._after else 0.0

    def _training_end(self) -> float:
        """Return when the last step of a run of some time should end, in s since its start."""
        after = min(self.after_seconds(), _CALIBRATION_SHARE * self._length)
        # The first preview also loads and allocates, so the last one takes less than a slow first one.
        preview = min(self._costs["preview"], _PREVIEW_SHARE * self._length)
        return self._length - after - preview - self._costs["save"]

    def _measure_after(self) -> None:
        """Measure the work after the training twice: in steps, its duration follows the speed of the machine."""
        due = len(self._after) < 1 + (self.share() > 0.5)
        if self._budget.after is not None and due and self._steps and self._per_step() > 0:
            self._after.append(self._budget.after() / self._per_step())

    def _begun(self) -> float:
        """Return the time since the start of the training in s, without the time between two of its runs."""
        return time.monotonic() - self._began

    def _per_step(self) -> float:
        """Return the mean duration of the newest steps in s; 0 before the first one."""
        if not self._steps:
            return self._first or 0.0
        total, count = 0.0, 0
        for seconds in reversed(self._steps):
            total, count = total + seconds, count + 1
            if total > _WINDOW and count >= _FEWEST:
                break
        return total / count

    def _previews_seconds(self, left: float) -> float:
        """Return how much of the time that is left, in s, the previews before the last one take."""
        previews = max(0, PREVIEWS - 1 - math.floor(self.share() * PREVIEWS))
        # The first preview takes longer than the next ones, and long ones are made less often: see `preview_due`.
        return min(previews * self._costs["preview"], _PREVIEW_SHARE * left)
