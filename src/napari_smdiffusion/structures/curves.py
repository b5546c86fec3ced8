"""Random curves, and structures drawn along them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

if TYPE_CHECKING:
    from ..base.arrays import Values

STEP = 8.0  # nm between two sites along a curve, the length of a tubulin dimer
MARGIN = 2000.0  # nm around the field in which curves may begin, so that the density is the same up to the border


def random_curves(
    number: int, length: float, bend: float, field: float, rng: np.random.Generator
) -> tuple[Values, npt.NDArray[np.float64]]:
    """Draw smooth curves whose curvature changes slowly along them.

    Parameters
    ----------
    number, length
        Number of curves, and their length in nm.
    bend
        Typical curvature in 1/nm.
    field
        Side of the field in nm; the middle of each curve is a random point of the field or its margin.
    rng
        Random generator.

    Returns
    -------
    Points (number, sites, 2) as (y, x) in nm, and the direction of the curve at each of them, (number, sites) in
    radians.
    """
    sites = int(length / STEP)
    middle = rng.uniform(-MARGIN, field + MARGIN, (number, 1, 2))
    # The curvature is white noise smoothed over a micrometre: an unsmoothed curve would have kinks.
    curvature = gaussian_filter1d(rng.normal(0, 1, (number, sites)), 1000 / STEP, axis=1, mode="wrap")
    curvature *= bend / curvature.std()
    angle = rng.uniform(0, 2 * np.pi, (number, 1)) + np.cumsum(curvature * STEP, axis=1)
    points = np.cumsum(np.stack([np.sin(angle), np.cos(angle)], axis=-1) * STEP, axis=1)
    return points - points[:, sites // 2 : sites // 2 + 1] + middle, angle


def labelled_sites(number: int, sites: int, fraction: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw which sites (number, sites) carry a fluorophore.

    `fraction` is the mean probability. It varies along a curve over 60 nm, which leaves gaps, and between curves.
    """
    waves = gaussian_filter1d(rng.normal(0, 1, (number, sites)), 60 / STEP, axis=1, mode="wrap")
    waves /= waves.std()
    brightness = rng.lognormal(0, 0.5, (number, 1))
    labelled: npt.NDArray[np.bool_] = rng.random((number, sites)) < fraction * brightness * np.exp(0.7 * waves - 0.25)
    return labelled


def shift_sideways(points: Values, angle: npt.NDArray[np.float64], across: npt.NDArray[np.float64]) -> Values:
    """Return points (..., 2) shifted by `across` nm at a right angle to their curve, whose direction is `angle`."""
    shifted: Values = points + np.stack([np.cos(angle), -np.sin(angle)], axis=-1) * across[..., np.newaxis]
    return shifted


def smooth_noise(sites: int, scale: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw noise (sites,) with mean 0 and standard deviation 1 that changes over `scale` nm along a curve."""
    spacing = max(int(scale / STEP / 4), 1)  # noise at every fourth of the scale is enough
    coarse = gaussian_filter1d(rng.normal(0, 1, sites // spacing + 16), 4, mode="wrap")
    coarse *= np.sqrt(8 * np.sqrt(np.pi))
    noise: npt.NDArray[np.float64] = np.interp(np.arange(sites) / spacing, np.arange(len(coarse)), coarse)
    return noise
