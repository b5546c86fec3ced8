"""Mitochondria: thick, curved, closed tubes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .curves import MARGIN, STEP, labelled_sites, random_curves, shift_sideways
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    from ..base.arrays import Values


@STRUCTURES.register("mitochondria")
@structure_model(
    "short thick tubes whose outer membrane is labelled",
    "a model of this package; compare Huang et al., Nature Methods 5, 1047 (2008), who imaged the outer membrane",
)
def mitochondria(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw tubes of about 400 nm with a labelled outer membrane, 1 to 6 µm long and closed at both ends."""
    number = max(rng.poisson(0.16 * ((field + 2 * MARGIN) / 1000) ** 2), 2)
    points, angle = random_curves(number, 6000, 5e-4, field, rng)
    sites = angle.shape[1]
    length = rng.uniform(0.15, 1, (number, 1)) * sites
    radius = rng.normal(200, 30, (number, 1)).clip(120, 300)
    from_end = np.minimum(site := np.arange(sites) - (sites - length) / 2, length - site)
    cap = np.clip(from_end * STEP / radius, 0, 1)
    width = radius * np.sqrt(cap * (2 - cap))  # a hemisphere at each end
    # The membrane is densely labelled: up to ten labels around the tube at each site, in clusters along it.
    rings = []
    for _ in range(10):
        keep = labelled_sites(number, sites, 0.7 * labelling, rng) & (from_end > 0)
        across = width * np.sin(rng.uniform(0, 2 * np.pi, angle.shape))
        rings.append(shift_sideways(points, angle, across)[keep])
    return np.concatenate(rings)
