"""Events, the one way to drain a generator, and what a person sees."""

import os
import signal

import pytest

from napari_smdiffusion.progress import Note, Progress, Reporter, never, run, stop_on_interrupt


def _work():
    for step in range(1, 4):
        yield Progress("working", step, 3, 3.0 - step, 0.5)
    return "result"


def test_run_passes_events_on_and_returns_the_result():
    events = []
    assert run(_work(), events.append) == "result"
    assert [event.step for event in events] == [1, 2, 3]
    assert run(_work()) == "result"


def test_first_interrupt_stops_and_the_second_interrupts():
    # What a shell starts in the background is born deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with stop_on_interrupt() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert not never()


def test_plain_lines_where_there_is_no_terminal(capsys):
    report = Reporter(every=0.0)
    run(_work(), report)
    report(Note("Memory ran out."))
    report.close()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "working: 1/3  loss 0.5000  0:02 left",
        "working: 2/3  loss 0.5000  0:01 left",
        "working: 3/3  loss 0.5000",
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
