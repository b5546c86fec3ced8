"""What is trained: the protocol that a training task fills in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from ..base.devices import is_out_of_memory, release_memory
from ..base.events import Note, Steps

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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


class AccumulatedGradients:
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
