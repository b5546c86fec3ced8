"""The plan of a training of some minutes, and the choice of torch's threads, on a machine whose speed changes."""

import copy
import re
import time
from dataclasses import dataclass

import pytest
import torch

from napari_smdiffusion.base import threads as base_threads
from napari_smdiffusion.base.events import Note, Preview, Progress, run
from napari_smdiffusion.base.threads import torch_threads, usual_threads
from napari_smdiffusion.training.loop import optimize_steps
from napari_smdiffusion.training.pace import ENOUGH_STEPS, Budget
from napari_smdiffusion.training.state import TrainingState
from napari_smdiffusion.training.task import Batch
from napari_smdiffusion.training.threads import ThreadChoice

CPU = torch.device("cpu")


@dataclass
class Clock:
    """A clock that only the work moves. `busy` is the share of the time in which the process has its cores."""

    now: float = 0.0
    busy: float = 1.0
    used: float = 0.0  # seconds of the processor

    def work(self, seconds, threads=1):
        self.now += seconds
        self.used += self.busy * seconds * threads


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(time, "process_time", lambda: clock.used)
    return clock


@dataclass
class Machine:
    """A task whose step takes `seconds(now)`."""

    clock: Clock
    seconds: object
    preview_seconds: float = 0.0
    stage: str = "fitting"

    def draw(self, step):
        self.clock.work(self.seconds(self.clock.now))
        return Batch((torch.ones(2, 1),))

    def loss(self, network, tensors):
        return network(tensors[0]).square().mean(1)

    def preview(self, network):
        self.clock.work(self.preview_seconds)
        return network(torch.ones(1, 1)).detach().numpy()


def _state():
    torch.manual_seed(0)
    return TrainingState(torch.nn.Linear(1, 1), 0.01)


def _train(clock, seconds, minutes=2.0, preview_seconds=0.0, state=None, **options):
    state, events = state or _state(), []
    task = Machine(clock, seconds, preview_seconds)
    steps = optimize_steps(state, task, Budget(minutes, after=options.pop("after", None)), device=CPU, **options)
    run(steps, lambda event: events.append((clock.now, event)))
    return state, events


SPEEDS = {
    "steady": lambda now: 0.3,
    "slow start": lambda now: 6.0 if now < 20 else 0.4,
    "slower from the middle on": lambda now: 0.3 if now < 60 else 4.0,
    "in turns": lambda now: 0.3 if int(now / 15) % 2 else 1.5,
    "far too slow": lambda now: 9.0,
}


@pytest.mark.parametrize("speed", SPEEDS)
def test_a_training_of_two_minutes_takes_two_minutes(clock, speed):
    state, events = _train(clock, SPEEDS[speed], preview_seconds=0.5)
    assert clock.now == pytest.approx(120, rel=0.1)
    assert state.step == state.total
    for now, event in events:
        if isinstance(event, Progress) and now > 12:
            assert event.seconds_left == pytest.approx(clock.now - now, rel=0.2, abs=5)


def test_the_learning_rate_follows_the_time(clock, monkeypatch):
    rates = []
    update = TrainingState.update

    def noted(state, share=None):
        update(state, share)
        rates.append((clock.now, state.optimizer.param_groups[0]["lr"] / 0.01))

    monkeypatch.setattr(TrainingState, "update", noted)
    _train(clock, SPEEDS["slower from the middle on"])
    assert max(rate for _, rate in rates) == pytest.approx(0.9, abs=0.02)  # after a warm-up of a tenth of the time
    assert next(rate for now, rate in rates if now >= 60) == pytest.approx(0.5, abs=0.03)
    assert rates[-1][1] < 0.05
    falling = [rate for now, rate in rates if now > 15]
    assert falling == sorted(falling, reverse=True)


def test_the_work_after_the_training_is_a_part_of_the_minutes(clock):
    """Its duration is measured while the machine is fast, and counted in steps: it becomes longer with them."""

    def after():
        return 30 * speed(clock.now)

    speed = SPEEDS["steady"]
    _train(clock, speed, after=after)
    assert clock.now == pytest.approx(120 - 9, abs=1)
    clock.now = 0.0
    speed = lambda now: 0.3 if now < 80 else 0.6  # noqa: E731
    _train(clock, speed, after=after)
    assert clock.now == pytest.approx(120 - 18, abs=4)


def test_too_short_a_time_is_reported_after_the_first_steps(clock):
    _, events = _train(clock, lambda now: 2.0)
    notes = [(now, event.message) for now, event in events if isinstance(event, Note)]
    assert len(notes) == 1
    now, message = notes[0]
    assert now <= 12
    assert message.startswith("Only about 60 training steps fit into the time")
    assert str(ENOUGH_STEPS) in message
    _, events = _train(clock, lambda now: 0.3)
    assert not any(isinstance(event, Note) for _, event in events)


def test_the_report_is_withdrawn_if_the_machine_becomes_faster(clock):
    _, events = _train(clock, lambda now: 1.0 if now < 15 else 0.2)
    first, second = (event.message for _, event in events if isinstance(event, Note))
    assert first.startswith("Only about 1")
    assert re.fullmatch(r"Training became faster: about (3|4|5)\d\d steps fit into the time now, .*", second)


