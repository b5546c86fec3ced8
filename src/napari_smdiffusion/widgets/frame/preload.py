"""Imports the modules that Run needs while the user fills in the form: importing torch takes seconds."""

from __future__ import annotations

import importlib
import sys
from threading import Thread

THREAD_NAME = "preloading"  # prefix of the threads' names


def preload(module: str) -> Thread | None:
    """Import a module, and torch with it, in a new thread.

    Parameters
    ----------
    module
        Full name of the module, such as "napari_smdiffusion.diffusion".

    Returns
    -------
    The thread, or None if the module is loaded already. Another import of the module waits for the thread.
    """
    if module in sys.modules:
        return None
    thread = Thread(target=_import, args=(module,), name=f"{THREAD_NAME} {module}")
    thread.start()
    return thread


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:
        if isinstance(error, ImportError) and f"{error.name}".startswith("napari_smdiffusion"):
            raise  # a wrong name in our own code
