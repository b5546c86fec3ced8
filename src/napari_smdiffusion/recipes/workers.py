"""Processes that compute blocks of results: those of a cluster of dask, here or on other computers."""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = 10.0  # s that a scheduler has to answer
_MOST = 4096  # workers
_QUIET = "napari_smdiffusion.base.quiet_worker"


def check_workers(workers: int, scheduler: str, out: object) -> None:
    """Raise an InputError if workers cannot compute what is requested."""
    if not 0 <= workers <= _MOST:
        raise InputError(f"workers must be between 0 and {_MOST}, not {workers}.", "workers")
    if workers and scheduler:
        raise InputError("workers must be left out where a scheduler is named: it has workers of its own.", "workers")
    if (workers or scheduler) and out is None:
        raise InputError("out must name the result that the workers compute: they write files.", "out")


@contextmanager
def connected(workers: int, scheduler: str) -> Iterator[Any]:
    """Yield the client of a cluster. One that was started here is closed at the end; another one goes on.

    Parameters
    ----------
    workers
        Number of processes to start here, if no scheduler is named.
    scheduler
        Address of the scheduler of a cluster, such as "tcp://node:8786".

    Raises
    ------
    InputError
        If the package distributed is missing, or no scheduler answers.
    """
    distributed = imported_distributed()
    with ExitStack() as stack:
        logger = logging.getLogger("distributed")
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL)
        address = scheduler or stack.enter_context(_local_cluster(distributed, workers))
        try:
            client = distributed.Client(address, timeout=ANSWER, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                f"No scheduler answers at {address}: start one with  dask scheduler  there, or let "
                "--workers 4 start processes here.",
                "scheduler",
            ) from error
        yield stack.enter_context(client)


def imported_distributed() -> Any:
    """Return the package distributed; raises InputError if it is missing."""
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            "Workers need the package distributed: install it with  pip install 'napari-smdiffusion[cluster]'."
        ) from error


@contextmanager
def _local_cluster(distributed: Any, workers: int) -> Iterator[str]:
    """Start workers on this computer, one on each GPU if dask-cuda is installed, and yield the scheduler's address."""
    import torch

    kind = distributed.LocalCluster
    more: dict[str, Any] = {"n_workers": workers, "processes": True, "memory_limit": 0}
    if torch.cuda.is_available():
        try:
            kind = importlib.import_module("dask_cuda").LocalCUDACluster
            more = {"CUDA_VISIBLE_DEVICES": list(range(min(workers, torch.cuda.device_count())))}
        except ImportError:
            pass  # the processes share the GPUs
    # Each process has its share of the cores, and files of its own that are removed at the end. Without this dask gives
    # it one thread.
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {f"distributed.nanny.pre-spawn-environ.{name}": threads for name in names}
    with (
        importlib.import_module("dask").config.set(environment),
        tempfile.TemporaryDirectory(prefix="smdiffusion-workers-") as folder,
        kind(
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            local_directory=folder,
            silence_logs=logging.CRITICAL,
            preload=[_QUIET],
            **more,
        ) as cluster,
    ):
        yield cluster.scheduler_address
