"""Actin stress fibres: straight, nearly parallel bundles of filaments.

Sizes: bundles have 10 to 30 filaments or more (Cramer et al., Journal of Cell Biology 136, 1287, 1997). They are 0.1 to
0.5 µm wide, many micrometres long, and parallel to the long axis of the cell (Tojkander et al., Journal of Cell Science
125, 1855, 2012). Single filaments of 7 nm are between them. Phalloidin adds less than a nanometre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .actin_cortex import draw_filaments
from .curves import MARGIN, STEP, labelled_sites, shift_sideways
from .places import random_points
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Values

_LENGTH = 24_000.0  # nm, longest bundle
_SPACING = 900.0  # nm, mean distance of neighbouring bundles
_PER_FILAMENT = 14.0  # nm of the width of a bundle for each filament
_WIDTH, _WIDTHS = 190.0, (100.0, 500.0)  # nm, median width of the bundles, and its limits
_SINGLE = 4.0  # single filaments per µm²


@STRUCTURES.register("actin-stress-fibres")
@structure_model(
    "straight parallel bundles of 0.1 to 0.5 µm, with single filaments between them",
    "Cramer et al., Journal of Cell Biology 136, 1287 (1997) and Tojkander et al., Journal of Cell Science 125, 1855 "
    "(2012): bundles",
    labelling=0.8,
    realism_unit=False,
)
def actin_stress_fibres(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw bundles along the axis of the cell, a few in another direction, and single filaments."""
    axis = rng.uniform(0, np.pi)
    bundles = _bundles(field, axis, labelling, rng)
    starts = random_points(_SINGLE, field, rng)
    singles, _, length = draw_filaments(starts, axis + rng.normal(0, 0.7, len(starts)), rng)
    keep = labelled_sites(
        len(singles), singles.shape[1], 0.4 * labelling, rng
    )  # they are thinner than the depth of focus
    keep &= np.arange(singles.shape[1]) < length[:, np.newaxis]
    return np.concatenate([bundles, singles[keep]])


def _bundles(field: float, axis: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw the labelled sites (N, 2) of bundles whose direction is near `axis`."""
    across_cell, along_cell, direction, length = _places(field, axis, rng)
    number, sites = len(length), int(_LENGTH / STEP)
    turns = gaussian_filter1d(rng.normal(0, 1, (number, sites)), 2500 / STEP, axis=1, mode="nearest")
    angle = direction[:, np.newaxis] + 0.05 * turns / turns.std()
    points = np.cumsum(np.stack([np.sin(angle), np.cos(angle)], axis=-1) * STEP, axis=1)
    points -= points[:, sites // 2 : sites // 2 + 1]
    middle = along_cell[:, np.newaxis] * np.array([np.sin(axis), np.cos(axis)])
    middle += across_cell[:, np.newaxis] * np.array([np.cos(axis), -np.sin(axis)]) + field / 2
    points += middle[:, np.newaxis]
    near = np.any(np.abs(points - field / 2).max(axis=2) < field / 2 + 500, axis=1)
    if not near.any():  # of a field that is smaller than the distance of bundles
        return np.empty((0, 2))
    points, angle, length, number = points[near], angle[near], length[near], int(near.sum())
    width = (_WIDTH * rng.lognormal(0, 0.4, number)).clip(*_WIDTHS)
    bundle = np.repeat(np.arange(number), np.maximum(rng.poisson(width / _PER_FILAMENT), 5))
    # Filaments end one after the other, and a bundle tapers towards the adhesions at its ends.
    half = length[bundle] / 2 - np.abs(rng.normal(0, 500, len(bundle)))
    from_end = half[:, np.newaxis] - np.abs(np.arange(sites) - sites / 2) * STEP
    taper = 0.5 + 0.5 * np.clip(from_end / 2500, 0, 1)
    across = width[bundle, np.newaxis] / 2 * taper * _courses(len(bundle), sites, rng)
    keep = labelled_sites(len(bundle), sites, 0.8 * labelling, rng) & (from_end > 0)
    keep &= _smooth(len(bundle), sites, 1200, rng) > -0.6  # filaments are shorter than the bundle
    row, site = np.nonzero(keep)
    return shift_sideways(points[bundle[row], site], angle[bundle[row], site], across[keep])


def _places(
    field: float, axis: float, rng: np.random.Generator
) -> tuple[Values, Values, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Draw the places of bundles across and along the cell, their directions (radians) and their lengths (nm)."""
    reach = field / np.sqrt(2) + MARGIN
    lanes = np.arange(-reach, reach, _SPACING)
    lanes = np.repeat(lanes, int(np.ceil(2 * reach / _LENGTH)))
    lanes = lanes + rng.normal(0, 0.35 * _SPACING, len(lanes))
    lanes = lanes[rng.random(len(lanes)) < 0.85]
    number = len(lanes)
    along = rng.uniform(-reach, reach, number)
    fan = rng.normal(0, 8e-6)  # radians per nm: bundles converge towards one end of the cell
    direction = axis + fan * lanes + rng.normal(0, 0.05, number)
    crossing = rng.random(number) < 0.05
    direction = direction + crossing * rng.choice([-1, 1]) * rng.normal(0.6, 0.15, number)
    return lanes, along, direction, rng.uniform(0.5, 1, number) * _LENGTH


def _courses(number: int, sites: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw where filaments are in the width of their bundle (number, sites), from -1 to 1."""
    middle = np.sqrt(rng.random((number, 1))) * np.cos(rng.uniform(0, 2 * np.pi, (number, 1)))
    return np.asarray(np.clip(middle + 0.2 * _smooth(number, sites, 800, rng), -1, 1))


def _smooth(number: int, sites: int, scale: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw noise of standard deviation 1 (number, sites) that changes over `scale` nm."""
    coarse = max(int(scale / STEP / 4), 1)  # noise at every fourth of the scale is enough
    noise = gaussian_filter1d(rng.normal(0, 1, (number, sites // coarse + 2)), 4, axis=1, mode="wrap")
    at = np.arange(sites) / coarse
    left = at.astype(int)
    share = at - left
    between: npt.NDArray[np.float64] = noise[:, left] * (1 - share) + noise[:, left + 1] * share
    return np.asarray(between / noise.std())
