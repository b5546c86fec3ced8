"""The choice of the number of torch's threads while a training runs.

Where other programs use the cores too, a training with a thread for each core can be several times slower than one with
a single thread. After every operation, the fast threads wait for the thread whose core is taken. So the training tries
other numbers now and then, and stays with the fastest. Nothing is tried while the process gets the cores that it uses.

A step with too many threads can take a minute. So a short computation of milliseconds decides on the first number, and
on whether more threads are tried again.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

import torch

from ..base.threads import torch_threads, usual_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TRIED = 2  # steps of a trial; the first one may also prepare the operations for the number of threads
_COMPARED = 5  # newest steps that a trial is compared with
_FASTER = 0.9  # a trial must take less than this share of the usual time
_SHARE_OF_CORES = 0.85  # of the time of its threads, below which a process seems to share its cores
_FIRST_WAIT, _LONGEST_WAIT = 20.0, 320.0  # steps between two trials, in the time of a trial
_CONVOLVED = 5  # times, in the short computation


def convolution_seconds(count: int) -> float:
    """Measure a few small convolutions with `count` threads, in s; a millisecond each on a free core."""
    images, kernels = torch.zeros(4, 16, 64, 64), torch.zeros(16, 16, 3, 3)
    with torch_threads(count), torch.no_grad():
        torch.nn.functional.conv2d(images, kernels)
        began = time.monotonic()
        for _ in range(_CONVOLVED):
            torch.nn.functional.conv2d(images, kernels)
        return time.monotonic() - began


class ThreadChoice:
    """The number of torch's threads that makes the steps of a training fastest.

    Parameters
    ----------
    device
        Device of the network. The choice is made on the CPU only.
    measure
        Measures a short computation with a number of threads, in s.

    Attributes
    ----------
    count
        The number of threads that is used now; None to leave torch's own number.
    """

    def __init__(self, device: torch.device, measure: Callable[[int], float] = convolution_seconds) -> None:
        self._measure, self._begun = measure, False
        self._most = usual_threads() if device.type == "cpu" else 1
        self.count = self._most if self._most > 1 else None
        self._trial: int | None = None  # the number that is tried
        self._downward = True  # whether the next trial is of fewer threads
        self._halvings = 1  # of the number of threads, in the next trial of fewer
        self._seconds: list[float] = []  # of the newest steps with `count`
        self._tried: list[float] = []  # seconds of the steps of the trial
        self._shared = False  # whether other programs seem to use the cores
        self._wait = _FIRST_WAIT
        self._next_trial = 0.0  # time.monotonic() of the next trial

    @contextmanager
    def step(self) -> Iterator[None]:
        """Compute a training step in the block, with the chosen number of threads or with one that is tried."""
        self._begin()
        if self.count is None:
            yield
            return
        used = self._trial or self.count
        began, cpu_began = time.monotonic(), time.process_time()
        with torch_threads(used):
            yield
        seconds = time.monotonic() - began
        if self._trial is None:
            share = (time.process_time() - cpu_began) / max(seconds * used, 1e-6)
            self._shared = share < _SHARE_OF_CORES
            self._seconds = [*self._seconds, seconds][-_COMPARED:]
            self._begin_trial()
        else:
            self._tried.append(seconds)
            if len(self._tried) == _TRIED:
                self._end_trial()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute something else than a step in the block, with the chosen number of threads."""
        self._begin()
        with torch_threads(self.count):
            yield

    def _begin(self) -> None:
        """Choose the number of threads of the first steps."""
        if self._begun or self.count is None:
            return
        self._begun = True
        numbers = [self._most >> k for k in range(self._most.bit_length())]
        seconds = {number: self._measure(number) for number in numbers}
        # Where two numbers are alike, the larger one: the steps have larger computations.
        self.count = max(number for number in numbers if seconds[number] <= min(seconds.values()) / _FASTER)

    def _begin_trial(self) -> None:
        """Try another number in the next steps, if it is time and may help."""
        enough = len(self._seconds) >= 2  # the first step of a training is slower than others
        if not enough or time.monotonic() < self._next_trial or self.count is None:
            return
        if self._downward and (not self._shared or self.count == 1):
            # Alone on its cores, a process is fastest with all of them.
            self._downward = False
        if not self._downward and self.count == self._most:
            self._downward = True
            if not self._shared:
                return
        trial = max(1, self.count >> self._halvings) if self._downward else min(self._most, 2 * self.count)
        if not self._downward and self._measure(trial) > _FASTER * self._measure(self.count):
            self._wait_longer(self._seconds[-1])  # the cores are still in use
            return
        self._trial, self._tried = trial, []

    def _end_trial(self) -> None:
        """Keep the better of the two numbers, and set the time of the next trial."""
        if min(self._tried) < _FASTER * median(self._seconds):
            self.count, self._seconds = self._trial, [min(self._tried)]
            self._halvings, self._wait, self._next_trial = 1, _FIRST_WAIT, 0.0  # further in the same direction
        elif self._downward and self._trial != 1:
            self._halvings += 1  # half of the threads may be too many as well
        else:
            self._downward, self._halvings = not self._downward, 1
            self._wait_longer(sum(self._tried))
        self._trial = None

    def _wait_longer(self, seconds: float) -> None:
        """Try again after a multiple of the time that the last trial took, in s, and later each time."""
        self._next_trial = time.monotonic() + self._wait * seconds
        self._wait = min(_LONGEST_WAIT, 2 * self._wait)
