"""Where to compute, in which precision, and what to do when memory runs out."""

from __future__ import annotations

import gc
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from .errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

Network = TypeVar("Network", bound=torch.nn.Module)


def pick_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; "auto" prefers CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    InputError
        If this machine has no such device.
    """
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in have.items() if there)
    if not have.get(name, False):
        raise InputError(f"This machine has no device {name!r} that torch can use: choose auto or cpu.")
    return torch.device(name)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context that computes in bfloat16 where the hardware multiplies it natively, else in float32."""
    if _native_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        features = torch.cpu.get_capabilities()
        return any(bool(features.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def generator(*seed: int) -> torch.Generator:
    """Return a CPU random generator that depends on all of `seed`, each a non-negative integer."""
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


# Networks are initialised from it, and it is the whole process's.
_GLOBAL_GENERATOR = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Have torch's global CPU generator begin at `seed`, and leave it as it was found: it is the user's.

    One thread at a time, so that two trainings that begin at once have their own draws. No other device's generator is
    touched.
    """
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether `error` says that memory ran out, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # The CPU allocator and MPS raise plain RuntimeErrors.
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


def release_memory() -> None:
    """Give back memory that torch holds but does not use.

    Garbage is collected on the main thread alone: there may be some of Qt's, which must not be deleted elsewhere.
    """
    if threading.current_thread() is threading.main_thread():
        gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


@contextmanager
def on_device(network: Network, device: torch.device) -> Iterator[Network]:
    """Yield `network` on `device`, in evaluation mode; release the device's memory afterwards.

    A network that lies elsewhere is copied, and the copy is moved. The caller's own stays where it is, for another
    thread may be computing with it.
    """
    if all(weights.device.type == device.type for weights in network.parameters()):
        yield network.eval()
        return
    copy = deepcopy(network).to(device).eval()
    try:
        yield copy
    finally:
        copy.to("meta")  # its memory is free now, even where somebody still refers to the copy
        release_memory()


def to_cpu(network: torch.nn.Module, device: torch.device) -> None:
    """Move `network` from `device` to the CPU and release the memory it had."""
    network.to("cpu")
    if device.type != "cpu":
        release_memory()
