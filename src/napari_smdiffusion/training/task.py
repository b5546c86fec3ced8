"""The protocol of a training task, and the gradients of a batch."""

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
    """The examples of one training step.

    Parameters
    ----------
    tensors
        Tensors of equal length B along their first axis.
    quartile
        (B,) quartile of the noise level of each example, 0 to 3; None for tasks without noise levels.
    """

    tensors: tuple[torch.Tensor, ...]
    quartile: torch.Tensor | None = None

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Task(Protocol):
    """A training task: its examples, its loss and its previews."""

    @property
    def stage(self) -> str:
        """The name of the task in progress events."""

    def draw(self, step: int) -> Batch:
        """Return the examples of a step; they depend only on the seed and the step."""

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the loss of each example, (B,)."""

    def preview(self, network: torch.nn.Module) -> npt.NDArray[np.float32] | None:
        """Return images (N, Y, X) that show the progress of the training, or None."""


class AccumulatedGradients:
    """The gradients of a batch, computed in parts that fit into memory.

    `losses` holds the losses (B,) of the last batch.
    """

    def __init__(self, task: Task, device: torch.device) -> None:
        self._task = task
        self._device = device
        self._max_values: int | None = None  # values of the largest part that fits into memory
        self.losses = torch.empty(0)

    def __call__(self, network: torch.nn.Module, batch: Batch) -> Steps[None]:
        """Compute the losses and gradients of `batch`.

        When memory runs out, the part is halved and the batch is started again.

        Yields
        ------
        Note each time the part is halved.

        Raises
        ------
        MemoryError
            If a single example does not fit into memory.
        """
        if not len(batch):  # all examples of the step are those of other processes
            self.losses = torch.empty(0)
            return
        values = batch.tensors[0][0].numel()
        part = len(batch) if self._max_values is None else max(1, min(len(batch), self._max_values // values))
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
            self._max_values = part * values
            yield Note(f"Memory ran out: going on with {part} patches at a time (the batch stays {len(batch)}).")

    def _parts(self, network: torch.nn.Module, batch: Batch, part: int) -> torch.Tensor:
        losses = []
        for start in range(0, len(batch), part):
            tensors = tuple(t[start : start + part].to(self._device) for t in batch.tensors)
            loss = self._task.loss(network, tensors)
            torch.autograd.backward(loss.sum() / len(batch))
            losses.append(loss.detach().float().cpu())
        return torch.cat(losses)
