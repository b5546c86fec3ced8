"""The training loop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from ..base.errors import Stopped, UserError, sentence_of
from ..base.events import Note, Preview, Progress, Steps, Stop, never
from .pace import Budget, Pace
from .processes import Processes
from .state import TrainingState, _copy_to, with_averaged_weights
from .task import AccumulatedGradients, Task
from .threads import ThreadChoice

if TYPE_CHECKING:
    from collections.abc import Callable


_CHECKPOINT_SECONDS = 40.0


class TrainingDivergedError(UserError, ArithmeticError):
    """The loss is infinite, NaN or far above its first values."""


def optimize_steps(
    state: TrainingState,
    task: Task,
    budget: Budget,
    *,
    stop: Stop = never,
    checkpoint: Callable[[TrainingState, bool], None] | None = None,
    device: torch.device,
    threads: ThreadChoice | None = None,
    processes: Processes | None = None,
) -> Steps[None]:
    """Train `state` until its budget is used up or `stop` returns True. Its network then has the averaged weights.

    Parameters
    ----------
    state, task
        The run, which this function changes in place, and the task that draws its batches and computes its losses.
    budget
        Steps or minutes, for a run that has no number of steps yet.
    stop
        Called before every step.
    checkpoint
        Function that saves a state. It is called about every 40 seconds with False, and once at the end with True.
    device, threads
        The device of the network, and the choice of the number of threads. A training of a number of steps leaves the
        number as it is, so that its result depends on its seed alone.
    processes
        The processes that train together; None for this one alone. The first one makes the previews and saves.

    Yields
    ------
    Progress at every step, Preview at the start and about ten times. Note when memory runs out, a save fails, or the
    time is too short.

    Raises
    ------
    TrainingDivergedError, MemoryError
        If the loss becomes infinite or NaN, or rises far above its first values; if no example fits into memory.
    Stopped
        If the training is stopped before the first step.
    """
    state.network.train()
    pace, threads = Pace(state, budget), ThreadChoice(device) if threads is None else threads
    processes = processes or Processes()
    if not pace.timed or processes.count > 1:
        threads.count = None
    if not processes.first:
        checkpoint = None
    if state.step == 0 and processes.first:  # the untrained network, as the baseline of the later previews
        yield from _preview(state, task, pace, threads)
    yield from _steps_until_done(
        state, task, AccumulatedGradients(task, device), pace, threads, processes, stop, _TimedCheckpoint(checkpoint)
    )
    if not state.step:
        raise Stopped("Stopped before the first step: nothing was trained.")
    if checkpoint is not None:
        checkpoint(state, True)
    pace.finish()
    _copy_to(state.network, state.average)
    state.network.eval()


def _steps_until_done(
    state: TrainingState,
    task: Task,
    accumulate: AccumulatedGradients,
    pace: Pace,
    threads: ThreadChoice,
    processes: Processes,
    stop: Stop,
    save_sometimes: _TimedCheckpoint,
) -> Steps[None]:
    """Do training steps until all processes agree that the budget is used up, or that one of them is stopped."""
    while True:
        goes_on, share = processes.agree(not pace.done(), stop(), pace.share())
        if not goes_on:
            return
        losses = yield from _step(state, task, accumulate, pace, threads, share, processes)
        yield from pace.plan()
        yield _progress(task.stage, state, losses, pace.seconds_left())
        if processes.first and pace.preview_due(share) and not stop():
            yield from _preview(state, task, pace, threads)
        yield from save_sometimes(state, pace)


def _step(
    state: TrainingState,
    task: Task,
    accumulate: AccumulatedGradients,
    pace: Pace,
    threads: ThreadChoice,
    share: float,
    processes: Processes,
) -> Steps[torch.Tensor]:
    """Do the step that begins at `share` of the budget; yield a Note if memory ran out. Return the losses, (B,)."""
    with pace.timing("step"), threads.step():
        batch = task.draw(state.step)
        notes = list(accumulate(state.network, processes.share_of(batch)))
        losses = processes.add_up(state.network, accumulate.losses, len(batch))
        _note_losses(state, losses, batch.quartile)
        state.update(share if pace.timed else None)
    yield from notes
    return losses


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

    def __call__(self, state: TrainingState, pace: Pace) -> Steps[None]:
        """Save the state if it is time; a save that fails is a note."""
        if self._checkpoint is None or time.monotonic() - self._last_saved <= _CHECKPOINT_SECONDS:
            return
        try:
            with pace.timing("save"):
                self._checkpoint(state, False)
        except OSError as error:  # for example a network drive that is briefly unavailable
            yield Note(f"{sentence_of(error)} The training continues, and the next save is tried soon.")
        self._last_saved = time.monotonic()


def _progress(stage: str, state: TrainingState, losses: torch.Tensor, seconds_left: float) -> Progress:
    quartiles = tuple(state.curve[-1][2:]) if state.curve else ()
    return Progress(stage, state.step, state.total or 0, seconds_left, float(losses.mean()), quartiles)


def _preview(state: TrainingState, task: Task, pace: Pace, threads: ThreadChoice) -> Steps[None]:
    """Yield a preview with the averaged weights, if the task makes one."""
    with pace.timing("preview"), threads.computing(), with_averaged_weights(state) as network:
        images = task.preview(network)
    if images is not None:
        yield Preview(task.stage, state.step, images)
