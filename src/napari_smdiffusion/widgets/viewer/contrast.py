"""Contrast limits of images of filaments and molecules, in which most pixels are dark. Without Qt."""

from __future__ import annotations

from typing import Any

import numpy as np


def shown_range(pixels: Any) -> tuple[float, float]:
    """Return contrast limits of an image of any shape: its percentiles 1 and 99.8."""
    # A sample of about a million pixels is enough, and the window does not wait for it.
    sample = np.ravel(pixels)[:: max(1, np.size(pixels) // 1_000_003)]
    low, high = (float(value) for value in np.percentile(sample, (1, 99.8)))
    return (low, high) if low < high else (low, low + 1)


def sparse_range(pixels: Any) -> tuple[float, float]:
    """Return contrast limits of a rendered table: from 0 to the percentile 99 of the pixels that hold molecules."""
    sample = np.ravel(pixels)[:: max(1, np.size(pixels) // 4_000_037)]
    occupied = sample[sample > 1e-3 * float(np.max(pixels))]
    return 0.0, max(float(np.percentile(occupied, 99)), 1e-6) if occupied.size else 1.0
