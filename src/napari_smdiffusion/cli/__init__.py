"""The command `smdiffusion`."""

from .entry import main

__all__ = ["main"]