def test_previews_come_ten_times_and_take_a_tenth_of_the_time_at_most(clock):
    _, events = _train(clock, SPEEDS["in turns"], preview_seconds=0.1)
    assert len([event for _, event in events if isinstance(event, Preview)]) == 1 + 10
    clock.now = 0.0
    _, events = _train(clock, lambda now: 0.2, preview_seconds=8.0)
    assert clock.now == pytest.approx(120, rel=0.1)
    assert len([event for _, event in events if isinstance(event, Preview)]) <= 4


def test_a_slow_first_preview_makes_no_pessimistic_plan(clock):
    seconds = [6.0, *[0.5] * 20]  # the first one loads and allocates

    class SlowAtFirst(Machine):
        def preview(self, network):
            self.clock.work(seconds.pop(0))
            return super().preview(network)

    task = SlowAtFirst(clock, lambda now: 0.3)
    plans = []
    for event in optimize_steps(_state(), task, Budget(2.0), device=CPU):
        assert not isinstance(event, Note)
        if isinstance(event, Progress) and event.total:
            plans.append(event.total)
    assert plans[0] == pytest.approx(plans[-1], rel=0.15)


def test_a_resumed_training_takes_the_rest_of_its_time(clock):
    saved = {}
    state, _ = _train(
        clock,
        SPEEDS["steady"],
        stop=lambda: clock.now > 50,
        checkpoint=lambda state, last: saved.update(copy.deepcopy(state.state_dict())),
    )
    assert state.step < state.total == pytest.approx(400, rel=0.02)
    clock.now = 1000.0
    resumed = _state()
    resumed.load_state_dict(saved)
    _train(clock, lambda now: 0.7, state=resumed)
    assert clock.now == pytest.approx(1000 + 70, abs=3)
    assert resumed.step == resumed.total


def test_steps_are_timed_with_a_clock_that_stops_for_a_while(clock):
    ticks = iter(range(10**6))

    def seconds(now):
        return 0.016 if next(ticks) % 5 == 4 else 0.0

    state, _ = _train(clock, seconds, minutes=0.02)
    assert clock.now == pytest.approx(1.2, rel=0.1)
    assert state.step == state.total


class Cores:
    """Steps on 8 cores of which others use some: a step waits for the slowest of its threads."""

    def __init__(self, clock, free):
        self.clock, self.free = clock, free

    def step(self):
        threads = torch.get_num_threads()
        self.clock.busy = 0.5 if threads > self.free(self.clock.now) else 1.0
        self.clock.work(self.seconds(threads), threads)

    def seconds(self, threads):
        return 3.0 if threads > self.free(self.clock.now) else 1 / threads


@pytest.fixture
def eight_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


def test_fewer_threads_are_used_while_others_use_the_cores(clock, eight_threads):
    cores, counts = Cores(clock, lambda now: 2 if 50 < now < 400 else 8), []
    choice = ThreadChoice(CPU, cores.seconds)
    while clock.now < 1200:
        with choice.step():
            cores.step()
        counts.append((clock.now, choice.count))
        assert torch.get_num_threads() == 8
    assert {count for now, count in counts if now < 50} == {8}
    assert {count for now, count in counts if 100 < now < 400} == {2}
    assert {count for now, count in counts if now > 900} == {8}


def test_the_first_step_has_few_threads_if_the_cores_are_in_use(clock, eight_threads):
    cores, used = Cores(clock, lambda now: 2), []
    choice = ThreadChoice(CPU, cores.seconds)
    while clock.now < 300:
        with choice.step():
            used.append(torch.get_num_threads())
            cores.step()
    assert used[0] == 2
    assert max(used) == 2  # more threads are tried by the short computation only


def test_a_quiet_machine_tries_no_other_number(clock, eight_threads):
    choice, used = ThreadChoice(CPU), set()
    for _ in range(500):
        with choice.step():
            used.add(torch.get_num_threads())
            clock.work(0.1, 8)
    assert used == {8}


def test_the_number_of_threads_is_restored_also_with_two_trainings(monkeypatch, eight_threads):
    with torch_threads(1):
        assert usual_threads() == 8
        with torch_threads(4):
            assert torch.get_num_threads() == 4
            assert usual_threads() == 8
    assert torch.get_num_threads() == 8
    assert base_threads._BLOCKS.open == 0
    with pytest.raises(ValueError, match="failed"), torch_threads(2):
        raise ValueError("failed")
    assert torch.get_num_threads() == 8


def test_a_training_of_some_steps_leaves_the_threads_alone(clock, eight_threads):
    used = set()

    class Task(Machine):
        def loss(self, network, tensors):
            used.add(torch.get_num_threads())
            self.clock.busy = 0.3
            return super().loss(network, tensors)

    run(optimize_steps(_state(), Task(clock, lambda now: 1.0), Budget(1, 50), device=CPU))
    assert used == {8}
