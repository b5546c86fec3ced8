"""The state of a training run: network, averaged weights, optimizer and loss curve, saved and resumed together."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch

from ..base.devices import to_cpu
from .saved_state import checked_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_WARM_UP = 100  # steps; at most a tenth of the run
_CURVE_EVERY = 20  # steps per point of the loss curve
_DIVERGED = 1.6  # a loss this many times its first values has diverged
_POINTS = 5  # points of the loss curve that are averaged on each side of that comparison
# Learning rate of class embeddings, relative to that of the other weights. They begin at zero, and are added to
# embeddings of the noise level whose values are about 1: at the common rate, 400 steps changed no image.
_CLASS_FACTOR = 30.0
_MAX_DECAY = 0.9995  # largest share of the averaged weights that a step keeps


@dataclass
class LossSums:
    """Sums of the losses since the last point of the loss curve.

    Parameters
    ----------
    total, steps
        Sum of the mean losses of the steps, and number of steps.
    quartiles, counts
        Sum of the losses and number of the examples, for each of the 4 quartiles of the noise level.
    """

    total: float = 0.0
    steps: float = 0.0
    quartiles: list[float] = field(default_factory=lambda: [0.0] * 4)
    counts: list[float] = field(default_factory=lambda: [0.0] * 4)

    def to_list(self) -> list[float]:
        """Return the 10 values in one list, as a saved state stores them."""
        return [self.total, self.steps, *self.quartiles, *self.counts]

    @classmethod
    def from_list(cls, values: Sequence[float]) -> LossSums:
        """Return the sums from a list that `to_list` made."""
        return cls(values[0], values[1], list(values[2:6]), list(values[6:10]))

    def add(self, losses: torch.Tensor, quartile: torch.Tensor | None) -> None:
        """Add the losses (B,) of one step; `quartile` (B,) holds 0 to 3, or is None."""
        self.total += float(losses.mean())
        self.steps += 1
        for q in range(4) if quartile is not None else ():
            in_quartile = losses[quartile == q]
            self.quartiles[q] += float(in_quartile.sum())
            self.counts[q] += len(in_quartile)

    def means(self, previous: Sequence[float]) -> list[float]:
        """Return the mean, followed by the 4 quartile means if the examples have quartiles.

        A quartile without examples keeps its value of `previous`, or gets the mean if `previous` is empty.
        """
        mean = self.total / self.steps
        if not any(self.counts):
            return [mean]
        previous = previous or [mean] * 5
        quartiles = zip(self.quartiles, self.counts, previous[1:], strict=False)
        return [mean, *(total / count if count else last for total, count, last in quartiles)]


@dataclass
class TrainingState:
    """A training run without its data; the only object that changes during the training.

    Parameters
    ----------
    network
        The network that is trained.
    learning_rate
        The highest learning rate of the schedule.
    step, total
        Steps taken, and steps to take. Where the length is a time, `total` is the plan of the moment, and None until
        there is one.
    seconds
        Time that the training has taken in all its runs, in s; None if its length is a number of steps.
    curve
        The loss curve: rows of (step, mean loss, 4 quartile means if there are any).
    sums
        The losses since the last point of the curve.
    """

    network: torch.nn.Module
    learning_rate: float
    step: int = 0
    total: int | None = None
    seconds: float | None = None
    curve: list[list[float]] = field(default_factory=list)
    sums: LossSums = field(default_factory=LossSums)

    def __post_init__(self) -> None:
        self.average = [weights.detach().clone() for weights in self.network.parameters()]
        self.optimizer = _adam(self.network, self.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain values, which torch.load reads with weights_only=True.

        The state dicts of torch are `network` and `optimizer`. The averaged weights are `average`, in the order of the
        network's parameters. The steps taken are `step`, the steps to take are `total`, and the time used is `seconds`.
        The loss curve is `curve`, and the values of `LossSums` are `window`.
        """
        return {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "total": self.total,
            "seconds": self.seconds,
            "curve": self.curve,
            "window": self.sums.to_list(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Load what `state_dict` returned, or a state that an earlier version saved with diffusers.

        Raises
        ------
        TensorFileError
            If a value is missing, or has another type, shape or range. The state is unchanged then.
        """
        average = checked_state(saved, self.network)
        self.network.load_state_dict(saved["network"])
        for own, value in zip(self.average, average, strict=True):
            own.copy_(value)
        # The settings of the optimizer are those of this program, not those in the file.
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": saved["optimizer"]["state"], "param_groups": groups})
        self.step, self.total = saved["step"], saved["total"]
        self.seconds = saved.get("seconds")  # earlier versions fixed the number of steps
        self.curve, self.sums = saved["curve"], LossSums.from_list(saved["window"])

    def update(self, share: float | None = None) -> None:
        """Take one optimizer step with the current gradients, then update the averaged weights.

        `share` is the share of the time that is used, if the length of the training is a time.
        """
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * group["factor"] * _schedule(self.step, self.total, share)
        self.optimizer.step()
        self.network.zero_grad(set_to_none=True)
        self.step += 1
        _average(self.average, [*self.network.parameters()], averaging_decay(self.step))

    def has_diverged(self) -> bool:
        """Return whether the newest points of the loss curve are far above the first points."""
        first, newest = self.curve[:_POINTS], self.curve[-_POINTS:]
        if len(self.curve) < 2 * _POINTS:
            return False
        return sum(row[1] for row in newest) > _DIVERGED * sum(row[1] for row in first)

    def note_loss(self, losses: torch.Tensor, quartile: torch.Tensor | None) -> None:
        """Add the losses (B,) of a step; every 20 steps their means become a point of the loss curve."""
        self.sums.add(losses, quartile)
        if self.sums.steps == _CURVE_EVERY:
            previous = self.curve[-1][1:] if self.curve else []
            self.curve.append([float(self.step + 1), *self.sums.means(previous)])
            self.sums = LossSums()

    def free(self) -> None:
        """Release the memory that only the training needs: gradients, optimizer state and averaged weights."""
        self.network.zero_grad(set_to_none=True)
        del self.optimizer, self.average


def _adam(network: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Return the optimizer. Its parameters have the order of those of the network, as saved states assume."""
    fused = next(network.parameters()).device.type in ("cpu", "cuda")
    classes = {id(module.weight) for module in network.modules() if isinstance(module, torch.nn.Embedding)}
    groups = [
        {"params": list(parameters), "factor": _CLASS_FACTOR if of_classes else 1.0}
        for of_classes, parameters in groupby(network.parameters(), lambda weights: id(weights) in classes)
    ]
    return torch.optim.AdamW(groups, learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=fused)


def _schedule(step: int, total: int | None, share: float | None = None) -> float:
    """Return the learning rate relative to its maximum: a short warm-up, then a linear decay to 0 at the end."""
    if share is not None:  # the number of steps is not known
        return min(1.0, max((step + 1) / _WARM_UP, 10 * share)) * (1 - share)
    if total is None:
        return min(1.0, (step + 1) / _WARM_UP)
    warm_up = min(_WARM_UP, max(1, total // 10))
    return min(1.0, (step + 1) / warm_up) * (1 - step / total)


def averaging_decay(step: int) -> float:
    """Return the share of the averaged weights that step `step` (1, 2, …) keeps.

    It begins at 0, so that the average forgets the first weights.
    """
    return float(min(_MAX_DECAY, 1 - step**-0.75))


@torch.no_grad()
def _average(average: list[torch.Tensor], weights: list[torch.Tensor], decay: float) -> None:
    """Set the average to decay · average + (1 - decay) · weights, in place."""
    torch._foreach_sub_(average, torch._foreach_sub(average, weights), alpha=1 - decay)


@torch.no_grad()
def _copy_to(network: torch.nn.Module, weights: Iterable[torch.Tensor]) -> None:
    for parameter, value in zip(network.parameters(), weights, strict=True):
        parameter.copy_(value)


@contextmanager
def released_when_done(state: TrainingState, device: torch.device) -> Iterator[None]:
    """Release the training's memory and move the network to the CPU at the end of the block, also after an error."""
    try:
        yield
    finally:
        state.free()
        to_cpu(state.network, device)


@contextmanager
def with_averaged_weights(state: TrainingState) -> Iterator[torch.nn.Module]:
    """Put the averaged weights into the network inside the block, and restore its own weights at the end."""
    # The copy is on the CPU, because the memory of the device may be full.
    own = [weights.detach().to("cpu", copy=True) for weights in state.network.parameters()]
    _copy_to(state.network, state.average)
    state.network.eval()
    try:
        yield state.network
    finally:
        state.network.train()
        _copy_to(state.network, own)
