"""The outlines of a cell around a field: organising centre, orientation field, nucleus and border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Values
    from .settings import MicrotubuleConfig

    Floats = npt.NDArray[np.float64]

_ALONG_BORDER = 3000.0  # nm from the border of the cell in which filaments turn along it
_ALONG_NUCLEUS = 2500.0  # nm
_CENTRE = 2500.0  # nm around the organising centre, where the orientation field does not turn filaments
_SWIRL, _SWIRL_SCALE = 0.35, 6000.0  # radians and nm: how the orientation differs from that of a perfect aster
_NUCLEUS = (8500.0, 6000.0)  # nm, half the axes
_LOBES = 5  # of the border
_GRID = 48  # places per side at which the share of the field in the cell is measured
_COVERED = 0.55  # least share of a field in which filaments are


@dataclass(frozen=True)
class Cell:
    """A cell around a field, in nm; points are (..., 2) as (y, x).

    Parameters
    ----------
    centre
        Organising centre (2,), in or beside the field.
    nucleus
        Middle of the nucleus (2,), beside the organising centre.
    tilt
        Direction of the long axis of the nucleus in radians.
    radius
        Mean distance of the border from the centre.
    lobes
        Amplitudes and phases (2, L) of the lobes of the border: wave k + 2 around the cell.
    waves
        Wave vectors (2, W) and phases (1, W), stacked to (3, W), of the swirl of the orientation field.
    """

    centre: Floats
    nucleus: Floats
    tilt: float
    radius: float
    lobes: Floats
    waves: Floats

    def orientation(self, points: Values) -> Floats:
        """Return the direction (...) of filaments that grow away from the centre."""
        dy, dx = np.moveaxis(points - self.centre, -1, 0)
        swirl = np.cos(points @ self.waves[:2] + self.waves[2]).sum(-1) * np.sqrt(2 / self.waves.shape[1])
        return np.asarray(np.arctan2(dy, dx) + _SWIRL * swirl)

    def beyond_border(self, points: Values) -> tuple[Floats, Floats]:
        """Return how far points are outside the border in nm (negative inside), and the direction of the border."""
        dy, dx = np.moveaxis(points - self.centre, -1, 0)
        around = np.arctan2(dy, dx)
        amplitude, phase = self.lobes
        wave = np.arange(len(amplitude)) + 2
        course = around[..., np.newaxis] * wave + phase
        radius = self.radius * (1 + (amplitude * np.cos(course)).sum(-1))
        slope = -self.radius * (amplitude * wave * np.sin(course)).sum(-1)
        return np.hypot(dy, dx) - radius, around + np.arctan2(radius, slope)

    def beyond_nucleus(self, points: Values) -> tuple[Floats, Floats]:
        """Return how far points are outside the nucleus in nm (negative inside), and the direction of its border."""
        dy, dx = np.moveaxis(points - self.nucleus, -1, 0)
        sine, cosine = np.sin(self.tilt), np.cos(self.tilt)
        along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
        a, b = _NUCLEUS
        distance = np.hypot(along / a, across / b)
        tangent = np.arctan2(along / a**2, -across / b**2) + self.tilt
        return (distance - 1) * np.hypot(along, across) / np.maximum(distance, 1e-9), tangent

    def course(self, points: Values, offset: Floats, angle: Floats, clearance: Floats) -> tuple[Floats, Floats, Floats]:
        """Return where filaments at `points` (N, 2) turn to.

        Parameters
        ----------
        points
            In nm.
        offset
            Angle (N,) between a filament and the orientation field in radians.
        angle
            Present direction (N,) of the filaments.
        clearance
            Distance (N,) in nm that a filament keeps from the outlines; -∞ if it passes over the nucleus.

        Returns
        -------
        The direction (N,); how near (N,) an outline is that the filament turns along, from 0 to 1; and how much (N,) it
        follows anything, which is less near the organising centre.
        """
        far = np.hypot(*(points - self.centre).T) / _CENTRE
        wish = self.orientation(points) + offset
        border, tangent = self.beyond_border(points)
        near = np.clip(1 + (border + np.maximum(clearance, 0)) / _ALONG_BORDER, 0, 1)
        at_border = near * _heads_for(wish, tangent - np.pi / 2)
        wish = _blended(wish, tangent, at_border, angle)
        nucleus, tangent = self.beyond_nucleus(points)
        near = np.clip(1 - (nucleus - clearance) / _ALONG_NUCLEUS, 0, 1)
        at_nucleus = near * _heads_for(wish, tangent + np.pi / 2)
        wish = _blended(wish, tangent, at_nucleus, angle)
        return wish, np.maximum(at_border, at_nucleus), np.clip(far - 0.5, 0, 1)

    def holds(self, points: Values, clearance: Floats, outwards: Floats) -> npt.NDArray[np.bool_]:
        """Return whether filaments (N,) may be at points (N, 2).

        A filament ends at the border, in the nucleus unless its `clearance` is -∞, and at the organising centre where
        `outwards`, its direction, no longer points away from it.
        """
        in_cell = self.beyond_border(points)[0] < 0
        outside_nucleus = self.beyond_nucleus(points)[0] > -1000
        dy, dx = (points - self.centre).T
        away = dy * np.sin(outwards) + dx * np.cos(outwards) > 0
        return np.asarray(in_cell & ((clearance < 0) | outside_nucleus) & (away | (np.hypot(dy, dx) > _CENTRE)))

    def places(self, number: int, field: float, rng: np.random.Generator) -> Values:
        """Draw points (`number`, 2) of the field and 1 µm around it that are in the cell, rarely over the nucleus."""
        found = np.empty((0, 2))
        for _ in range(50):
            points = rng.uniform(-1000, field + 1000, (4 * number, 2))
            in_cell = self.beyond_border(points)[0] < -200
            beyond = self.beyond_nucleus(points)[0]
            found = np.concatenate([found, points[in_cell & ((beyond > 0) | (rng.random(len(points)) < 0.35))]])
            if len(found) >= number:
                break
        return found[:number]

    def covered(self, field: float) -> float:
        """Return the share of the field that is in the cell and beside the nucleus; the nucleus counts a third."""
        place = (np.arange(_GRID) + 0.5) * field / _GRID
        points = np.stack(np.meshgrid(place, place, indexing="ij"), axis=-1)
        in_cell = self.beyond_border(points)[0] < 0
        weight = np.where(self.beyond_nucleus(points)[0] > 0, 1.0, 0.35)
        return float((in_cell * weight).mean())


def draw_cell(field: float, config: MicrotubuleConfig, rng: np.random.Generator) -> Cell:
    """Draw a cell around a field of `field` nm, at least half of which holds filaments."""
    for _ in range(50):
        cell = _any_cell(field, config, rng)
        if cell.covered(field) >= _COVERED:
            break
    return cell


def _any_cell(field: float, config: MicrotubuleConfig, rng: np.random.Generator) -> Cell:
    direction, side = rng.uniform(0, 2 * np.pi, 2)
    outwards, beside = (np.array([np.sin(angle), np.cos(angle)]) for angle in (direction, side))
    distance = rng.uniform(2, 24) if config.centre_distance is None else config.centre_distance
    centre = np.full(2, field / 2) - outwards * distance * 1000
    nucleus = centre + beside * (_NUCLEUS[1] + rng.uniform(500, 2000))
    amplitudes, phases = rng.normal(0, 0.1, _LOBES) / (1 + np.arange(_LOBES)), rng.uniform(0, 2 * np.pi, _LOBES)
    waves = np.concatenate([rng.normal(0, 1 / _SWIRL_SCALE, (2, 24)), rng.uniform(0, 2 * np.pi, (1, 24))])
    # The border crosses the outer part of the field, or lies outside it.
    crosses = rng.random() < config.edges
    past = rng.uniform(0.1, 0.45) * field if crosses else 0.75 * field + rng.uniform(3000, 15_000)
    relative = 1 + float((amplitudes * np.cos(direction * (np.arange(_LOBES) + 2) + phases)).sum())
    radius = (distance * 1000 + past) / relative
    tilt = side + np.pi / 2 + rng.normal(0, 0.3)
    return Cell(centre, nucleus, tilt, radius, np.stack([amplitudes, phases]), waves)


def _blended(wish: Floats, tangent: Floats, nearness: Floats, angle: Floats) -> Floats:
    """Return directions between `wish` and that of the outline, which has two, by the `nearness` to it."""
    along = np.where(np.abs(wrapped(tangent - angle)) > np.pi / 2, tangent + np.pi, tangent)
    return np.asarray(wish + nearness * wrapped(along - wish))


def _heads_for(wish: Floats, across: Floats) -> Floats:
    """Return how much directions `wish` head for an outline, which lies in the direction `across`, from 0 to 1."""
    return np.clip(0.5 + 3 * np.cos(wish - across), 0, 1)


def wrapped(angle: Floats) -> Floats:
    """Return angles in radians between -π and π."""
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)
