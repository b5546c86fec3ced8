"""Microtubules: long, stiff, thin filaments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .curves import MARGIN, labelled_sites, moved_sideways, random_curves
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    from ..base.arrays import Values


@STRUCTURES.register("microtubules")
@structure_model(
    "long smooth filaments with crossings, labelled with gaps",
    "a model of this package; a tube of 25 nm is seen about 40 nm wide with its antibodies",
)
def microtubules(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Hollow filaments of 25 nm, seen 40 nm wide with their antibodies, many micrometres long."""
    number = max(rng.poisson(1.1 * ((field + 2 * MARGIN) / 1000) ** 2 / 8), 3)
    points, angle = random_curves(number, 16_000, 2.2e-4, field, rng)
    keep = labelled_sites(number, angle.shape[1], labelling, rng)
    # Filaments end: each keeps a random stretch of its curve.
    first, last = np.sort(rng.uniform(0, 1, (2, number, 1)), axis=0) * angle.shape[1]
    place = np.arange(angle.shape[1])
    keep &= (place >= first - angle.shape[1] / 4) & (place <= last + angle.shape[1] / 4)
    across = 20 * np.sin(rng.uniform(0, 2 * np.pi, angle.shape))  # the projection of a tube's wall
    return moved_sideways(points, angle, across)[keep]
