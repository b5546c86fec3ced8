"""Runs of jobs that are stopped or killed on their way."""

import os

import pytest
import torch

from napari_smdiffusion import run


def run_until(job, kind, count, *, kill=False):
    """Run a job, and stop or kill it when it has `count` results of a kind."""
    seen = []

    def watch(event):
        seen.append(isinstance(event, kind))
        if kill and sum(seen) == count:
            os.kill(os.getpid(), 9)

    if not kill:
        return run(job.steps(lambda: sum(seen) >= count), watch)
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)  # the threads of the parent are not in the child, which would wait for them
            run(job.steps(), watch)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 9
    return None
