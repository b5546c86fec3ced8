"""Actin cortex: a mesh of single short filaments below the membrane.

Sizes: actin filaments are 7 nm thick and bend with a persistence length of 10 to 18 µm (Gittes et al., Journal of Cell
Biology 120, 923, 1993). Branches leave a filament at 70° (Mullins et al., PNAS 95, 6181, 1998). The holes of the mesh
are 50 to 200 nm wide (Morone et al., Journal of Cell Biology 174, 851, 2006; Xu et al., Nature Methods 9, 185, 2012,
who imaged it by STORM with phalloidin).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .curves import STEP, labelled_sites
from .places import random_points, smooth_waves
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Values

_DENSITY = 8.0  # unbranched filaments per µm²
_BRANCHES = 1.3  # per filament
_BRANCH_ANGLE = np.radians(70)
_PERSISTENCE = 10_000.0  # nm
_LONGEST = 1800.0  # nm
_MARGIN = 900.0  # nm around the field in which filaments may begin


@STRUCTURES.register("actin-cortex")
@structure_model(
    "a mesh of short branched filaments with holes of 50 to 200 nm",
    "Xu et al., Nature Methods 9, 185 (2012) and Morone et al., Journal of Cell Biology 174, 851 (2006): meshes",
    labelling=1.0,
    realism_unit=False,
)
def actin_cortex(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw filaments and their branches; their density varies over the cortex."""
    starts = random_points(_DENSITY * 1.6, field, rng, _MARGIN)
    dense = smooth_waves(starts, 1200, rng)
    starts = starts[rng.random(len(starts)) < 0.625 * np.exp(0.15 * dense - 0.01)]
    mothers, angle, length = draw_filaments(starts, rng.uniform(0, 2 * np.pi, len(starts)), rng)
    mother = rng.integers(0, len(starts), rng.poisson(_BRANCHES * len(starts)))
    at = (rng.random(len(mother)) * length[mother]).astype(int)
    side = rng.choice([-1, 1], len(mother)) * _BRANCH_ANGLE + rng.normal(0, 0.12, len(mother))
    branches, _, branch_length = draw_filaments(mothers[mother, at], angle[mother, at] + side, rng)
    sites, lengths = np.concatenate([mothers, branches]), np.concatenate([length, branch_length])
    keep = labelled_sites(len(sites), sites.shape[1], labelling, rng)
    keep &= np.arange(sites.shape[1]) < lengths[:, np.newaxis]
    return np.asarray(sites[keep] + rng.normal(0, 2, (int(keep.sum()), 2)))  # the label is beside the axis


def draw_filaments(
    starts: Values, direction: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[Values, npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Draw stiff filaments from `starts` (N, 2) in `direction` (N,).

    Returns
    -------
    Sites (N, sites, 2) in nm, the direction at each (N, sites), and the number of sites (N,) that belong to a filament.
    """
    sites = int(_LONGEST / STEP)
    bends = rng.normal(0, np.sqrt(STEP / _PERSISTENCE), (len(starts), sites))
    angle = direction[:, np.newaxis] + np.cumsum(bends, axis=1)
    steps = np.stack([np.sin(angle), np.cos(angle)], axis=-1) * STEP
    length = (rng.gamma(4, 250, len(starts)).clip(200, _LONGEST) / STEP).astype(np.int64)
    return starts[:, np.newaxis] + np.cumsum(steps, axis=1), angle, length
