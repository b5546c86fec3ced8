"""Clathrin-coated pits: hollow caps and spheres below the cell membrane, and flat plaques.

Sizes: a coat first grows flat to half of its area, and then bends while the other half is added. The median curvature
is 0.011/nm, which is a radius of 91 nm (Mund et al., Journal of Cell Biology 222, e202206038, 2023). The projections
are 100 to 220 nm across. A coat is a lattice of hexagons and pentagons with struts of 18.5 nm. It has one triskelion of
three light chains on about 445 nm² (Kaksonen and Roux, Nature Reviews Molecular Cell Biology 19, 313, 2018). Plaques
are larger flat lattices (Sochacki et al., Developmental Cell 56, 1131, 2021).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .places import spaced_points
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    from ..base.arrays import Values

_DENSITY, _APART = 0.9, 300.0  # coats per µm², and least distance of their centres in nm
_COAT = 70_000.0  # nm², area of a closed coat
_PER_CHAIN = 148.0  # nm² of the coat for each of the three light chains of a triskelion
_PLAQUES = 0.12  # share of flat plaques among the coats
_DEPTH = 80.0  # nm from the membrane, at which the light that excites the labels falls to 1/e (TIRF)


@STRUCTURES.register("clathrin-pits")
@structure_model(
    "hollow caps of 100 to 220 nm, which appear as rings and discs, and a few flat plaques",
    "Mund et al., Journal of Cell Biology 222, e202206038 (2023): geometry of coats; Sochacki et al. (2021): plaques",
    labelling=0.4,
    linkage_error=5.0,
    realism_unit=False,
)
def clathrin_pits(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw the light chains of coats in all stages of bending, and of plaques."""
    centres = spaced_points(_DENSITY, _APART, field, rng)
    flat = rng.random(len(centres)) < _PLAQUES
    caps = _caps(centres[~flat], labelling, rng)
    return np.concatenate([caps, _plaques(centres[flat], labelling, rng)])


def _caps(centres: Values, labelling: float, rng: np.random.Generator) -> Values:
    """Draw the labelled light chains (N, 2) of spherical caps around `centres`."""
    number = len(centres)
    closing = np.radians(rng.uniform(65, 172, number))  # polar angle of the rim: 180° is a closed sphere
    bent = (1 - np.cos(closing)) / 2
    area = _COAT * rng.lognormal(0, 0.12, number) * (0.5 + 0.5 * bent)
    radius = np.sqrt(area / (4 * np.pi * bent))
    pit = np.repeat(np.arange(number), rng.poisson(area / _PER_CHAIN))
    height = rng.uniform(np.cos(closing[pit]), 1)  # uniform on the sphere, along the axis of the cap
    above = radius[pit] * (height - np.cos(closing[pit]))  # the membrane
    keep = rng.random(len(pit)) < labelling * np.exp(-above / _DEPTH)
    angle = rng.uniform(0, 2 * np.pi, len(pit))
    across = radius[pit] * np.sqrt(1 - height**2)
    # Most pits are seen from below, some are tilted by the membrane.
    tilt, turn = rng.normal(0, 0.2, number)[pit], rng.uniform(0, 2 * np.pi, number)[pit]
    along, sideways = across * np.cos(angle) * np.cos(tilt) + above * np.sin(tilt), across * np.sin(angle)
    y, x = along * np.sin(turn) + sideways * np.cos(turn), along * np.cos(turn) - sideways * np.sin(turn)
    return np.asarray((centres[pit] + np.stack([y, x], axis=-1))[keep])


def _plaques(centres: Values, labelling: float, rng: np.random.Generator) -> Values:
    """Draw the labelled light chains (N, 2) of flat patches of irregular outline, 200 to 500 nm across."""
    number = len(centres)
    radius = rng.uniform(110, 230, number)
    plaque = np.repeat(np.arange(number), rng.poisson(np.pi * radius**2 / _PER_CHAIN))
    angle = rng.uniform(0, 2 * np.pi, len(plaque))
    outline = np.ones(len(plaque))
    for lobes, height in ((2, 0.25), (3, 0.2), (5, 0.1)):
        outline += height * np.cos(lobes * angle + rng.uniform(0, 2 * np.pi, number)[plaque])
    distance = radius[plaque] * outline * np.sqrt(rng.random(len(plaque)))
    keep = rng.random(len(plaque)) < labelling
    places = centres[plaque] + distance[:, np.newaxis] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    return np.asarray(places[keep])
