"""Changes of garbage collection last as long as anybody holds them, and no longer."""

import gc
import subprocess
import sys
import threading
import weakref

import pytest

from napari_smdiffusion.compute import release_memory
from napari_smdiffusion.garbage import FROZEN, PAUSED, WhileHeld, collect


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
        with FROZEN, PAUSED:
            assert gc.get_freeze_count()
            assert not gc.isenabled()
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    assert not gc.get_freeze_count()
    assert gc.isenabled()


def test_what_is_made_meanwhile_is_old_then():
    with PAUSED:
        kept = [[] for _ in range(20_000)]
    assert gc.get_count()[0] < 1000
    assert any(one is kept for one in gc.get_objects(generation=2))


def test_who_collects_nothing_goes_on_so():
    gc.disable()
    try:
        with PAUSED:
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.fixture
def thresholds():
    """Collect the youngest generation after 100 objects, and the next one after three times; put it back."""
    before = gc.get_threshold()
    gc.set_threshold(100, 3, 3)
    gc.collect()
    with PAUSED:
        yield
    gc.set_threshold(*before)


class Cycle:
    """What only the collector can delete."""

    def __init__(self):
        self.itself = self


def test_garbage_is_collected_when_there_is_as_much_as_python_waits_for(thresholds):
    one = weakref.ref(Cycle())
    collect()
    assert one() is not None
    kept = [[] for _ in range(200)]
    assert one() is not None  # by itself Python would have
    collect()
    assert one() is None
    for _ in range(4):
        kept.extend([] for _ in range(200))
        collect()
    assert gc.get_count()[1:] == (0, 1)


def test_a_threshold_of_zero_collects_nothing(thresholds):
    gc.set_threshold(0)
    one = weakref.ref(Cycle())
    kept = [[] for _ in range(2000)]
    collect()
    assert one() is not None, len(kept)


def test_memory_is_released_without_collecting_beside_the_main_thread():
    with PAUSED:
        one = weakref.ref(Cycle())
        thread = threading.Thread(target=release_memory)
        thread.start()
        thread.join()
        assert one() is not None
        release_memory()
        assert one() is None


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
