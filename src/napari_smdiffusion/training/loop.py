"""The training loop."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..base.errors import Stopped, UserError
from ..base.events import Countdown, Note, Preview, Progress, Steps, Stop, never
from .state import TrainingState, _copy_to, with_averaged_weights
from .task import AccumulatedGradients, Task

if TYPE_CHECKING:
    from collections.abc import Callable


_TIMED_STEPS = 20  # steps timed before the minutes are turned into a number of steps
_CHECKPOINT_SECONDS = 40.0
_PREVIEWS = 10  # per run


class TrainingDivergedError(UserError, ArithmeticError):
    """The loss is infinite, NaN or far above its first values."""


@dataclass(frozen=True)
class Budget:
    """Length of a training: `steps` where they are set, otherwise `minutes`."""

    minutes: float
    steps: int | None = None


def optimize_steps(
    state: TrainingState,
    task: Task,
    budget: Budget,
    *,
    stop: Stop = never,
    checkpoint: Callable[[TrainingState, bool], None] | None = None,
    device: torch.device,
) -> Steps[None]:
    """Train `state` until its budget is used up or `stop` returns True; its network then has the averaged weights.

    Parameters
    ----------
    state
        The run, which this function changes in place.
    task
        It draws the batches and computes the losses.
    budget
        Steps or minutes, for a run that has no number of steps yet.
    stop
        Called before every step.
    checkpoint
        Function that saves a state. It is called about every 40 seconds with False, and once at the end with True.
    device
        The device of the network.

    Yields
    ------
    Progress at every step, Preview at the start and about ten times, Note when memory runs out or a save fails.

    Raises
    ------
    TrainingDivergedError
        If the loss becomes infinite or NaN, or rises far above its first values.
    MemoryError
        If a single example does not fit into memory.
    Stopped
        If the training is stopped before the first step.
    """
    state.network.train()
    state.total = budget.steps if state.total is None else state.total
    accumulate, save_sometimes = AccumulatedGradients(task, device), _TimedCheckpoint(checkpoint)
    seconds_left = _SecondsLeft(state, budget)
    if state.step == 0:  # the untrained network, as the baseline of the later previews
        yield from _preview(state, task)
    while (state.total is None or state.step < state.total) and not stop():
        batch = task.draw(state.step)
        yield from accumulate(state.network, batch)
        _note_losses(state, accumulate.losses, batch.quartile)
        state.update()
        yield _progress(task.stage, state, accumulate.losses, seconds_left(state))
        if _preview_due(state) and not stop():
            yield from _preview(state, task)
        yield from save_sometimes(state)
    if not state.step:
        raise Stopped("Stopped before the first step: nothing was trained.")
    if checkpoint is not None:
        checkpoint(state, True)
    _copy_to(state.network, state.average)
    state.network.eval()


def _note_losses(state: TrainingState, losses: torch.Tensor, quartile: torch.Tensor | None) -> None:
    """Add the losses of a step, (B,), to the curve, or raise a TrainingDivergedError."""
    if not bool(torch.isfinite(losses).all()):
        raise TrainingDivergedError(
            f"The loss became {float(losses.mean())} at step {state.step}: train again with a lower learning rate."
        )
    state.note_loss(losses, quartile)
    if state.has_diverged():
        raise TrainingDivergedError(
            f"The loss rose instead of falling, to {state.curve[-1][1]:.3g} at step {state.step}: train again "
            "with a lower learning rate."
        )


class _TimedCheckpoint:
    """Save a state when the last save was long enough ago."""

    def __init__(self, checkpoint: Callable[[TrainingState, bool], None] | None) -> None:
        self._checkpoint = checkpoint
        self._last_saved = time.monotonic()

    def __call__(self, state: TrainingState) -> Steps[None]:
        """Save the state if it is time; a save that fails is a note."""
        if self._checkpoint is None or time.monotonic() - self._last_saved <= _CHECKPOINT_SECONDS:
            return
        try:
            self._checkpoint(state, False)
        except OSError as error:  # for example a network drive that is briefly unavailable
            yield Note(f"{error} The training continues, and the next save is tried soon.")
        self._last_saved = time.monotonic()


def _progress(stage: str, state: TrainingState, losses: torch.Tensor, seconds_left: float) -> Progress:
    quartiles = tuple(state.curve[-1][2:]) if state.curve else ()
    return Progress(stage, state.step, state.total or 0, seconds_left, float(losses.mean()), quartiles)


def _preview_due(state: TrainingState) -> bool:
    return bool(state.total) and state.step % max(1, (state.total or 1) // _PREVIEWS) == 0


def _preview(state: TrainingState, task: Task) -> Steps[None]:
    """Yield a preview with the averaged weights, if the task makes one."""
    with with_averaged_weights(state) as network:
        images = task.preview(network)
    if images is not None:
        yield Preview(task.stage, state.step, images)


class _SecondsLeft:
    """Set the number of steps of a run as soon as it is known, and estimate the time that is left."""

    def __init__(self, state: TrainingState, budget: Budget) -> None:
        self._clock = _BudgetClock(budget.minutes)
        self._budget_seconds = budget.minutes * 60
        self._countdown = Countdown(state.step, state.total) if state.total else None

    def __call__(self, state: TrainingState) -> float:
        """Return the seconds left after a step."""
        if state.total is None:
            state.total = self._clock.total(state.step)
        if self._countdown is None and state.total:
            self._countdown = Countdown(state.step, state.total)
        return self._countdown.left(state.step) if self._countdown else self._budget_seconds


class _BudgetClock:
    """Convert minutes into a number of steps, from the measured time of the first steps."""

    def __init__(self, minutes: float) -> None:
        self._budget_seconds = minutes * 60
        self._began = time.monotonic()
        self._after_first: tuple[float, int] | None = None

    def total(self, steps_done: int) -> int | None:
        """Return the number of steps that fills the budget, or None while too few steps have been timed."""
        now = time.monotonic()
        if self._after_first is None:
            # The first step is slower: it also allocates buffers and chooses algorithms.
            self._after_first = now, steps_done
            return None if now - self._began < self._budget_seconds else steps_done
        first_time, first_steps = self._after_first
        enough = steps_done - first_steps >= _TIMED_STEPS or now - self._began > self._budget_seconds / 10
        # Some systems update the clock every 16 ms only: two readings may be equal.
        if not enough or now == first_time:
            return None
        per_step = (now - first_time) / (steps_done - first_steps)
        seconds_left = self._budget_seconds - (now - self._began)
        return steps_done + max(0, math.floor(seconds_left / per_step))
