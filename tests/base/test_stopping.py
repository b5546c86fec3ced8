"""SIGTERM and SIGHUP end a command as Ctrl-C does, and change nothing outside of a command."""

import os
import signal
import threading

import pytest

from napari_smdiffusion.base.stopping import ending_signals_interrupt, stop_on_interrupt

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
ENDING = [signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDING)
def test_an_ending_signal_stops_a_job_and_repeats_do_no_harm(number):
    before = signal.getsignal(number)
    with ending_signals_interrupt():
        with stop_on_interrupt() as stop:
            assert not stop()
            for _ in range(3):
                signal.raise_signal(number)
            assert stop()
        with pytest.raises(KeyboardInterrupt):  # outside of a job there is nothing to keep
            signal.raise_signal(number)
        signal.raise_signal(number)  # the program cleans up
    assert signal.getsignal(number) == before


def test_a_job_in_the_library_leaves_the_signals_of_its_host_alone():
    before = [signal.getsignal(number) for number in ENDING]
    with stop_on_interrupt():
        assert [signal.getsignal(number) for number in ENDING] == before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_signals_interrupt(), stop_on_interrupt() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_once_stops_and_twice_interrupts():
    # A process that a shell starts in the background ignores Ctrl-C, so the handler is set here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ending_signals_interrupt(), stop_on_interrupt() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_work_in_another_thread_is_not_stopped_by_signals():
    seen = []

    def work():
        with ending_signals_interrupt(), stop_on_interrupt() as stop:
            seen.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
