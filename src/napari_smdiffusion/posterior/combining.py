"""The best estimate from the estimate of the enhancer and posterior samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..base.arrays import Pixels

# Samples that the estimate of the enhancer counts as. The mean of few samples is noisy, and the estimate is not: alone,
# the mean of 6 samples of real microtubules correlated with the STORM image by 0.55, the estimate by 0.65, and both
# together by 0.65.
WEIGHT = 16


def best_estimate(estimate: Pixels, mean: Pixels, count: int) -> Pixels:
    """Return the mean of `count` samples and the estimate, which counts as `WEIGHT` samples.

    Both aim at the mean of all images that could be true: the enhancer by its squared error, the samples by their
    number.
    """
    return np.asarray((WEIGHT * estimate + count * mean) / (WEIGHT + count), np.float32)
