"""Endoplasmic reticulum: a network of tubules that meet in threes, with sheets near the nucleus.

Sizes: tubules are 50 to 100 nm thick and labelled in their membrane; sheets have holes (Schroeder et al., Journal of
Cell Biology 218, 83, 2019, STED). Tubules meet in three-way junctions and enclose polygons of 0.5 to 2 µm, which are
smaller near the nucleus (Nixon-Abell et al., Science 354, aaf3928, 2016; Shemesh et al., PNAS 111, E5243, 2014). The
polygons are here those of Voronoi, whose corners have three edges each. Sheets lose more and more area to holes towards
their border, where the network begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, label
from scipy.spatial import Voronoi, cKDTree

from .curves import MARGIN, shift_sideways
from .places import random_points
from .registry import STRUCTURES, structure_model

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Values

_NUCLEUS = 7000.0, 5500.0  # nm, half-axes of the nucleus
_POLYGONS = 330.0, 680.0  # nm, least distance of the middles of polygons near the nucleus and far from it
_MIDDLES = 8.0  # middles of polygons per µm², before those that are too near to others are left out
_GRADIENT = 6000.0  # nm from the nucleus over which polygons grow
_DIAMETER, _DIAMETERS = 75.0, (50.0, 100.0)  # nm, median diameter of tubules, and its limits
_PER_SITE = 700.0  # nm² of membrane
_MISSING = 0.06  # share of tubules that are missing, which leaves blind ends and larger polygons
_BOW = 0.08  # deviation of a tubule from a straight line, relative to its length
_SHEETS, _HOLES = 1400.0, 90.0  # nm, over which the extent of sheets and their holes vary
_CELL = 16.0  # nm, side of the cells in which the membrane of sheets is drawn


@STRUCTURES.register("endoplasmic-reticulum")
@structure_model(
    "a network of tubules of 50 to 100 nm with three-way junctions, and sheets near the nucleus",
    "Schroeder et al., Journal of Cell Biology 218, 83 (2019): diameters; Nixon-Abell et al., Science 354, aaf3928 "
    "(2016): networks",
    labelling=0.5,
    linkage_error=5.0,
    realism_unit=False,
)
def endoplasmic_reticulum(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw the labelled membrane of tubules, sheets and the nuclear envelope."""
    nucleus = _Nucleus.drawn(field, rng)
    ends = _network(nucleus, field, rng)
    membrane = np.concatenate([_tubules(ends, rng), _sheets(ends, nucleus, field, rng)])
    # Above and below the nucleus, the network is out of focus.
    in_focus = np.where(nucleus.outside(membrane) > 0, 1, 0.08)
    sites = np.concatenate([membrane[rng.random(len(membrane)) < in_focus], nucleus.envelope(rng)])
    return sites[rng.random(len(sites)) < labelling]


@dataclass(frozen=True)
class _Nucleus:
    """An ellipse: its middle (y, x) in nm, its half-axes in nm, and the angle of the first one in radians."""

    middle: Values
    axes: Values
    angle: float

    @classmethod
    def drawn(cls, field: float, rng: np.random.Generator) -> _Nucleus:
        """Draw a nucleus whose outline is up to half of the field and 6 µm from the middle of the field."""
        angle, towards = rng.uniform(0, 2 * np.pi, 2)
        axes = np.array(_NUCLEUS) * rng.normal(1, 0.1, 2).clip(0.8, 1.2)
        distance = axes.mean() + rng.uniform(0, 0.5) * field + rng.uniform(0, 6000)
        return cls(field / 2 + distance * np.array([np.sin(towards), np.cos(towards)]), axes, angle)

    @property
    def frame(self) -> Values:
        """Rows (2, 2): the directions of the half-axes."""
        sine, cosine = np.sin(self.angle), np.cos(self.angle)
        return np.array([[sine, cosine], [cosine, -sine]])

    def outside(self, points: Values) -> Values:
        """Return the approximate distances (...) of points (..., 2) from the outline in nm; negative inside."""
        scaled = (points - self.middle) @ self.frame.T / self.axes
        angle = np.arctan2(scaled[..., 1], scaled[..., 0])
        relative: Values = np.linalg.norm(scaled, axis=-1) - self._outline(angle)
        return np.asarray(relative * self.axes.mean())

    def _outline(self, angle: Values) -> Values:
        """Return the outline relative to the ellipse at an angle: nuclei have shallow folds."""
        waves: Values = 1 + 0.02 * np.cos(3 * angle + self.angle) + 0.01 * np.cos(7 * angle + 2 * self.angle)
        return waves

    def envelope(self, rng: np.random.Generator) -> Values:
        """Draw both membranes along the outline (N, 2), of which 250 nm are in focus."""
        angle = rng.uniform(0, 2 * np.pi, rng.poisson(2 * np.pi * self.axes.mean() * 2 * 250 / _PER_SITE))
        outline = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * self._outline(angle)[:, np.newaxis]
        # The lower half of the nucleus slopes inwards.
        inwards = 1 - np.abs(rng.normal(0, 60, (len(angle), 1))) / self.axes.mean()
        return np.asarray(self.middle + (outline * self.axes * inwards) @ self.frame)


