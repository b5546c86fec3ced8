"""Keeps garbage collection out of the way of what leaves no garbage.

A collection looks through all that is loaded, napari and torch, and stops every thread meanwhile. How it is done is a
matter of the whole process, and several threads may ask for it to change: the first one changes it, and the last one
puts it back.
"""

from __future__ import annotations

import gc
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[], Callable[[], None]]


class WhileHeld:
    """A change that lasts while anybody holds it.

    Parameters
    ----------
    change
        Makes it, and returns what puts it back.
    """

    def __init__(self, change: Change) -> None:
        self._change = change
        self._put_back: Callable[[], None] | None = None
        self._holders = 0
        self._lock = Lock()

    def hold(self) -> None:
        """Ask for the change."""
        with self._lock:
            self._holders += 1
            if self._holders == 1:
                self._put_back = self._change()

    def release(self) -> None:
        """No longer ask for it."""
        with self._lock:
            self._holders -= 1
            if not self._holders and self._put_back is not None:
                self._put_back()

    @property
    def held(self) -> bool:
        """Whether anybody asks for it now."""
        return self._holders > 0

    def __enter__(self) -> None:
        """Hold."""
        self.hold()

    def __exit__(self, *_: object) -> None:
        """Release."""
        self.release()


def _frozen() -> Callable[[], None]:
    gc.freeze()
    return gc.unfreeze


def _off() -> Callable[[], None]:
    if not gc.isenabled():
        return lambda: None
    gc.disable()
    return _on


def _on() -> None:
    # To freeze and unfreeze makes all there is old, and looks at none of it: what was loaded meanwhile will stay, and
    # to look through it at once takes a fifth of a second.
    with FROZEN:
        pass
    gc.enable()


# What was there before long work is not looked through.
FROZEN = WhileHeld(_frozen)
# No collection but those that are asked for, while modules are loaded or threads work.
PAUSED = WhileHeld(_off)


def collect() -> None:
    """Collect what Python would collect by itself if it were not paused: the young often, the old seldom."""
    for generation in (2, 1, 0):
        most = gc.get_threshold()[generation]
        if 0 < most < gc.get_count()[generation]:
            gc.collect(generation)
            return
