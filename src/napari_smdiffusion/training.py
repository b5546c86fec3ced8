"""The one training loop: time budget, schedule, averaging, checkpoints, stop, resume, and less memory when it runs out.

What is trained is told by a `Task`. Step k's data depend on (seed, k) alone, and the whole state is one object that is
saved whole, so that a run that was cut continues as if it had not been.
"""

from __future__ import annotations

import datetime
import math
import platform
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from . import __version__
from .compute import bring_home, is_out_of_memory, release_memory
from .errors import UserError
from .progress import Countdown, Note, Preview, Progress, Steps, Stop, never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    from .images import Image

_WARM_UP = 100  # steps; at most a tenth of the run
_MEASURED = 20  # steps whose time fixes the number of steps
_CURVE_EVERY = 20  # steps per point of the loss curve
_CHECKPOINT_SECONDS = 40.0
_ASTRAY, _POINTS = 1.6, 5  # times the first points of the loss curve; so many of them, against chance
_PREVIEWS = 10  # per run
_MOST_KEPT = 0.9995  # of the averaged weights at a step


class TrainingDivergedError(UserError, ArithmeticError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Batch:
    """Tensors of equal length along their first axis, and the noise quartile (0 to 3) of each example if it has one."""

    tensors: tuple[torch.Tensor, ...]
    quartile: torch.Tensor | None = None

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Task(Protocol):
    """What is trained."""

    @property
    def stage(self) -> str:
        """What progress is reported as."""

    def draw(self, step: int) -> Batch:
        """Return the examples of a step, which depend on the seed and the step alone."""

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the loss of each example, (B,)."""

    def preview(self, network: torch.nn.Module) -> npt.NDArray[np.float32] | None:
        """Return images that show how far the training is, or None."""


@dataclass(frozen=True)
class Budget:
    """How long to train: minutes, or steps where they are given."""

    minutes: float
    steps: int | None = None


@dataclass
class LossSums:
    """Losses since the last point of the curve: their sum and the steps, and those of the examples of each quartile."""

    total: float = 0.0
    steps: float = 0.0
    quartiles: list[float] = field(default_factory=lambda: [0.0] * 4)
    counts: list[float] = field(default_factory=lambda: [0.0] * 4)

    def to_list(self) -> list[float]:
        """Return all of them in a row, as they stand in a saved state."""
        return [self.total, self.steps, *self.quartiles, *self.counts]

    @classmethod
    def from_list(cls, values: Sequence[float]) -> LossSums:
        """Return `to_list`'s values as what they are."""
        return cls(values[0], values[1], list(values[2:6]), list(values[6:10]))

    def add(self, losses: torch.Tensor, quartile: torch.Tensor | None) -> None:
        """Add the losses of a step, (B,)."""
        self.total += float(losses.mean())
        self.steps += 1
        for q in range(4) if quartile is not None else ():
            chosen = losses[quartile == q]
            self.quartiles[q] += float(chosen.sum())
            self.counts[q] += len(chosen)

    def means(self, before: Sequence[float]) -> list[float]:
        """Return the mean, and the means of the quartiles if there are any; one without examples is where it was."""
        mean = self.total / self.steps
        if not any(self.counts):
            return [mean]
        before = before or [mean] * 5
        pairs = zip(self.quartiles, self.counts, before[1:], strict=False)
        return [mean, *(s / c if c else b for s, c, b in pairs)]


@dataclass
class TrainingState:
    """Everything that a training run is, apart from its data; the only object that changes while it runs."""

    network: torch.nn.Module
    learning_rate: float
    step: int = 0
    total: int | None = None
    curve: list[list[float]] = field(default_factory=list)
    sums: LossSums = field(default_factory=LossSums)

    def __post_init__(self) -> None:
        self.average = [weights.detach().clone() for weights in self.network.parameters()]
        self.optimizer = _adam(self.network, self.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, which torch.load reads with weights_only=True.

        `network` and `optimizer` are the state dicts of torch. `average` is the list of averaged weights, in the order
        of the network's parameters. `step` and `total` are steps taken and steps to take, `curve` the loss curve, and
        `window` the values of `LossSums`.
        """
        return {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "total": self.total,
            "curve": self.curve,
            "window": self.sums.to_list(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`'s values, or from those that versions with diffusers saved."""
        self.network.load_state_dict(saved["network"])
        average = saved["average"]
        average = average["shadow_params"] if isinstance(average, dict) else average
        for mine, value in zip(self.average, average, strict=True):
            mine.copy_(value)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.total = saved["step"], saved["total"]
        self.curve, self.sums = saved["curve"], LossSums.from_list(saved["window"])

    def facts(self) -> dict[str, Any]:
        """Return what a model folder says of the run: the loss curve, and how far it came."""
        return {"curve": self.curve, "steps": self.step, "total_steps": self.total}

    def update(self) -> None:
        """Take one optimizer step with the gradients at hand, and average the weights."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * _schedule(self.step, self.total)
        self.optimizer.step()
        self.network.zero_grad(set_to_none=True)
        self.step += 1
        _average(self.average, [*self.network.parameters()], averaging_decay(self.step))

    def went_astray(self) -> bool:
        """Tell whether the newest points of the curve lie far above the first: the network has unlearned everything."""
        first, newest = self.curve[:_POINTS], self.curve[-_POINTS:]
        if len(self.curve) < 2 * _POINTS:
            return False
        return sum(row[1] for row in newest) > _ASTRAY * sum(row[1] for row in first)

    def note_loss(self, losses: torch.Tensor, quartile: torch.Tensor | None) -> None:
        """Add a step's losses (B,) to the curve: rows of (step, mean, quartile means)."""
        self.sums.add(losses, quartile)
        if self.sums.steps == _CURVE_EVERY:
            before = self.curve[-1][1:] if self.curve else []
            self.curve.append([float(self.step + 1), *self.sums.means(before)])
            self.sums = LossSums()

    def let_go(self) -> None:
        """Forget what only the training itself needs: gradients, the optimizer's memory, the averaged weights."""
        self.network.zero_grad(set_to_none=True)
        del self.optimizer, self.average


def _adam(network: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    fused = next(network.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.AdamW(network.parameters(), learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=fused)


def _schedule(step: int, total: int | None) -> float:
    """Learning rate relative to its highest: a short warm-up, then linearly to zero at the end of the run."""
    if total is None:
        return min(1.0, (step + 1) / _WARM_UP)
    warm_up = min(_WARM_UP, max(1, total // 10))
    return min(1.0, (step + 1) / warm_up) * (1 - step / total)


def averaging_decay(step: int) -> float:
    """Return the share of the average that is kept at a step, from 1 on: 0 at first, so that early weights are lost."""
    return float(min(_MOST_KEPT, 1 - step**-0.75))


@torch.no_grad()
def _average(average: list[torch.Tensor], weights: list[torch.Tensor], kept: float) -> None:
    """Move the average towards the weights."""
    torch._foreach_sub_(average, torch._foreach_sub(average, weights), alpha=1 - kept)


@torch.no_grad()
def _copy_to(network: torch.nn.Module, weights: Iterable[torch.Tensor]) -> None:
    for parameter, value in zip(network.parameters(), weights, strict=True):
        parameter.copy_(value)


@contextmanager
def given_back(state: TrainingState, device: torch.device) -> Iterator[None]:
    """Have the network back on the CPU, and all that the training took of the device free, however it ends."""
    try:
        yield
    finally:
        state.let_go()
        bring_home(state.network, device)


@contextmanager
def with_averaged_weights(state: TrainingState) -> Iterator[torch.nn.Module]:
    """Put the averaged weights into the network for a while."""
    # On the CPU, for the device's memory may be full.
    own = [weights.detach().to("cpu", copy=True) for weights in state.network.parameters()]
    _copy_to(state.network, state.average)
    state.network.eval()
    try:
        yield state.network
    finally:
        state.network.train()
        _copy_to(state.network, own)


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
    InterruptedError
        If it was stopped before the first step.
    """
    state.network.train()
    if state.total is None:
        state.total = budget.steps
    accumulate = _Accumulated(task, device)
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
        if state.went_astray():
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
        raise InterruptedError("Stopped before the first step: nothing was trained.")
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


class _Accumulated:
    """Gradients of a whole batch, computed in parts that fit into memory; the losses are kept in `losses`."""

    def __init__(self, task: Task, device: torch.device) -> None:
        self._task = task
        self._device = device
        self._most_values: int | None = None
        self.losses = torch.empty(0)

    def __call__(self, network: torch.nn.Module, batch: Batch) -> Steps[None]:
        """Run forward and backward over `batch`; when memory runs out, halve the part and start the batch again."""
        values = batch.tensors[0][0].numel()
        part = len(batch) if self._most_values is None else max(1, min(len(batch), self._most_values // values))
        while True:
            try:
                self.losses = self._parts(network, batch, part)
                return
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if part == 1:
                    raise MemoryError(
                        "Memory ran out with a single patch: choose a smaller patch, or close other programs."
                    ) from error
            network.zero_grad(set_to_none=True)
            release_memory()
            part = max(1, part // 2)
            self._most_values = part * values
            yield Note(f"Memory ran out: going on with {part} patches at a time (the batch stays {len(batch)}).")

    def _parts(self, network: torch.nn.Module, batch: Batch, part: int) -> torch.Tensor:
        losses = []
        for start in range(0, len(batch), part):
            tensors = tuple(t[start : start + part].to(self._device) for t in batch.tensors)
            loss = self._task.loss(network, tensors)
            torch.autograd.backward(loss.sum() / len(batch))
            losses.append(loss.detach().float().cpu())
        return torch.cat(losses)


def training_facts(images: Sequence[Image], name: str) -> dict[str, Any]:
    """Return what a model folder says of its training: names and hashes of the images, date and versions."""
    data = [
        {
            "name": Path(image.name).name,
            "shape": list(image.pixels.shape),
            "sha256": image.digest,
            "kind": image.provenance.get("kind", "experimental"),
        }
        for image in images
    ]
    versions = {"napari-smdiffusion": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {"name": name, "training_data": data, "date": datetime.date.today().isoformat(), "versions": versions}
