"""The processes that train one model together, on several devices or machines.

`accelerate launch` and `torchrun` start the same command several times, and tell each process its number in variables
of the environment. Every process draws all examples of a step, computes the gradients of its share, and adds those of
the others. So a step is that of one process with the same batch, but for rounding. The first process decides how long
the training is, and it alone writes.
"""

from __future__ import annotations

import hashlib
import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from ..base.errors import InputError
from ..base.launched import processes_started
from .task import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Processes:
    """One process alone; see `TogetherWithOthers` for several."""

    count = 1
    first = True

    def check_same(self, facts: Sequence[str], batch: int) -> None:
        """Raise an InputError unless all processes have the same facts, and each has a share of the batch."""

    def share_of(self, batch: Batch) -> Batch:
        """Return the examples of a batch that this process computes."""
        return batch

    def add_up(self, network: torch.nn.Module, losses: torch.Tensor, examples: int) -> torch.Tensor:
        """Replace the gradients of the own share by those of the batch; return the losses (B,) of all its examples."""
        return losses

    def agree(self, goes_on: bool, stop: bool, share: float) -> tuple[bool, float]:
        """Return whether the training goes on, and the share of its length that is done."""
        return goes_on and not stop, share


class TogetherWithOthers(Processes):
    """One process among several.

    Parameters
    ----------
    accelerate
        The package accelerate.
    state
        Its `PartialState`, which knows the number of this process and its device.
    """

    def __init__(self, accelerate: Any, state: Any) -> None:
        self._utils, self._device = accelerate.utils, state.device
        self.count, self._index = int(state.num_processes), int(state.process_index)
        self.first = self._index == 0

    def check_same(self, facts: Sequence[str], batch: int) -> None:
        """Raise an InputError unless all processes have the same facts, and each has a share of the batch."""
        if self.count > batch:
            raise InputError(
                f"{self.count} processes share a batch of {batch} patches: start fewer processes, or choose a larger "
                "batch."
            )
        digest = hashlib.sha256("\n".join(facts).encode()).digest()
        own = torch.tensor([list(digest[:8])], dtype=torch.int64, device=self._device)
        if len({tuple(row) for row in self._utils.gather(own).tolist()}) > 1:
            raise InputError(
                "The processes do not have the same images, settings and start: give all of them the same command and "
                "the same files."
            )

    def share_of(self, batch: Batch) -> Batch:
        """Return every `count`-th example; there may be none."""
        mine = slice(self._index, None, self.count)
        quartile = None if batch.quartile is None else batch.quartile[mine]
        return Batch(tuple(tensor[mine] for tensor in batch.tensors), quartile)

    def add_up(self, network: torch.nn.Module, losses: torch.Tensor, examples: int) -> torch.Tensor:
        """Replace the gradients of the own share by those of the batch; return the losses (B,) of all its examples."""
        weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
        for parameter in weights:
            if parameter.grad is None:  # this process had no example
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in weights if parameter.grad is not None]
        # One message in place of hundreds. Each gradient is the mean over the own examples.
        flat = torch.cat([gradient.reshape(-1).float() for gradient in gradients]) * (len(losses) / examples)
        of_all = torch.zeros(examples)
        of_all[self._index :: self.count] = losses
        summed, all_losses = self._utils.reduce([flat, of_all.to(self._device)], "sum")
        start = 0
        for gradient in gradients:
            gradient.copy_(summed[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()
        together: torch.Tensor = all_losses.cpu()
        return together

    def agree(self, goes_on: bool, stop: bool, share: float) -> tuple[bool, float]:
        """Return what the first process decides; a stop of any process stops all."""
        own = [float(goes_on and self.first), float(stop), share if self.first else 0.0]
        decided, stopped, at = self._utils.reduce(
            torch.tensor(own, dtype=torch.float32, device=self._device), "sum"
        ).tolist()
        return decided > 0 and stopped == 0, at


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that a launcher started, in the block; without a launcher, it is one process alone.

    Raises
    ------
    InputError
        If there are several processes, and the package accelerate is missing.
    """
    if processes_started() == 1:
        yield Processes()
        return
    try:
        accelerate = importlib.import_module("accelerate")
    except ImportError as error:
        raise InputError(
            "A training in several processes needs the package accelerate: pip install 'napari-smdiffusion[gpus]'."
        ) from error
    state = accelerate.PartialState(cpu=device.type == "cpu")
    try:
        yield TogetherWithOthers(accelerate, state)
    finally:
        state.destroy_process_group()
