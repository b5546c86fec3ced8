"""Measure how well results of the bundled enhancers explain their widefield images, right and wrong ones.

    python -m benchmarks.models.doubts

The threshold `measure.explained.DOUBTED` is chosen by it. The real widefield images are also resampled to pixels that
are 0.7 to 1.4 times as large, as a user's image may have them. Their pixel size is stated, so that they are resampled
to that of the enhancer. Every part of 128 × 128 original pixels is a result. Of each simulated image, drawn with a
microscope of its own, the whole counts.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import CELLS, earlier_drawing, save
from napari_smdiffusion import Enhancer, Image, MicroscopeConfig, simulate
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.enhance.pixel_fit import PixelFit
from napari_smdiffusion.enhance.resampling import squared
from napari_smdiffusion.measure.explained import DOUBTED, explained
from napari_smdiffusion.microscope.camera import widefield_image

if TYPE_CHECKING:
    from collections.abc import Sequence

ENHANCERS = {
    "microtubules": ("microtubules", "microtubules-x4"),
    "mitochondria": ("mitochondria", "mitochondria-x5"),
}
TIMES = (0.7, 0.85, 1.0, 1.2, 1.4)  # pixel size of a resampled image, in original pixels
PART = 128  # original pixels along the side of a part
SIMULATED, SIDE = 6, 640  # images of each structure, and their super-resolution pixels along a side


def resampled(image: Image, times: float) -> Image:
    """Return an image on pixels that are so many times as large."""
    size = image.pixel_size or 0.0
    return image if times == 1 else squared(image, PixelFit((size, size), times * size))


def real(enhancer: Enhancer, image: Image, times: float) -> list[float]:
    """Return the agreement of each part of a real image."""
    coarse, factor = resampled(image, times), enhancer.config.upscale
    sharp, side = enhancer.enhance(coarse).pixels[0], int(PART / times)
    starts = (range(0, length - side + 1, side) for length in coarse.size)
    return [
        explained(
            sharp[y * factor : (y + side) * factor, x * factor : (x + side) * factor],
            coarse.pixels[0, y : y + side, x : x + side],
            factor,
        )
        for y, x in product(*starts)
    ]


def simulated(enhancer: Enhancer, structure: str) -> list[float]:
    """Return the agreement of each simulated image."""
    values, factor = [], enhancer.config.upscale
    for seed in range(SIMULATED):
        fine = simulate(
            structure, size=SIDE, pixel_size=enhancer.pixel_size or 20.0, seed=100 + seed, **earlier_drawing(structure)
        )
        image = widefield_image(fine, fine.pixel_size or 20.0, MicroscopeConfig(), factor, generator(seed))
        values.append(explained(enhancer.enhance(image).pixels[0], image.pixels[0], factor))
    return values


def noise(enhancer: Enhancer) -> list[float]:
    """Return the agreement of images of noise alone."""
    planes = [np.random.default_rng(n).poisson(100, (PART, PART)).astype(np.float32) for n in range(SIMULATED)]
    size = enhancer.widefield_pixel_size
    return [explained(enhancer.enhance(Image(p, size)).pixels[0], p, enhancer.config.upscale) for p in planes]


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return the range of agreements, and how many are doubted."""
    return {
        "results": len(values),
        "lowest": round(min(values), 3),
        "highest": round(max(values), 3),
        "doubted": int(np.sum(np.array(values) < DOUBTED)),
    }


def main() -> None:
    """Measure every enhancer on every kind of image."""
    results: dict[str, Any] = {"threshold": DOUBTED}
    for name in (name for names in ENHANCERS.values() for name in names):
        enhancer = Enhancer.load(name)
        entry: dict[str, Any] = {"noise": summary(noise(enhancer))}
        for structure in ENHANCERS:
            widefield = replace(CELLS[structure]()[2], name=structure)
            entry[structure] = {
                "real": {str(times): summary(real(enhancer, widefield, times)) for times in TIMES},
                "simulated": summary(simulated(enhancer, structure)),
            }
        results[name] = entry
        print(name, entry, flush=True)
    save("doubts", results)


if __name__ == "__main__":
    main()
