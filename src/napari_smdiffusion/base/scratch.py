"""Arrays that are larger than memory: values in between, and pages of mapped files that are not needed now."""

from __future__ import annotations

import mmap
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .arrays import Pixels

_IN_MEMORY = 2**26  # bytes; a larger array is kept in a temporary file


def scratch(shape: tuple[int, ...]) -> Pixels:
    """Return an array of zeros; a large one is mapped from a temporary file, which vanishes with the array."""
    size = 4 * int(np.prod(shape))
    if size <= _IN_MEMORY:
        return np.zeros(shape, np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=shape)


def forget_pages(array: Any) -> None:
    """Take the pages of a mapped array out of the memory of this process; they are read from the file when used.

    Nothing is lost: what was written is in the file, or the system still writes it. Other arrays stay as they are.
    """
    mapped = getattr(array, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)
