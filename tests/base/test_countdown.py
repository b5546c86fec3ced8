"""The time left, with a clock of the test."""

import math

import pytest

from napari_smdiffusion.base import events
from napari_smdiffusion.base.events import Countdown


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only entry is the time in s."""
    now = [0.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    return now


def test_the_slow_first_step_does_not_count(clock):
    countdown, left = Countdown(0, 10), []
    for step in range(1, 11):
        clock[0] += 20.0 if step == 1 else 1.0
        left.append(countdown.left(step))
    assert left == [math.inf, *range(8, -1, -1)]


def test_the_only_one_of_a_few_steps_counts(clock):
    countdown = Countdown(0, 3)
    clock[0] = 5.0
    assert countdown.left(1) == 10


def test_the_estimate_follows_the_load(clock):
    countdown = Countdown(0, 1000)
    for step in range(1, 101):
        clock[0] += 1.0
        countdown.left(step)
    for step in range(101, 141):
        clock[0] += 2.0
        left = countdown.left(step)
    assert left == pytest.approx(2 * 860)
