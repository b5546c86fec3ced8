"""Signals that stop a job, which then keeps its result: Ctrl-C, and in the command line SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .events import Stop, never

if TYPE_CHECKING:
    from collections.abc import Iterator

# SIGTERM: a time limit of a cluster, `kill`. SIGHUP: the terminal was closed. SIGBREAK: the same on Windows.
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


def _interrupt(*_: object) -> None:
    """End the program as Ctrl-C does; further such signals are ignored, so that it can clean up."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def ending_signals_interrupt() -> Iterator[None]:
    """Within the block, SIGTERM and SIGHUP end the program as Ctrl-C does; for the command line.

    A signal that the program was started to ignore, as by nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    changed = [number for number in _ENDING if signal.getsignal(number) == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_on_interrupt() -> Iterator[Stop]:
    """Yield a `Stop` that returns True after the first Ctrl-C; the second Ctrl-C is a KeyboardInterrupt.

    Within `ending_signals_interrupt`, SIGTERM and SIGHUP count as the first Ctrl-C, and never as the second one: a
    cluster sends them several times. Python delivers signals only to the main thread. In other threads the `Stop`
    always returns False.
    """
    if threading.current_thread() is not threading.main_thread():
        yield never
        return
    stop_requested = threading.Event()
    ending = [number for number in _ENDING if signal.getsignal(number) is _interrupt]
    previous = signal.getsignal(signal.SIGINT)

    def request_stop(number: int, _: object) -> None:
        stop_requested.set()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, previous)

    for number in (signal.SIGINT, *ending):
        signal.signal(number, request_stop)
    try:
        yield stop_requested.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
        for number in ending:
            signal.signal(number, _interrupt)
