"""Events, the run of a job to its end, and the display of events."""

import ast
import signal
from pathlib import Path

import numpy as np
import pytest

import napari_smdiffusion
from napari_smdiffusion import Image, TrainConfig
from napari_smdiffusion.base.errors import is_user_error
from napari_smdiffusion.base.events import Note, Progress, never, run
from napari_smdiffusion.base.stopping import stop_on_interrupt
from napari_smdiffusion.base.terminal import Reporter


def _work():
    for step in range(1, 4):
        yield Progress("working", step, 3, 3.0 - step, 0.5)
    return "result"


def test_run_passes_events_on_and_returns_the_result():
    events = []
    assert run(_work(), events.append) == "result"
    assert [event.step for event in events] == [1, 2, 3]
    assert run(_work()) == "result"


def test_a_job_is_closed_if_its_events_cannot_be_shown():
    closed = []

    def steps():
        try:
            yield Note("A message.")
        finally:
            closed.append(True)

    job = steps()  # keeps a reference, so that only `run` can close the generator
    with pytest.raises(BrokenPipeError):
        run(job, _broken_pipe)
    assert closed


def _broken_pipe(_):
    raise BrokenPipeError


def _error_of(function):
    try:
        return function()
    except Exception as error:
        return error


@pytest.mark.parametrize(
    "failing",
    [
        lambda: TrainConfig(patch=100),
        lambda: Image(np.zeros((3, 3))),
        lambda: Path("none").read_text(),
        lambda: bytearray(2**62),
    ],
)
def test_errors_that_users_can_correct_are_user_errors(failing):
    assert is_user_error(_error_of(failing))


@pytest.mark.parametrize(
    "defect",
    [
        lambda: np.zeros(2) + np.zeros(3),
        lambda: np.linalg.inv(np.zeros((2, 2))),
        lambda: b"\xff".decode(),
        lambda: 1 / 0,
        lambda: _error_of_another_library(),
    ],
)
def test_defects_are_not_user_errors(defect):
    assert not is_user_error(_error_of(defect))


def _error_of_another_library():
    raise ValueError("`x0` is infeasible.")


def test_messages_of_errors_are_sentences():
    """Every error with a literal message ends with a full stop; those about parts of a file are parts of a sentence."""
    parts = {"AttributeError", "NgffError", "TensorFileError", "UnboundedTiffError"}
    for path in Path(napari_smdiffusion.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                message = node.exc.args[0]
                last = message.values[-1] if isinstance(message, ast.JoinedStr) else message
                literal = isinstance(last, ast.Constant) and ast.unparse(node.exc.func) not in parts
                assert not literal or last.value.endswith("."), f"{path.name}, line {node.lineno}"


def test_the_first_interrupt_stops_and_the_second_one_is_a_keyboard_interrupt():
    # A process that a shell starts in the background ignores Ctrl-C, so the handler is set here.
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


def test_without_a_terminal_events_are_lines(capsys):
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


def test_on_a_terminal_events_are_a_bar_with_the_time_left(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    report = Reporter()
    run(_work(), report)
    report.close()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "3/3" in printed.err
    assert "0:00 left" in printed.err
