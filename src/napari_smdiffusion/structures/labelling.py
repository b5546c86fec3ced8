"""From the molecules of a structure to localizations: labels, blinking, precision and unspecific background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .places import random_directions
from .settings import BACKGROUND

if TYPE_CHECKING:
    from ..base.arrays import Values

# Of BACKGROUND: single localizations and spots per µm², and localizations of a spot.
_SINGLE, _SPOTS, _BLINKS_OF_SPOTS = 8.0, 1.5, 1 / 0.12


def localize(sites: Values, linkage_error: float, blinks: float, precision: float, rng: np.random.Generator) -> Values:
    """Draw the localizations (N, 2) of labelled sites (M, 2), all in nm.

    Each site has one label, `linkage_error` nm from it in a random direction of space. Each label is localized `blinks`
    times in the mean (geometric distribution), with the standard deviation `precision`.
    """
    if linkage_error > 0:
        sites = sites + linkage_error * random_directions(len(sites), rng)[:, :2]
    localizations = np.repeat(sites, rng.geometric(1 / blinks, len(sites)), axis=0)
    return np.asarray(localizations + rng.normal(0, precision, localizations.shape))


def unspecific_localizations(field: float, density: float, rng: np.random.Generator) -> Values:
    """Draw single false localizations and spots of unbound label: (N, 2) as (y, x) in nm, `density` per µm²."""
    amount = density / BACKGROUND * (field / 1000) ** 2
    single = rng.uniform(0, field, (rng.poisson(_SINGLE * amount), 2))
    spots = rng.uniform(0, field, (rng.poisson(_SPOTS * amount), 2))
    clusters = np.repeat(spots, rng.geometric(1 / _BLINKS_OF_SPOTS, len(spots)), axis=0)
    return np.concatenate([single, clusters + rng.normal(0, 12, clusters.shape)])
