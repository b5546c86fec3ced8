"""Isolated hot and dead pixels of a camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Pixels

_NOISE, _RANGE = 6.0, 4.0
_SECOND = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])  # of white noise with σ, its result has 6 σ


def isolated_pixels(plane: Pixels) -> npt.NDArray[np.bool_]:
    """Return which pixels (Y, X) are far brighter or darker than all their 8 neighbours.

    A point source has bright neighbours. An isolated pixel differs from its neighbours by `_NOISE` standard deviations
    of the noise, and by `_RANGE` times the range of the middle ones of them. The local levels of an enhancer use the
    same rule.
    """
    padded = np.pad(np.asarray(plane, np.float32), 1, mode="edge")
    shifted = np.stack(
        [padded[y : y + plane.shape[0], x : x + plane.shape[1]] for y in range(3) for x in range(3)], axis=0
    )
    # The median of the second differences ignores structure and isolated pixels (Immerkær, CVIU 64, 300 (1996)).
    second = np.tensordot(_SECOND.ravel().astype(np.float32), shifted, 1)
    noise = float(np.median(np.abs(second))) / (0.6745 * 6)
    value, neighbours = shifted[4], np.sort(np.delete(shifted, 4, axis=0), axis=0)
    low, high = neighbours[2], neighbours[5]
    isolated: npt.NDArray[np.bool_] = np.maximum(value - high, low - value) > _NOISE * noise + _RANGE * (high - low)
    return isolated
