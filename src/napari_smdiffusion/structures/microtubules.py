"""Microtubules: long, stiff, thin filaments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .curves import _MARGIN, _curves, _labelled, _moved_sideways

if TYPE_CHECKING:
    from ..base.arrays import Values


def _microtubules(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Hollow filaments of 25 nm, seen 40 nm wide with their antibodies, many micrometres long."""
    number = max(rng.poisson(1.1 * ((field + 2 * _MARGIN) / 1000) ** 2 / 8), 3)
    points, angle = _curves(number, 16_000, 2.2e-4, field, rng)
    keep = _labelled(number, angle.shape[1], labelling, rng)
    # Filaments end: each keeps a random stretch of its curve.
    first, last = np.sort(rng.uniform(0, 1, (2, number, 1)), axis=0) * angle.shape[1]
    place = np.arange(angle.shape[1])
    keep &= (place >= first - angle.shape[1] / 4) & (place <= last + angle.shape[1] / 4)
    across = 20 * np.sin(rng.uniform(0, 2 * np.pi, angle.shape))  # the projection of a tube's wall
    return _moved_sideways(points, angle, across)[keep]
