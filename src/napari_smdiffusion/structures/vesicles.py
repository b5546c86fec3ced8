"""Vesicles: endosomes and lysosomes, hollow spheres of very different sizes.

Sizes: early endosomes are 100 to 500 nm across, late endosomes and lysosomes 200 to 1000 nm (Huotari and Helenius, EMBO
Journal 30, 3481, 2011). Proteins of their membranes lie in patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .places import random_directions, smooth_waves, spaced_points
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    from ..base.arrays import Values

_DENSITY, _APART = 0.8, 250.0  # vesicles per µm², and least distance of their centres in nm
_DIAMETER, _SPREAD = 300.0, 0.42  # nm, median of the diameters, and standard deviation of their logarithm
_LIMITS = 90.0, 1000.0  # nm
_PER_SITE = 350.0  # nm² of membrane
_FOCUS = 180.0  # nm above and below the middle, where molecules are in focus


@STRUCTURES.register("vesicles")
@structure_model(
    "hollow spheres of 0.1 to 1 µm, which appear as rings, in groups",
    "Huotari and Helenius, EMBO Journal 30, 3481 (2011): sizes of endosomes and lysosomes",
    labelling=0.5,
    linkage_error=8.0,
    realism_unit=False,
)
def vesicles(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw the labelled membranes of vesicles, which gather in some regions of the cell."""
    centres = spaced_points(1.8 * _DENSITY, _APART, field, rng)
    gather = smooth_waves(centres, 2500, rng)
    centres = centres[rng.random(len(centres)) < 0.55 * np.exp(0.9 * gather - 0.4)]
    number = len(centres)
    radius = (_DIAMETER * rng.lognormal(0, _SPREAD, number)).clip(*_LIMITS) / 2
    vesicle = np.repeat(np.arange(number), rng.poisson(4 * np.pi * radius**2 / _PER_SITE))
    direction = random_directions(len(vesicle), rng)
    height = direction[:, 2] * radius[vesicle]
    # Patches: a vesicle is brighter towards a direction of its own, and varies within.
    patch = np.einsum("nd,nd->n", direction, random_directions(number, rng)[vesicle])
    uneven = 1 + 0.7 * patch + 0.5 * np.cos(6 * patch + rng.uniform(0, 2 * np.pi, number)[vesicle])
    shape = 1 + rng.normal(0, 0.08, (number, 2))[vesicle]  # vesicles are hardly ever round
    keep = rng.random(len(vesicle)) < labelling * uneven * np.exp(-0.5 * (height / _FOCUS) ** 2)
    return np.asarray((centres[vesicle] + direction[:, :2] * shape * radius[vesicle, np.newaxis])[keep])
