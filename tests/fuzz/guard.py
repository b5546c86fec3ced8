"""Limits of time and memory for one input, in the process of the test."""

import contextlib
import signal
import sys
import time
from pathlib import Path

from napari_smdiffusion.base.errors import is_user_error, sentence_of

LIMITED = sys.platform == "linux"  # elsewhere, only the outcome is checked
SECONDS = 20  # for one input; machines that run tests may be busy
BYTES = 2**30  # of memory that one input may take


class TooSlowError(BaseException):
    """An input takes too long. No part of the package catches it."""


def outcome(function):
    """Return "ok", or the sentence of the error that an input gives.

    Raises
    ------
    AssertionError
        If the input takes too long, takes too much memory, or gives an error without a sentence.
    """
    failure = None
    with _limits():
        try:
            function()
        except Exception as error:
            failure = error
    if failure is None:
        return "ok"
    if not is_user_error(failure):
        raise AssertionError(f"{type(failure).__name__}: {failure}") from failure
    sentence = sentence_of(failure)
    assert sentence.strip(), f"{type(failure).__name__} has no sentence"
    assert "allocate" not in sentence, sentence  # the limit of the memory ended it
    assert not any(ord(character) < 32 or ord(character) == 127 for character in sentence), repr(sentence)
    return sentence


@contextlib.contextmanager
def _limits():
    if not LIMITED:
        yield
        return
    import resource

    def stop(*_):
        raise TooSlowError

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + 2 * BYTES, hard))
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the largest size until now
    former, start = signal.signal(signal.SIGALRM, stop), time.monotonic()
    # The timer of the test itself goes on afterwards.
    rest, _ = signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    except TooSlowError:
        raise AssertionError(f"An input takes more than {SECONDS} seconds.") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        if rest:
            signal.setitimer(signal.ITIMER_REAL, max(rest - (time.monotonic() - start), 0.1))
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    grown = _memory("VmHWM") - before
    assert grown <= BYTES, f"An input takes {grown / 1e6:.0f} MB."


def _memory(key):
    """Return an entry of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)
