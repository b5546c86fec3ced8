"""Progress of a job with several images: which image is worked on, and the time left for all of them."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base.events import Event, Progress, Steps

if TYPE_CHECKING:
    from collections.abc import Sequence


class WholeProgress:
    """Turns the progress of single images into the progress of a job.

    Parameters
    ----------
    sources
        The images of the job. The time that an image takes is in proportion to its pixels, where all of them are known.
    """

    def __init__(self, sources: Sequence[Any]) -> None:
        sizes = [_pixel_count(source) for source in sources]
        self._sizes = sizes if all(sizes) else [1.0] * len(sizes)
        self._index = 0
        self._begun = time.monotonic()
        self._seconds, self._pixels = 0.0, 0.0  # of the finished images

    def begin(self, index: int) -> None:
        """Begin image `index`."""
        self._index, self._begun = index, time.monotonic()

    def end(self) -> None:
        """Note the time of a finished image, with its maps."""
        self._seconds += time.monotonic() - self._begun
        self._pixels += self._sizes[self._index]

    def of(self, steps: Steps[Any]) -> Steps[Any]:
        """Pass the events of steps on, with the progress of the whole job; return their result."""
        with closing(steps):  # frees the device and removes incomplete files if the job is closed
            while True:
                try:
                    event = next(steps)
                except StopIteration as finished:
                    return finished.value
                yield self._whole(event)

    def _whole(self, event: Event) -> Event:
        if not isinstance(event, Progress) or len(self._sizes) < 2:
            return event
        here = self._sizes[self._index]
        share = event.share if event.share is not None else event.step / max(event.total, 1)
        done = (sum(self._sizes[: self._index]) + share * here) / sum(self._sizes)
        detail = event.detail or f"{event.step}/{event.total}"
        return replace(
            event,
            seconds_left=self._seconds_left(event, share),
            detail=f"image {self._index + 1} of {len(self._sizes)}, {detail}",
            share=done,
        )

    def _seconds_left(self, event: Progress, share: float) -> float:
        """Return the time left for this image and for the later ones, which take as long as those until now."""
        later = sum(self._sizes[self._index + 1 :])
        elapsed, here = time.monotonic() - self._begun, self._sizes[self._index]
        if self._pixels:
            per_pixel = self._seconds / self._pixels
            return max(per_pixel * here - elapsed, event.seconds_left if share < 1 else 0.0) + per_pixel * later
        if not math.isfinite(event.seconds_left) or share <= 0:
            return math.inf
        return event.seconds_left + (elapsed + event.seconds_left) / here * later


def _pixel_count(source: Any) -> float:
    """Return the number of pixels of an image or a layer, or 0 if it is not known before it is read."""
    shape = getattr(getattr(source, "pixels", None), "shape", None)
    return float(math.prod(shape)) if shape else 0.0
