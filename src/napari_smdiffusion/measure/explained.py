"""How well an enhanced image explains its widefield image, so that a result of the wrong enhancer is doubted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ..images.outliers import isolated_pixels
from ..images.patches import averaged
from ..images.tiles import central
from ..images.unmeasured import scan
from .restoration import correlation

if TYPE_CHECKING:
    from ..base.arrays import Pixels

# Correlation below which a result is doubted. Measured with the bundled enhancers (benchmarks/models/doubts.py): noise
# has at most 0.72, real whole images 0.85 or more with the right enhancer, and 0.74 or less with microtubules drawn
# into mitochondria. docs/results.md has the false alarms in parts of images.
DOUBTED = 0.75
_SMOOTH_LIGHT = 4.0  # widefield pixels: σ of the Gaussian that removes out-of-focus light, which no result explains
_NOISE = 0.7  # widefield pixels: σ of the Gaussian that reduces the noise of both
_BLURS = (0.5, 0.8, 1.2, 1.7, 2.4)  # widefield pixels: σ of the microscopes that are tried
_LARGEST = 512  # widefield pixels: side of the middle part that is compared


def explained(enhanced: Pixels, widefield: Pixels, factor: int) -> float:
    """Return the correlation of a widefield plane with its enhanced plane, blurred by the best of several microscopes.

    Smooth light is removed from both. The value is near 1 if the enhanced image explains the widefield image, and 0 if
    one of them is constant. Pixels without a measurement and isolated hot or dead pixels do not count.

    Parameters
    ----------
    enhanced
        (Y·factor, X·factor) plane, in any units.
    widefield
        (Y, X) plane.
    factor
        Enhanced pixels per widefield pixel.
    """
    middle = central(widefield.shape, _LARGEST)
    fine = tuple(slice(part.start * factor, part.stop * factor) for part in middle)
    camera = np.asarray(widefield[middle], np.float32)
    counted = ~isolated_pixels(camera)
    if (measured := scan(camera).measured(camera)) is not None:
        counted &= measured
    if not counted.any():
        return 0.0
    weight = counted.astype(np.float32)
    target = _detail(camera, weight, _NOISE)[counted]
    binned = averaged(np.asarray(enhanced[fine], np.float32), factor)
    blurs = ((sigma**2 + _NOISE**2) ** 0.5 for sigma in _BLURS)
    return max(correlation(_detail(binned, weight, sigma)[counted], target) for sigma in blurs)


def _detail(plane: Pixels, weight: Pixels, sigma: float) -> Pixels:
    """Return the mean of the pixels around each pixel, weighted by a Gaussian of σ pixels, without the smooth light."""
    near, wide = (
        gaussian_filter(plane * weight, width) / np.maximum(gaussian_filter(weight, width), 1e-6)
        for width in (sigma, (sigma**2 + _SMOOTH_LIGHT**2) ** 0.5)
    )
    return np.asarray(near - wide, np.float32)


def doubt(name: str, agreement: float) -> str:
    """Return a sentence if a result explains its widefield image `name` too little; otherwise ""."""
    if agreement >= DOUBTED:
        return ""
    return (
        f"The result does not explain {name}: blurred again, its correlation with {name} is only {agreement:.2f}, and "
        f"that of a good result is above {DOUBTED}. The enhancer may be for another structure, or the image may be "
        "nearly noise."
    )
