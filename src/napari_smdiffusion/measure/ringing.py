"""Ringing: faint copies of structure beside it, at one distance on both sides.

Deconvolution rings, and so do networks that see images unlike those of their training. Neighbouring filaments lie at
any distance, so that the median profile across bright structure falls and stays low. A ripple at one distance remains
in it. Of both sides of a profile the fainter one counts: hollow tubes and pairs of filaments have a neighbour on one
side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from ..images.tiles import central

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Pixels

    Plane = npt.NDArray[np.float64]

# Height of a ripple above which a result is said to ring, relative to the structure: measured on results of the bundled
# enhancers, on STORM images, and on results with a made ripple (benchmarks/models/noticed.py).
RINGING = 0.008
_LARGEST = 256  # widefield pixels: side of the middle part that is looked at
_FARTHEST, _STEP = 6.0, 0.2  # widefield pixels: length of the profiles, and the distance of their points
_NEAREST = 0.8  # widefield pixels: nearer ripples belong to the structure
_RIDGE, _SMOOTH = 0.3, 0.2  # widefield pixels: σ of the blur for finding ridges and for profiles
_BRIGHT, _CURVED = 0.25, 0.03  # least brightness of a ridge, relative to the brightest; least curvature across it
_LEAST, _MOST = 200, 4000  # profiles


def ringing(enhanced: Pixels, period: float) -> float:
    """Return the height of the ripple beside structure, relative to the brightness of the structure.

    Parameters
    ----------
    enhanced
        (Y, X) plane, in any units; at least 0.
    period
        Pixels of the plane per widefield pixel; not a whole number if the result was resampled.

    Returns
    -------
    The height; 0 if the plane shows too few ridges to be judged.
    """
    plane = np.asarray(enhanced[central(enhanced.shape, round(_LARGEST * period))], np.float64)
    if min(plane.shape) <= 2 * _FARTHEST * period + 2:
        return 0.0
    places, normal = _ridges(plane, period)
    if places.shape[1] < _LEAST:
        return 0.0
    chosen = np.random.default_rng(0).permutation(places.shape[1])[:_MOST]
    distances = np.arange(0, _FARTHEST, _STEP)
    along = normal[:, chosen, None] * distances * period
    smooth = gaussian_filter(plane, _SMOOTH * period)
    sides = [map_coordinates(smooth, places[:, chosen, None] + sign * along, order=1) for sign in (1, -1)]
    profile = np.median(np.minimum(*sides) / sides[0][:, :1], 0)
    heights = [
        profile[i] - max(profile[:i].min(), profile[i + 1 :].min())
        for i in range(1, len(profile) - 1)
        if distances[i] >= _NEAREST
    ]
    return float(max(0.0, *heights))


def ringing_doubt(name: str, height: float) -> str:
    """Return a sentence if the result of the image `name` rings; otherwise ""."""
    if height <= RINGING:
        return ""
    return (
        f"The result of {name} has faint copies of structure beside it (ringing, {100 * height:.0f} % of its "
        f"brightness; up to {100 * RINGING:.1g} % is usual). They are made by the enhancer: train it for such images, "
        "or choose another one."
    )


def _ridges(plane: Plane, period: float) -> tuple[npt.NDArray[np.intp], Plane]:
    """Return the places (2, N) of bright ridges and spots, and the directions across them, (2, N); both (y, x).

    Only bright pixels are looked at, which are few.
    """
    sigma = max(_RIDGE * period, 1.0)
    smooth = gaussian_filter(plane, sigma)
    margin = max(int(_FARTHEST * period), 2)  # the curvature needs two pixels on each side
    bright = smooth[margin:-margin, margin:-margin] > _BRIGHT * np.percentile(smooth, 99.5)
    places = np.array(np.nonzero(bright)) + margin
    curvature, across = _curvature(smooth, places)
    curved = -curvature * sigma**2 > _CURVED * smooth[tuple(places)]
    places, across = places[:, curved], across[:, curved]
    height = smooth[tuple(places)]
    first, second = (height >= map_coordinates(smooth, places + sign * across, order=1) for sign in (1, -1))
    highest = first & second
    return places[:, highest], across[:, highest]


def _curvature(smooth: Plane, places: npt.NDArray[np.intp]) -> tuple[Plane, Plane]:
    """Return the most negative curvature at each of the places, (N,), and its direction, (2, N), by differences."""

    def at(y: int, x: int) -> Plane:
        values: Plane = smooth[places[0] + y, places[1] + x]
        return values

    yy = ((at(2, 0) - at(0, 0)) / 2 - (at(0, 0) - at(-2, 0)) / 2) / 2
    xx = ((at(0, 2) - at(0, 0)) / 2 - (at(0, 0) - at(0, -2)) / 2) / 2
    yx = ((at(1, 1) - at(-1, 1)) / 2 - (at(1, -1) - at(-1, -1)) / 2) / 2
    angle = 0.5 * np.arctan2(2 * yx, yy - xx)
    return (yy + xx) / 2 - np.hypot((yy - xx) / 2, yx), np.stack([-np.sin(angle), np.cos(angle)])
