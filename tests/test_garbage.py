"""Changes of garbage collection last as long as anybody holds them, and no longer."""

import gc
import subprocess
import sys

import pytest

from napari_smdiffusion.garbage import LOADING, RUNNING, WhileHeld


def test_the_first_holder_changes_and_the_last_one_puts_back():
    log = []

    def change():
        log.append("changed")
        return lambda: log.append("put back")

    held = WhileHeld(change)
    for _ in range(2):
        with held, held:
            held.hold()
        assert log == ["changed"]
        held.release()
        assert log == ["changed", "put back"]
        log.clear()


def test_an_error_puts_it_back():
    def fail():
        with RUNNING, LOADING:
            assert gc.get_freeze_count()
            assert not gc.isenabled()
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    assert not gc.get_freeze_count()
    assert gc.isenabled()


def test_who_collects_nothing_goes_on_so():
    gc.disable()
    try:
        with LOADING:
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_command_collects_garbage_again_when_all_is_loaded(tmp_path):
    """In a process where nothing is loaded yet."""
    code = f"""
import gc
from napari_smdiffusion.cli import main
main(["generate", "microtubules", "--count", "1", "--size", "64", "--steps", "2", "--out", {str(tmp_path / "x.tif")!r}])
print(gc.isenabled())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split()[-1] == "True"
