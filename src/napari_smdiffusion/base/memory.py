"""How much memory is free, and what does not fit into it."""

from __future__ import annotations

from .errors import InputError

_GIGABYTE = 1e9


def free_bytes() -> int:
    """Return the number of bytes that can be allocated before this computer has to swap."""
    import psutil

    return int(psutil.virtual_memory().available)


def check_memory(needed: int, what: str, remedy: str) -> None:
    """Raise an InputError if `needed` bytes are more than the free memory.

    Parameters
    ----------
    needed
        Number of bytes.
    what, remedy
        The subject of the sentence, which needs the memory, and what to do instead.
    """
    free = free_bytes()
    if needed > free:
        size, left = (f"{count / _GIGABYTE:.1f} GB" for count in (needed, free))
        raise InputError(f"{what} would need {size} of memory, and {left} are free: {remedy}.")
