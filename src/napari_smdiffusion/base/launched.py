"""The processes that `accelerate launch` or `torchrun` started for one command, from the variables that they set."""

from __future__ import annotations

import os

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # that both launchers set


def processes_started() -> int:
    """Return the number of processes that a launcher started for this command; 1 without a launcher."""
    if any(name not in os.environ for name in _VARIABLES):
        return 1
    try:
        return max(1, int(os.environ["WORLD_SIZE"]))
    except ValueError:
        return 1


def is_first_process() -> bool:
    """Return whether this is the process that writes and prints."""
    return processes_started() == 1 or os.environ["RANK"] == "0"
