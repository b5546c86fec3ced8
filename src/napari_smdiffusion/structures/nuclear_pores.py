"""Nuclear pores: rings of eight corners in the envelope of a nucleus.

Sizes, after Thevathasan et al. (2019) and the cryo-electron tomography that they refer to: the protein Nup96 occurs in
32 copies, two at each of the eight corners of a cytoplasmic and of a nucleoplasmic ring. The rings are 107 nm across
and 50 nm apart along the axis of the pore; the two copies of a corner are 12 nm apart. The rings are turned against
each other by a few degrees. The envelope has about 8 pores/µm², which do not overlap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .places import spaced_points
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Values

_DENSITY, _APART = 8.0, 130.0  # pores per µm², and least distance of their axes in nm
_RADIUS, _HEIGHT, _PAIR = 53.5, 50.0, 12.0  # nm: radius of the rings, their distance, distance of a corner's copies
_TWIST = np.radians(8.8)  # of one ring against the other
_AXES = 8500.0, 6500.0  # nm, half-axes of a nucleus
_RIM = 800.0  # nm from the outline of a nucleus, where its envelope curves upwards out of focus


@STRUCTURES.register("nuclear-pores")
@structure_model(
    "rings of eight corners, 107 nm across, in the envelope of a nucleus",
    "Thevathasan et al., Nature Methods 16, 1045 (2019): Nup96, two rings of 107 nm with 16 copies each",
    labelling=0.6,
    linkage_error=3.0,
    realism_unit=False,
)
def nuclear_pores(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw the 32 copies of Nup96 in each pore of the lower side of nuclei; one nucleus covers the middle."""
    centres, outwards, rim = _on_nuclei(spaced_points(_DENSITY, _APART, field, rng), field, rng)
    number = len(centres)
    corner = np.arange(8) * np.pi / 4 + rng.uniform(0, 2 * np.pi, (number, 1, 1, 1))
    ring = np.array([-0.5, 0.5])[:, np.newaxis, np.newaxis]
    copy = np.array([-0.5, 0.5]) * _PAIR / _RADIUS
    angle = corner[..., np.newaxis].reshape(number, 1, 8, 1) + ring * _TWIST + copy  # (pores, 2 rings, 8 corners, 2)
    radius = _RADIUS * rng.normal(1, 0.03, (number, 1, 1, 1)) + rng.normal(0, 2, angle.shape)
    tilt = np.radians(75) * rim[:, np.newaxis, np.newaxis, np.newaxis]
    # Along the slope of the envelope, a tilted ring appears narrower, and its two rings beside each other.
    along = radius * np.cos(angle) * np.cos(tilt) + ring * _HEIGHT * np.sin(tilt)
    across = radius * np.sin(angle)
    unit = outwards[:, np.newaxis, np.newaxis, np.newaxis]
    sideways = np.stack([-unit[..., 1], unit[..., 0]], axis=-1)
    copies = centres[:, np.newaxis, np.newaxis, np.newaxis]
    copies = copies + along[..., np.newaxis] * unit + across[..., np.newaxis] * sideways
    in_focus = 1 - 0.85 * rim[:, np.newaxis, np.newaxis, np.newaxis]
    return np.asarray(copies[rng.random(angle.shape) < labelling * in_focus])


def _on_nuclei(
    points: Values, field: float, rng: np.random.Generator
) -> tuple[Values, Values, npt.NDArray[np.float64]]:
    """Return the points on nuclei, the direction (N, 2) towards the outline at each, and their share (N,) of the rim.

    The share is 0 where the envelope is flat, and 1 at the outline.
    """
    near = min(field / 4, 3500.0)
    first = field / 2 + rng.uniform(-near, near, (1, 2))
    others = spaced_points(2e-3, 11_000, field, rng, margin=9000)
    others = others[np.linalg.norm(others - first, axis=1) > 2.1 * _AXES[0]]
    kept: list[tuple[Values, Values, npt.NDArray[np.float64]]] = []
    for centre in np.concatenate([first, others]):
        turn, axes = rng.uniform(0, np.pi), np.array(_AXES) * rng.normal(1, 0.08, 2).clip(0.8, 1.2)
        frame = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        scaled = (points - centre) @ frame.T / axes
        distance = np.linalg.norm(scaled, axis=1)
        inside = distance < 1
        normal = (scaled[inside] / axes) @ frame
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
        kept.append((points[inside], normal, np.clip(1 - (1 - distance[inside]) * axes.mean() / _RIM, 0, 1)))
    on_nuclei, outwards, rim = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return on_nuclei, outwards, rim
