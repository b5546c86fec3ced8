"""Measure how often a widefield image is said to be likelier of another structure, with right and wrong enhancers.

    python -m benchmarks.models.likely_structure

The threshold `enhance.likely_structure.LIKELIER` is chosen by it. Real images are also resampled to pixels that are 0.7
to 1.4 times as large; the whole image is looked at, and each part of 128 × 128 original pixels. Simulated images have a
microscope of their own each. The enhancers at hand are the bundled ones.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import CELLS, earlier_drawing, save
from benchmarks.models.doubts import PART, TIMES, resampled
from napari_smdiffusion import MicroscopeConfig, simulate
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.enhance.likely_structure import (
    LIKELIER,
    distance_from,
    enhancers_at_hand,
    likelier_structure,
)
from napari_smdiffusion.microscope.camera import widefield_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_smdiffusion.base.arrays import Pixels
    from napari_smdiffusion.enhance.facts import EnhancerRecord

    Views = Sequence[tuple[Pixels, float | None]]

SIMULATED, SIDE, FACTOR = 12, 1280, 5  # images of each structure, their super-resolution pixels, and the factor


def whole_images(shown: str) -> Views:
    """Return the real image on pixels of several sizes."""
    images = [resampled(CELLS[shown]()[2], times) for times in TIMES]
    return [(image.pixels[0], image.pixel_size) for image in images]


def parts(shown: str) -> Views:
    """Return the parts of the real image on pixels of several sizes."""
    found = []
    for times in TIMES:
        image, side = resampled(CELLS[shown]()[2], times), int(PART / times)
        starts = [range(0, length - side + 1, side) for length in image.size]
        found += [(image.pixels[0][y : y + side, x : x + side], image.pixel_size) for y, x in product(*starts)]
    return found


def simulated(shown: str) -> Views:
    """Return simulated images, through a microscope of their own each."""
    found = []
    for seed in range(SIMULATED):
        fine = simulate(shown, size=SIDE, pixel_size=20.0, seed=100 + seed, **earlier_drawing(shown))
        image = widefield_image(fine, 20.0, MicroscopeConfig(), FACTOR, generator(seed))
        found.append((image.pixels[0], image.pixel_size))
    return found


def judged(views: Views, shown: str, records: Sequence[EnhancerRecord]) -> dict[str, Any]:
    """Return the ratios of the distances, and how often the structure of each enhancer was called the less likely."""
    ratios, rows = [], {record.name: [0, 0] for record in records}
    for plane, size in views:
        distances = {record.name: distance_from(record, plane, size) for record in records}
        nearest: dict[str, float] = {}
        for record in records:
            if distance := distances[record.name]:
                nearest[record.structure] = min(distance, nearest.get(record.structure, distance))
        if len(nearest) == 2:
            other = next(structure for structure in nearest if structure != shown)
            ratios.append(nearest[shown] / nearest[other])
        for record in records:
            if distances[record.name]:
                rows[record.name][0] += 1
                rows[record.name][1] += bool(likelier_structure(record.structure, nearest))
    return {
        "ratio to the other structure": [round(float(q), 3) for q in np.quantile(ratios, (0, 0.5, 1))],
        **{name: {"images": images, "warned": warned} for name, (images, warned) in rows.items()},
    }


def main() -> None:
    """Judge every image with every bundled enhancer."""
    records = list(enhancers_at_hand())
    results: dict[str, Any] = {"likelier": LIKELIER}
    for shown in CELLS:
        views = {"whole": whole_images(shown), "parts": parts(shown), "simulated": simulated(shown)}
        results[shown] = {kind: judged(each, shown, records) for kind, each in views.items()}
    save("likely_structure", results)


if __name__ == "__main__":
    main()
