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

    import numpy as np
    import numpy.typing as npt
_MEASURED = 20  # steps whose time fixes the number of steps
_CHECKPOINT_SECONDS = 40.0
_PREVIEWS = 10  # per run


class TrainingDivergedError(UserError, ArithmeticError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Budget:
    """How long to train: minutes, or steps where they are given."""

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
    """Train `state` until its budget is used up or `stop` says so; the averaged weights are then in the network.

    `checkpoint` is called now and then, and once when the training has ended, which it is told.

    Yields
    ------
    Progress at every step, Preview at the start and a few times, Note when memory ran out and the batch was cut.

    Raises
    ------
    TrainingDivergedError
        If the loss becomes infinite or NaN, or far larger than it was at first.
    MemoryError
        If not even one example at a time fits.
    Stopped
        If it was stopped before the first step.
    """
    state.network.train()
    if state.total is None:
        state.total = budget.steps
    accumulate = AccumulatedGradients(task, device)
    clock = _BudgetClock(budget.minutes)
    saved = time.monotonic()
    # The untrained network's samples: what the later ones are to be seen to improve on.
    if state.step == 0 and (images := _previewed(state, task)) is not None:
        yield Preview(task.stage, 0, images)
    countdown = Countdown(state.step, state.total) if state.total else None
    while (state.total is None or state.step < state.total) and not stop():
        batch = task.draw(state.step)
        yield from accumulate(state.network, batch)
        losses = accumulate.losses
        if not bool(torch.isfinite(losses).all()):
            raise TrainingDivergedError(
                f"The loss became {float(losses.mean())} at step {state.step}: train again with a lower learning rate."
            )
        state.note_loss(losses, batch.quartile)
        if state.has_diverged():
            raise TrainingDivergedError(
                f"The loss rose instead of falling, to {state.curve[-1][1]:.3g} at step {state.step}: train again "
                "with a lower learning rate."
            )
        state.update()
        if state.total is None:
            state.total = clock.total(state.step)
        countdown = countdown or (Countdown(state.step, state.total) if state.total else None)
        left = countdown.left(state.step) if countdown else budget.minutes * 60
        yield _progress(task.stage, state, losses, left)
        if _preview_due(state) and not stop() and (images := _previewed(state, task)) is not None:
            yield Preview(task.stage, state.step, images)
        if checkpoint is not None and time.monotonic() - saved > _CHECKPOINT_SECONDS:
            try:
                checkpoint(state, False)
            except OSError as error:  # a network drive that is away for a moment
                yield Note(f"{error} The training goes on, and it is tried again soon.")
            saved = time.monotonic()
    if not state.step:
        raise Stopped("Stopped before the first step: nothing was trained.")
    if checkpoint is not None:
        checkpoint(state, True)
    _copy_to(state.network, state.average)
    state.network.eval()


def _progress(stage: str, state: TrainingState, losses: torch.Tensor, left: float) -> Progress:
    quartiles = tuple(state.curve[-1][2:]) if state.curve else ()
    return Progress(stage, state.step, state.total or 0, left, float(losses.mean()), quartiles)


def _preview_due(state: TrainingState) -> bool:
    return bool(state.total) and state.step % max(1, (state.total or 1) // _PREVIEWS) == 0


def _previewed(state: TrainingState, task: Task) -> npt.NDArray[np.float32] | None:
    with with_averaged_weights(state) as network:
        return task.preview(network)


class _BudgetClock:
    """Turn minutes into a number of steps, from the time of the first ones."""

    def __init__(self, minutes: float) -> None:
        self._budget = minutes * 60
        self._began = time.monotonic()
        self._after_first: tuple[float, int] | None = None

    def total(self, done: int) -> int | None:
        """Return the number of steps that fills the budget, or None while too few were timed."""
        now = time.monotonic()
        if self._after_first is None:
            # The first step also makes buffers and chooses algorithms.
            self._after_first = now, done
            return None if now - self._began < self._budget else done
        since, before = self._after_first
        enough = done - before >= _MEASURED or now - self._began > self._budget / 10
        # The clock of some systems stands still for 16 ms.
        if not enough or now == since:
            return None
        per_step = (now - since) / (done - before)
        return done + max(0, math.floor((self._budget - (now - self._began)) / per_step))
