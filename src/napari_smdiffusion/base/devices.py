"""Devices: their choice, precision, random generators and memory."""

from __future__ import annotations

import gc
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from .errors import InputError, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "autocast",
    "generator",
    "is_out_of_memory",
    "on_device",
    "pick_device",
    "release_memory",
    "seeded",
    "to_cpu",
]

Network = TypeVar("Network", bound=torch.nn.Module)


def pick_device(name: str = "auto") -> torch.device:
    """Return the device `name`; "auto" prefers CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    InputError
        If this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, is_available in available.items() if is_available)
    if not available.get(name, False):
        raise InputError(f"This machine has no device {name!r} that torch can use: choose auto or cpu.")
    return torch.device(name)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context that computes in bfloat16 if the hardware multiplies it natively, else in float32."""
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
    """Return a random generator on the CPU that depends on all values of `seed`, which are non-negative integers."""
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


# torch initialises networks from its global generator, which all threads share.
_GLOBAL_GENERATOR = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator within the block, and restore its state afterwards.

    Only one thread at a time enters the block, so that two trainings that start together have separate draws. The
    generators of other devices do not change.
    """
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def release_memory() -> None:
    """Release memory that torch holds but does not use.

    Garbage is collected only on the main thread, since the garbage may contain Qt objects, which must be deleted there.
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

    If the network is on another device, a copy is moved and yielded. The caller's network stays on its device, because
    another thread may compute with it.
    """
    if all(weights.device.type == device.type for weights in network.parameters()):
        yield network.eval()
        return
    copy = deepcopy(network).to(device).eval()
    try:
        yield copy
    finally:
        copy.to("meta")  # frees the memory also if the caller still has a reference to the copy
        release_memory()


def to_cpu(network: torch.nn.Module, device: torch.device) -> None:
    """Move `network` from `device` to the CPU and release its memory on the device."""
    network.to("cpu")
    if device.type != "cpu":
        release_memory()