def _network(nucleus: _Nucleus, field: float, rng: np.random.Generator) -> Values:
    """Draw the two ends (T, 2, 2) of the tubules outside of the nucleus, as (y, x) in nm."""
    middles = random_points(_MIDDLES, field, rng)
    near, far = _POLYGONS
    distance = near + (far - near) * np.clip(nucleus.outside(middles) / _GRADIENT, 0, 1)
    pairs = cKDTree(middles).query_pairs(far, output_type="ndarray")
    pairs.sort(axis=1)
    apart = np.linalg.norm(middles[pairs[:, 0]] - middles[pairs[:, 1]], axis=1)
    keep = np.ones(len(middles), bool)
    keep[pairs[apart < distance[pairs[:, 1]], 1]] = False
    diagram = Voronoi(middles[keep])
    corners = np.array(diagram.ridge_vertices)
    ends = diagram.vertices[corners[corners.min(axis=1) >= 0]]
    inside_field = (np.abs(ends - field / 2) < field / 2 + MARGIN).all(axis=(1, 2))
    return np.asarray(ends[inside_field & (nucleus.outside(ends).max(axis=1) > 0)])


def _tubules(ends: Values, rng: np.random.Generator) -> Values:
    """Draw the membrane of tubules (N, 2) with these ends (T, 2, 2): bent tubes, which widen where they meet."""
    ends = ends[rng.random(len(ends)) >= _MISSING]
    number = len(ends)
    chord = ends[:, 1] - ends[:, 0]
    length, angle = np.linalg.norm(chord, axis=1), np.arctan2(chord[:, 0], chord[:, 1])
    radius = (_DIAMETER * rng.lognormal(0, 0.18, number)).clip(*_DIAMETERS) / 2
    tubule = np.repeat(np.arange(number), rng.poisson(length * 2 * np.pi * radius / _PER_SITE))
    place = rng.random(len(tubule))
    bow = _BOW * length * rng.normal(0, 1, (2, number))
    bent = 4 * place * (1 - place) * bow[0][tubule] + 0.5 * np.sin(2 * np.pi * place) * bow[1][tubule]
    from_end = np.minimum(place, 1 - place) * length[tubule]
    width = radius[tubule] * (1 + 0.7 * np.exp(-from_end / 70))
    across = bent + width * np.sin(rng.uniform(0, 2 * np.pi, len(tubule)))
    return shift_sideways(ends[tubule, 0] + place[:, np.newaxis] * chord[tubule], angle[tubule], across)


def _sheets(ends: Values, nucleus: _Nucleus, field: float, rng: np.random.Generator) -> Values:
    """Draw the two membranes of sheets (N, 2), each of which has an end of a tubule (T, 2, 2)."""
    side = int((field + 2 * _SHEETS) / _CELL)
    y, x = np.indices((side, side)) * _CELL - _SHEETS
    outside = nucleus.outside(np.stack([y, x], axis=-1))
    extent = _noise(side, _SHEETS, rng) + 3.4 * np.exp(-np.clip(outside, 0, None) / 2200) - 2.2
    holes = _noise(side, _HOLES, rng)
    pieces, _ = label((extent > 0) & (outside > 0))
    row, column = ((ends.reshape(-1, 2) + _SHEETS) / _CELL).astype(int).clip(0, side - 1).T
    connected = np.bincount(pieces[row, column], minlength=pieces.max() + 1) > 0
    connected[0] = False  # outside of all pieces
    sheet = connected[pieces] & (holes > -0.65 - 0.9 * extent)
    per_cell = rng.poisson(2 * _CELL**2 / _PER_SITE * sheet)
    corner = np.stack([np.repeat(y, per_cell.ravel()), np.repeat(x, per_cell.ravel())], axis=-1)
    return np.asarray(corner + rng.uniform(0, _CELL, corner.shape))


def _noise(side: int, scale: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw noise (side, side) of standard deviation 1 that changes over `scale` nm."""
    coarse = max(int(scale / _CELL / 5), 1)  # noise at every fifth of the scale is enough
    noise = gaussian_filter(rng.normal(0, 1, (side // coarse + 2,) * 2), scale / _CELL / coarse / 2, mode="wrap")
    at = np.arange(side) / coarse
    whole = at.astype(int)
    share = at - whole
    rows = noise[whole] * (1 - share[:, np.newaxis]) + noise[whole + 1] * share[:, np.newaxis]
    smooth: npt.NDArray[np.float64] = rows[:, whole] * (1 - share) + rows[:, whole + 1] * share
    return np.asarray(smooth / noise.std())
