"""The number of threads that torch computes with, changed for a while and restored afterwards."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class _Blocks:
    """The blocks of `torch_threads` that are open now in any thread of the process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    open: int = 0
    usual: int = 1  # threads of torch outside the blocks


# torch keeps a part of the setting for the whole process, so a block must know what others have changed.
_BLOCKS = _Blocks()


def usual_threads() -> int:
    """Return the number of threads that torch uses outside the blocks of `torch_threads`."""
    with _BLOCKS.lock:
        return _BLOCKS.usual if _BLOCKS.open else torch.get_num_threads()


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch compute with `count` threads in the block, which stays in one thread; None changes nothing."""
    if count is None:
        yield
        return
    with _BLOCKS.lock:
        if not _BLOCKS.open:
            _BLOCKS.usual = torch.get_num_threads()
        _BLOCKS.open += 1
        usual = _BLOCKS.usual
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(usual)
        with _BLOCKS.lock:
            _BLOCKS.open -= 1
