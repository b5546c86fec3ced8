"""Events, the one way to drain a generator, and what a person sees."""

import ast
import signal
from pathlib import Path

import numpy as np
import pytest

from napari_smdiffusion import Image, TrainConfig
from napari_smdiffusion.base import events as progress
from napari_smdiffusion.base.errors import is_for_people
from napari_smdiffusion.base.events import Note, Progress, never, run
from napari_smdiffusion.base.terminal import Reporter, stop_on_interrupt


def _work():
    for step in range(1, 4):
        yield Progress("working", step, 3, 3.0 - step, 0.5)
    return "result"


def test_run_passes_events_on_and_returns_the_result():
    events = []
    assert run(_work(), events.append) == "result"
    assert [event.step for event in events] == [1, 2, 3]
    assert run(_work()) == "result"


def test_work_whose_events_cannot_be_shown_is_ended():
    given_back = []

    def steps():
        try:
            yield Note("Something is held.")
        finally:
            given_back.append(True)

    work = steps()
    with pytest.raises(BrokenPipeError):
        run(work, _broken_pipe)
    assert given_back


def _broken_pipe(_):
    raise BrokenPipeError


def _raised(what):
    try:
        return what()
    except Exception as error:
        return error


@pytest.mark.parametrize(
    "refused",
    [
        lambda: TrainConfig(patch=100),
        lambda: Image(np.zeros((3, 3))),
        lambda: Path("none").read_text(),
        lambda: bytearray(2**62),
    ],
)
def test_errors_that_people_can_correct_are_for_people(refused):
    assert is_for_people(_raised(refused))


@pytest.mark.parametrize(
    "defect",
    [
        lambda: np.zeros(2) + np.zeros(3),
        lambda: np.linalg.inv(np.zeros((2, 2))),
        lambda: b"\xff".decode(),
        lambda: 1 / 0,
        lambda: _sentence_of_another_library(),
    ],
)
def test_defects_are_not_for_people(defect):
    assert not is_for_people(_raised(defect))


def _sentence_of_another_library():
    raise ValueError("`x0` is infeasible.")


def test_what_is_raised_here_is_a_sentence():
    """Whatever is raised with a message known beforehand ends as a sentence does, or it is taken for a defect."""
    for path in Path(progress.__file__).parents[1].rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                message = node.exc.args[0]
                last = message.values[-1] if isinstance(message, ast.JoinedStr) else message
                written = isinstance(last, ast.Constant) and ast.unparse(node.exc.func) != "AttributeError"
                assert not written or last.value.endswith("."), f"{path.name}, line {node.lineno}"


def test_first_interrupt_stops_and_the_second_interrupts():
    # What a shell starts in the background is born deaf to Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stop_on_interrupt() as stop:
            assert not stop()
            signal.raise_signal(signal.SIGINT)
            assert stop()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not never()


def test_plain_lines_where_there_is_no_terminal(capsys):
    report = Reporter(every=0.0)
    run(_work(), report)
    report(Progress("comparing", 0, 3, float("inf")))
    report(Note("Memory ran out."))
    report.close()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "working: 1/3  loss 0.5000  0:02 left",
        "working: 2/3  loss 0.5000  0:01 left",
        "working: 3/3  loss 0.5000",
        "comparing: 0/3",
        "Memory ran out.",
    ]


def test_a_bar_with_the_time_left_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    report = Reporter()
    run(_work(), report)
    report.close()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "3/3" in printed.err
    assert "0:00 left" in printed.err
