"""Lines on standard error and standard output that is closed, full, broken, or of another encoding."""

import io
import os
import sys

import pytest

from napari_smdiffusion.base.events import Note, Progress, run
from napari_smdiffusion.base.lines import discard_unwritten, open_closed_descriptors, show, write_status
from napari_smdiffusion.base.terminal import Reporter


def _full():
    return open("/dev/full", "w", encoding="utf-8", buffering=1)


def _without_reader():
    reading, writing = os.pipe()
    os.close(reading)
    return open(writing, "w", encoding="utf-8", buffering=1)


def _closed():
    stream = io.StringIO()
    stream.close()
    return stream


BROKEN = [_full, _without_reader, _closed, lambda: None]


@pytest.mark.skipif(os.name == "nt", reason="/dev/full")
@pytest.mark.parametrize("make", BROKEN)
def test_no_line_of_progress_ends_a_job(monkeypatch, make):
    def steps():
        yield Note("A note.")
        for step in range(1, 4):
            yield Progress("training", step, 3, 1.0, 0.5)
        return "kept"

    monkeypatch.setattr(sys, "stderr", make())
    report = Reporter(every=0)
    assert run(steps(), report) == "kept"
    report.close()
    write_status("The model is in m.")
    discard_unwritten()


def test_a_terminal_that_is_gone_ends_no_job(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True

    def write(text):
        raise OSError(5, "Input/output error")

    stream.write = write
    monkeypatch.setattr(sys, "stderr", stream)
    report = Reporter()
    report(Progress("training", 1, 3, 1.0))
    report(Note("A note."))
    report.close()


def test_a_full_disk_under_standard_output_is_an_error_and_a_pipe_without_reader_is_none(monkeypatch):
    monkeypatch.setattr(sys, "stdout", _full())
    with pytest.raises(OSError, match=r"Standard output cannot be written \(the disk is full\)"):
        show("a")
    discard_unwritten()
    for make in BROKEN[1:]:
        monkeypatch.setattr(sys, "stdout", make())
        show("a")
        discard_unwritten()


@pytest.mark.parametrize("encoding", ["ascii", "cp1251", "cp437", "cp1252", "utf-8"])
def test_every_encoding_gets_the_line(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    show("×5, 20 µm – ζ\x1b[31m")
    text = raw.getvalue().decode(encoding)
    assert "5, 20 " in text
    assert "m " in text
    assert "\x1b" not in text


def test_closed_descriptors_are_opened_on_the_null_device():
    kept = os.dup(0)
    os.close(0)
    try:
        open_closed_descriptors()
        assert os.path.sameopenfile(0, os.open(os.devnull, os.O_RDWR))
    finally:
        os.dup2(kept, 0)
        os.close(kept)
