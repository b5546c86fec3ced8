"""The state of a training run, which is saved and resumed as a whole."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ..base.devices import to_cpu

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_WARM_UP = 100  # steps; at most a tenth of the run
_CURVE_EVERY = 20  # steps per point of the loss curve
_DIVERGED, _POINTS = 1.6, 5  # times the first points of the loss curve; so many of them, against chance
_MOST_KEPT = 0.9995  # of the averaged weights at a step


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

    def update(self) -> None:
        """Take one optimizer step with the gradients at hand, and average the weights."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * _schedule(self.step, self.total)
        self.optimizer.step()
        self.network.zero_grad(set_to_none=True)
        self.step += 1
        _average(self.average, [*self.network.parameters()], averaging_decay(self.step))

    def has_diverged(self) -> bool:
        """Tell whether the newest points of the curve lie far above the first: the network has unlearned everything."""
        first, newest = self.curve[:_POINTS], self.curve[-_POINTS:]
        if len(self.curve) < 2 * _POINTS:
            return False
        return sum(row[1] for row in newest) > _DIVERGED * sum(row[1] for row in first)

    def note_loss(self, losses: torch.Tensor, quartile: torch.Tensor | None) -> None:
        """Add a step's losses (B,) to the curve: rows of (step, mean, quartile means)."""
        self.sums.add(losses, quartile)
        if self.sums.steps == _CURVE_EVERY:
            before = self.curve[-1][1:] if self.curve else []
            self.curve.append([float(self.step + 1), *self.sums.means(before)])
            self.sums = LossSums()

    def free(self) -> None:
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
def released_when_done(state: TrainingState, device: torch.device) -> Iterator[None]:
    """Have the network back on the CPU, and all that the training took of the device free, however it ends."""
    try:
        yield
    finally:
        state.free()
        to_cpu(state.network, device)


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
