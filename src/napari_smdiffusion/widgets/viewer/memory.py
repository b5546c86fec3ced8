"""The menu command *Release GPU memory*."""

from __future__ import annotations


def release_gpu_memory() -> None:
    """Release unused GPU memory that torch holds. Networks leave the GPU after each run in any case."""
    from napari.utils.notifications import show_info

    from ...base.devices import release_memory

    release_memory()
    show_info("Unused GPU memory was released.")
