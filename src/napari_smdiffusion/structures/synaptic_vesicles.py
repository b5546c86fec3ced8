"""Synaptic vesicles: clusters in the boutons of thin axons.

Sizes: a synaptic vesicle is 40 nm across and has tens of copies of its commonest proteins (Takamori et al., Cell 127,
831, 2006). A bouton has some hundred vesicles, 380 in the mean (Wilhelm et al., Science 344, 1023, 2014), in a cluster
of 200 to 500 nm. Boutons follow each other along an axon every 2 to 5 µm (Shepherd and Harris, Journal of Neuroscience
18, 8300, 1998), with single vesicles in transport between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .curves import MARGIN, STEP, random_curves, shift_sideways
from .places import random_directions
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Values

_AXONS, _LENGTH = 0.08, 20_000.0  # axons per µm², and their length in nm
_BOUTONS = 2800.0  # nm of axon per bouton
_TRAVELLING = 400.0  # nm of axon per vesicle in transport
_VESICLE = 20.0  # nm, radius
_COPIES = 4  # proteins of a vesicle that antibodies reach


@STRUCTURES.register("synaptic-vesicles")
@structure_model(
    "clusters of 200 to 500 nm of vesicles of 40 nm, like beads along axons",
    "Takamori et al., Cell 127, 831 (2006) and Wilhelm et al., Science 344, 1023 (2014): vesicles and their number",
    labelling=0.5,
    linkage_error=8.0,
    realism_unit=False,
)
def synaptic_vesicles(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw the labelled proteins of vesicles in boutons and between them."""
    number = max(rng.poisson(_AXONS * ((field + 2 * MARGIN) / 1000) ** 2), 2)
    points, angle = random_curves(number, _LENGTH, 2.5e-4, field, rng)
    boutons = _along(points, angle, _BOUTONS, rng)
    travelling, _ = _along(points, angle, _TRAVELLING, rng)
    vesicles = np.concatenate([_clusters(*boutons, rng), travelling])
    copy = np.repeat(np.arange(len(vesicles)), _COPIES)
    surface = vesicles[copy] + _VESICLE * random_directions(len(copy), rng)[:, :2]
    return np.asarray(surface[rng.random(len(surface)) < labelling])


def _along(
    points: Values, angle: npt.NDArray[np.float64], distance: float, rng: np.random.Generator
) -> tuple[Values, npt.NDArray[np.float64]]:
    """Draw sites (N, 2) of curves, one every `distance` nm in the mean, and their directions (N,)."""
    chosen = rng.random(angle.shape) < STEP / distance
    return points[chosen], angle[chosen]


def _clusters(centres: Values, angle: npt.NDArray[np.float64], rng: np.random.Generator) -> Values:
    """Draw the vesicles (N, 2) of ellipsoids around `centres`, which are elongated along `angle`."""
    number = len(centres)
    half = rng.lognormal(np.log(170), 0.25, number).clip(100, 260)  # nm, half-axis along the axon
    ratio = rng.uniform(0.55, 0.9, number)
    # The vesicles fill an eighth of the volume.
    count = rng.poisson(0.12 * half**3 * ratio**2 / _VESICLE**3)
    cluster = np.repeat(np.arange(number), count)
    inside = random_directions(len(cluster), rng) * np.cbrt(rng.random(len(cluster)))[:, np.newaxis]
    along, across = half[cluster] * inside[:, 0], (half * ratio)[cluster] * inside[:, 1]
    ahead = np.stack([np.sin(angle), np.cos(angle)], axis=-1)[cluster] * along[:, np.newaxis]
    return shift_sideways(centres[cluster] + ahead, angle[cluster], across)
