"""Runs of jobs that are stopped or killed on their way."""

import os

import pytest

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
            run(job.steps(), watch)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 9
    return None
