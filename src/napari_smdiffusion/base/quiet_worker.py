"""Loaded by the workers that this program starts: Ctrl-C goes to them too, and the program ends them itself."""

import signal


def dask_setup(worker: object) -> None:
    """Ignore Ctrl-C; dask calls this function in the main thread of a new worker."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
