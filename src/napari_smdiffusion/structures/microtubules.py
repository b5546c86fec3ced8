"""Microtubules: long, stiff, thin filaments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .curves import MARGIN, labelled_sites, random_curves, shift_sideways
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    from ..base.arrays import Values


@STRUCTURES.register("microtubules")
@structure_model(
    "long smooth filaments with crossings, labelled with gaps",
    "a model of this package; with its antibodies, a tube of 25 nm appears about 40 nm wide",
)
def microtubules(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw hollow filaments of 25 nm, which appear 40 nm wide with their antibodies, and are up to 16 µm long."""
    number = max(rng.poisson(1.1 * ((field + 2 * MARGIN) / 1000) ** 2 / 8), 3)
    points, angle = random_curves(number, 16_000, 2.2e-4, field, rng)
    keep = labelled_sites(number, angle.shape[1], labelling, rng)
    # Each filament is a random part of its curve.
    first, last = np.sort(rng.uniform(0, 1, (2, number, 1)), axis=0) * angle.shape[1]
    site = np.arange(angle.shape[1])
    keep &= (site >= first - angle.shape[1] / 4) & (site <= last + angle.shape[1] / 4)
    across = 20 * np.sin(rng.uniform(0, 2 * np.pi, angle.shape))  # projection of the wall of a tube
    return shift_sideways(points, angle, across)[keep]
