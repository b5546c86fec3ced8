"""The command `smdiffusion`."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; see `entry.main`."""
    loads_here = threading.current_thread() is threading.main_thread()
    previous = signal.getsignal(signal.SIGINT)
    # Ctrl-C while modules load would end in a traceback, or in an ImportError of a module that is loaded by halves.
    quiet = loads_here and previous is signal.default_int_handler
    if quiet:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from . import entry

    if quiet:
        signal.signal(signal.SIGINT, previous)
    return entry.main(arguments)
