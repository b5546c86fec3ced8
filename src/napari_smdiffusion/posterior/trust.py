"""The map of trust: at each pixel, the share of the samples that show structure there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..base.arrays import Pixels

BLUR = 2.0  # pixels of the result, standard deviation: about the resolution that enhancers reach on real pairs
BLUR_REACH = 8  # pixels that a blurred pixel depends on, on each side
CERTAIN, LIKELY = 0.9, 0.5  # shares of the samples, from which on structure is called so
_BRIGHT, _SHARE = 99.5, 0.1  # percentile of training patches, and the share of it that counts as structure


def blurred(sample: Pixels) -> Pixels:
    """Return a plane (Y, X) at the resolution that the intervals and the map of trust are about."""
    return np.asarray(gaussian_filter(sample, BLUR, mode="nearest", radius=BLUR_REACH), np.float32)


def structure_level(sharp: Iterable[Pixels]) -> float:
    """Return the intensity from which on a blurred plane shows structure, from sharp training patches (Y, X)."""
    values = np.stack([blurred(patch) for patch in sharp])
    return max(_SHARE * float(np.percentile(values, _BRIGHT)), 1e-6)


def agreement(trust: Pixels, light: Pixels) -> float | None:
    """Return the share of the light of the best estimate that is at certain places; None without light.

    Parameters
    ----------
    trust, light
        The map of trust and the best estimate, (N, Y, X). They are read row by row, and may be larger than memory.
    """
    total = certain = 0.0
    for plane, values in zip(trust, light, strict=True):
        for shown, row in zip(plane, values, strict=True):
            total += float(np.sum(row, dtype=np.float64))
            certain += float(np.sum(row, dtype=np.float64, where=shown >= CERTAIN))
    return certain / total if total > 0 else None
