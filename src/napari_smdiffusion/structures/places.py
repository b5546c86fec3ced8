"""Random places in a field and on spheres, for structures that are not drawn along curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from .curves import MARGIN

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Values

_WAVES = 48  # plane waves that a smooth random function is the sum of


def random_points(density: float, field: float, rng: np.random.Generator, margin: float = MARGIN) -> Values:
    """Draw independent points (N, 2) as (y, x) in nm, `density` of them per µm², in a field of `field` nm and a margin.

    Without a margin, structures that reach into the field from outside would be missing at its border.
    """
    number = rng.poisson(density * ((field + 2 * margin) / 1000) ** 2)
    points: Values = rng.uniform(-margin, field + margin, (number, 2))
    return points


def spaced_points(
    density: float, distance: float, field: float, rng: np.random.Generator, margin: float = MARGIN
) -> Values:
    """Draw points as `random_points`, of which no two are nearer to each other than `distance` nm.

    A point is left out if an earlier one is within the distance (the second process of Matérn 1960). `density` is the
    density of the points that remain; it is below 1 / (π `distance`²).
    """
    area = np.pi * (distance / 1000) ** 2
    points = random_points(-np.log(1 - density * area) / area, field, rng, margin)
    near = cKDTree(points).query_pairs(distance, output_type="ndarray")
    keep = np.ones(len(points), bool)
    keep[near.max(axis=1)] = False
    return points[keep]


def smooth_waves(points: Values, scale: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a smooth random function with mean 0 and standard deviation 1 at points (..., 2).

    It changes over `scale` nm. It is a sum of plane waves, which needs no grid.
    """
    frequency = rng.normal(0, 1 / scale, (2, _WAVES))
    phase = rng.uniform(0, 2 * np.pi, _WAVES)
    waves: npt.NDArray[np.float64] = np.cos(points @ frequency + phase).sum(-1) * np.sqrt(2 / _WAVES)
    return waves


def random_directions(number: int, rng: np.random.Generator) -> Values:
    """Draw directions (number, 3) that are uniform on a sphere."""
    directions = rng.normal(0, 1, (number, 3))
    unit: Values = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return unit
