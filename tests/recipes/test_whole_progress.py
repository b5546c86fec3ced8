"""The progress of a job with several images, with a clock of the test."""

import math

import numpy as np
import pytest

from napari_smdiffusion import EnhanceConfig, EnhanceJob, Image
from napari_smdiffusion.base.events import PartBegun, PartDone, Progress, run
from napari_smdiffusion.recipes import whole_progress
from napari_smdiffusion.recipes.whole_progress import WholeProgress


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only entry is the time in s."""
    now = [0.0]
    monkeypatch.setattr(whole_progress.time, "monotonic", lambda: now[0])
    return now


def _events(whole, clock, seconds, steps):
    """Return the events of an image that takes `seconds` for each of its steps."""

    def work():
        for step in range(1, steps + 1):
            clock[0] += seconds
            yield Progress("enhancing", step, steps, (steps - step) * seconds, detail=f"tile {step} of {steps}")
        return "done"

    events = []
    assert run(whole.of(work()), events.append) == "done"
    return events


def test_the_time_left_is_for_all_images(clock):
    images = [Image(np.zeros((1, 20, side))) for side in (20, 20, 40)]
    whole, lefts, shares = WholeProgress(images), [], []
    for index, steps in enumerate((4, 4, 8)):
        whole.begin(index)
        events = _events(whole, clock, 1.0, steps)
        whole.end()
        lefts += [event.seconds_left for event in events]
        shares += [event.share for event in events]
        assert events[0].detail == f"image {index + 1} of 3, tile 1 of {steps}"
    assert lefts == pytest.approx(range(15, -1, -1))
    assert shares == pytest.approx(np.arange(1, 17) / 16)


def test_unknown_sizes_count_alike_and_one_image_keeps_its_events(clock):
    whole = WholeProgress(["a.tif", "b.tif"])
    whole.begin(0)
    assert [event.share for event in _events(whole, clock, 1.0, 2)] == [0.25, 0.5]
    whole.begin(1)
    (event,) = _events(whole, clock, math.inf, 1)
    assert (event.share, event.detail) == (1.0, "image 2 of 2, tile 1 of 1")
    alone = WholeProgress(["a.tif"])
    assert _events(alone, clock, 1.0, 1)[0].detail == "tile 1 of 1"


def test_a_job_reports_its_images_tiles_and_views(tiny_enhancer, widefield):
    """An uncertainty map takes 8 predictions for each tile, and each of them moves the bar."""
    arrays, events = {}, []

    def new_array(index, plan):
        return arrays.setdefault((index, plan.kind), np.zeros(plan.shape, np.float32))

    small, widefield = widefield.crop(slice(0, 80), slice(0, 64)), widefield.crop(slice(0, 80), slice(0, 80))
    job = EnhanceJob(tiny_enhancer, [small, widefield], EnhanceConfig(uncertainty=True, tile=64))
    result = run(job.steps(new_array=new_array), events.append)
    assert [event.index for event in events if isinstance(event, PartBegun)] == [0, 1]
    assert [event.index for event in events if isinstance(event, PartDone)] == [0, 1]
    progress = [event for event in events if isinstance(event, Progress)]
    shares = [event.share for event in progress]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(set(shares)) > 8 * 4
    details = [event.detail for event in progress]
    assert details[0] == "image 1 of 2, tile 1 of 2"
    assert details[-1] == "image 2 of 2, tile 4 of 4"
    assert np.shares_memory(result.images[1].enhancement.image.pixels, arrays[1, "enhanced"])
