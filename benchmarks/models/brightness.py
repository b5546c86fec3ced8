"""Measure how the brightness of a STORM image follows the light of its widefield image.

    python -m benchmarks.models.brightness

First, powers of the STORM image are blurred and compared with the widefield image, both without their smooth part. If
brightness were proportional to light, a power of 1 would fit best. Then slow changes of brightness are removed from the
enhanced image: it is divided by a power of its local mean. It is compared with the STORM image again. What is gained
then is what brightness costs, not structure. Training and tested part of both real pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.common import CELLS, FACTORS, TESTED, save
from napari_smdiffusion import load_enhancer
from napari_smdiffusion.images.registration import registration_shift, translated
from napari_smdiffusion.measure.restoration import correlation

if TYPE_CHECKING:
    import numpy.typing as npt

    Plane = npt.NDArray[np.float64]

PIXEL = 20.0  # nm; about the pixel size of both STORM images
EXPONENTS = (0.25, 0.4, 0.6, 0.8, 1.0, 1.25)  # of the STORM image
BLURS = (90.0, 130.0, 160.0, 200.0, 250.0)  # nm; the best one counts
HIGH_PASS = 500.0  # nm: what is smoother is removed
REMOVED = (0.0, 0.25, 0.5, 0.75, 1.0)  # power of the local mean that is divided out; 0 for nothing
WIDTHS = (500.0, 1000.0, 2000.0)  # nm: blur of the local mean
BLUR = 2.0  # pixels: the detail that the enhanced image is compared at
BORDER = 6  # widefield pixels that are left out


def widefield_explained(storm: Plane, widefield: Plane, factor: int) -> dict[str, float]:
    """Return the correlation of the widefield image with each power of the STORM image, for the best blur."""
    rows, columns = (length // factor for length in storm.shape)
    target = _inner(_detail(widefield[:rows, :columns], factor))

    def light(exponent: float, blur: float) -> Plane:
        blurred = gaussian_filter(storm**exponent, blur / PIXEL)[: rows * factor, : columns * factor]
        return np.asarray(blurred.reshape(rows, factor, columns, factor).mean((1, 3)))

    return {
        f"{exponent:g}": round(
            max(correlation(_inner(_detail(light(exponent, blur), factor)), target) for blur in BLURS), 3
        )
        for exponent in EXPONENTS
    }


def _detail(plane: Plane, factor: int) -> Plane:
    return np.asarray(plane - gaussian_filter(plane, HIGH_PASS / (PIXEL * factor)))


def _inner(plane: Plane) -> npt.NDArray[np.float32]:
    return plane[BORDER:-BORDER, BORDER:-BORDER].astype(np.float32)


def evened(enhanced: Plane, truth: Plane, window: tuple[slice, slice]) -> dict[str, dict[str, float]]:
    """Return the correlation with the STORM image for each width and each power of the local mean that is removed."""
    target, result = gaussian_filter(truth, BLUR)[window], {}
    for width in WIDTHS:
        mean = gaussian_filter(enhanced, width / PIXEL)
        mean = np.maximum(mean, 0.5 * np.percentile(mean, 20))  # not in empty field
        result[f"{width:g} nm"] = {
            f"{power:g}": round(correlation((enhanced / mean**power)[window], target), 3) for power in REMOVED
        }
    return result


def main() -> None:
    """Measure both pairs, print the results and save them."""
    results: dict[str, Any] = {}
    for name, cell in CELLS.items():
        storm, train, coarse = cell()
        factor, enhancer = FACTORS[name], load_enhancer(name)
        shift = registration_shift(list(coarse.pixels), list(storm.pixels), factor) or (0.0, 0.0)
        truth = storm.pixels[0].astype(np.float64)
        enhanced = np.clip(translated(enhancer.enhance(coarse).pixels[0], shift), 0, None).astype(np.float64)
        height, width = train.size
        placed = np.clip(translated(storm.pixels[0], (-shift[0], -shift[1])), 0, None).astype(np.float64)
        results[name] = {
            "enhancer": enhancer.digest()[:12],
            "widefield_explained_in_the_training_part": widefield_explained(
                placed[:height, :width], coarse.pixels[0].astype(np.float64), factor
            ),
            "local_brightness_removed": {
                "test": evened(enhanced, truth, TESTED[name]),
                "training": evened(enhanced, truth, (slice(0, height), slice(0, width))),
            },
        }
        print(name, results[name])
    save("brightness", results)


if __name__ == "__main__":
    main()
