"""Curves of filaments with the organisation of a cell: an organising centre, a nucleus, a border, and bundles.

A filament follows an orientation field, which points away from the organising centre and bends smoothly. Near the
nucleus and the border of the cell it turns along them. It is drawn from a random point of the field in both directions,
so that the density is the stated one wherever the field lies in the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .cell import draw_cell, wrapped
from .curves import STEP

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Values
    from .cell import Cell
    from .settings import MicrotubuleConfig

    Floats = npt.NDArray[np.float64]
    Counts = npt.NDArray[np.int64]

_PER_STRIDE = 10  # sites between two points of the integration
_STRIDE = _PER_STRIDE * STEP  # nm
_LONGEST = 50_000.0  # nm from the point at which a filament is begun, in each direction
_MEAN_LENGTH = 25_000.0  # nm, in each direction
_SHORTEST = 4000.0  # nm, of filaments that lie in the field
_OUTSIDE = 600.0  # nm outside the field, where a filament is left
# Rate and largest curvature in 1/nm with which a filament turns into its course, in the open and at an outline.
_RATE, _SHARPEST = (1 / 4000, 1 / 800), (4e-4, 1.1e-3)
_TIGHTEST = 2e-3  # 1/nm, the largest curvature: more breaks filaments
_BEND = 1000.0  # nm over which the curvature of a filament changes
_WAVE = 240.0  # nm, over which a filament undulates; the waves are six to eight times as long
_BUCKLE = 700.0  # nm, over which a filament buckles
_STRAIGHT = 1.5  # standard deviations of a normal variable, up to which a filament does not buckle
_SPREAD = 0.25  # radians, of the directions of filaments around that of the orientation field
_CROSSING = 0.9  # radians, of the directions of those that cross the others
_CLEARANCE = 4500.0  # nm, the largest distance that a filament keeps from the nucleus and the border
_OVER_NUCLEUS = 0.3  # share of filaments that pass over or under the nucleus
_BESIDE = 60.0  # nm, from a filament of a bundle to its axis
_TOGETHER = (1000.0, 8000.0)  # nm along which filaments of a bundle stay together, in each direction
_OWN_BENDS = 0.15  # of a filament in a bundle, relative to those of the bundle


@dataclass(frozen=True)
class Curves:
    """The sites of all filaments, one filament after the other.

    Parameters
    ----------
    points
        Sites (M, 2) as (y, x) in nm, `STEP` apart.
    angle
        Direction (M,) of the filament at each site, in radians.
    filament
        Ascending number (M,) of the filament of each site.
    """

    points: Values
    angle: Floats
    filament: Counts


def organised_curves(field: float, config: MicrotubuleConfig, rng: np.random.Generator) -> Curves:
    """Draw the filaments in a field of `field` nm of a cell."""
    cell = draw_cell(field, config, rng)
    wanted = config.density * rng.lognormal(0, 0.15) * (field / 1000) ** 2 * cell.covered(field)
    parts: list[Curves] = []
    length = 0.0
    while length < wanted:
        number = int((wanted - length) / (0.6 * field / 1000)) + 2
        part = _first(_filaments(cell, number, field, config, rng), field, wanted - length)
        parts.append(part)
        length += max(float(_lengths(part, field).sum()), 0.01 * wanted)  # comes to an end in any cell
    return _joined(parts)


def _lengths(curves: Curves, field: float) -> Floats:
    """Return the length (N,) in µm of each filament that lies in the field."""
    inside = np.all((curves.points >= 0) & (curves.points < field), axis=1)
    return np.bincount(curves.filament, inside) * STEP / 1000


def _first(curves: Curves, field: float, length: float) -> Curves:
    """Return the first filaments that have `length` µm in the field together."""
    last = int(np.searchsorted(np.cumsum(_lengths(curves, field)), length))
    sites = slice(int(np.searchsorted(curves.filament, last, "right")))
    return Curves(curves.points[sites], curves.angle[sites], curves.filament[sites])


def _joined(parts: list[Curves]) -> Curves:
    """Return the filaments of all parts, numbered anew."""
    numbers, known = [], 0
    for part in parts:
        numbers.append(part.filament + known)
        known += int(part.filament.max(initial=-1)) + 1
    points, angle = (np.concatenate([getattr(part, name) for part in parts]) for name in ("points", "angle"))
    return Curves(points, angle, np.concatenate(numbers))


def _filaments(cell: Cell, number: int, field: float, config: MicrotubuleConfig, rng: np.random.Generator) -> Curves:
    """Draw about `number` filaments through random places of the field, alone and in bundles."""
    together = rng.geometric(1 - config.bundled, number)
    bundle = np.repeat(np.arange(number), together)[:number]
    places = cell.places(number, field, rng)
    spread = np.where(rng.random(number) < config.crossing, _CROSSING, _SPREAD)
    direction = (cell.orientation(places) + rng.normal(0, spread))[bundle]
    places = places[bundle] + rng.normal(0, _BESIDE, (number, 2)) * (together > 1)[bundle, np.newaxis]
    # Filaments keep different distances from the outlines, so that they form no line; some pass over the nucleus.
    clearance = rng.uniform(0, _CLEARANCE, number)
    clearance[rng.random(number) < _OVER_NUCLEUS] = -np.inf
    walker = _Walker(cell, direction, clearance[bundle], field)
    before = walker.walk(places, np.pi, _bends(bundle, config, rng), rng)
    after = walker.walk(places, 0.0, _bends(bundle, config, rng), rng)
    points, angle = (np.concatenate([a[:, :0:-1], b], axis=1) for a, b in zip(before[:2], after[:2], strict=True))
    first, last = before[0].shape[1] - before[2], before[0].shape[1] + after[2] - 2
    row = np.arange(number)
    ends = np.stack([points[row, first], points[row, last]])
    inside = np.all((ends > 0) & (ends < field), axis=(0, 2))
    return _refined(points, angle, first, np.where(inside & (last - first < _SHORTEST / _STRIDE), first, last))


def _bends(bundle: Counts, config: MicrotubuleConfig, rng: np.random.Generator) -> Floats:
    """Draw the curvatures (K, N) of filaments in 1/nm, those of a bundle alike until they part."""
    shape = int(_LONGEST / _STRIDE), len(bundle)
    slow = _noise(shape, _BEND, rng)
    # The variance of the direction after a length s is s / persistence length.
    slow *= np.sqrt(1 / (2 * np.sqrt(np.pi) * _BEND * config.persistence_length * 1000))
    bent = _noise(shape, _BUCKLE, rng)
    buckles = config.buckling / 1000 * np.sign(bent) * np.maximum(np.abs(bent) - _STRAIGHT, 0)
    waves = np.diff(_noise((shape[0] + 2, shape[1]), _WAVE, rng), n=2, axis=0) / _STRIDE**2
    own = _TIGHTEST * np.tanh((slow + buckles + config.undulation * waves) / _TIGHTEST)
    together = rng.uniform(*_TOGETHER, len(bundle)) / _STRIDE
    parted = np.clip((np.arange(shape[0])[:, np.newaxis] - together) / 12, _OWN_BENDS, 1)
    first = np.searchsorted(bundle, bundle)  # of the filaments of a bundle
    return np.where(first == np.arange(len(bundle)), own, own[:, first] + parted * (own - own[:, first]))


def _noise(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Floats:
    """Draw noise (K, N) with standard deviation 1 that changes over `scale` nm along the first axis."""
    width = scale / _STRIDE
    noise = gaussian_filter1d(rng.normal(0, 1, shape), width, axis=0, mode="wrap")
    return np.asarray(noise * np.sqrt(2 * np.sqrt(np.pi) * width))


@dataclass(frozen=True)
class _Walker:
    """Integrates filaments that begin in a `direction` (N,) in radians and keep a `clearance` (N,) in nm."""

    cell: Cell
    direction: Floats
    clearance: Floats
    field: float

    def walk(
        self, start: Values, turned: float, bends: Floats, rng: np.random.Generator
    ) -> tuple[Values, Floats, Counts]:
        """Integrate one half of each filament from `start` (N, 2).

        Parameters
        ----------
        start
            As (y, x) in nm.
        turned
            π radians for the half towards the centre, and 0 for the other.
        bends
            Curvatures (K, N) in 1/nm.
        rng
            Random generator.

        Returns
        -------
        Points (N, K, 2), `_STRIDE` apart; the directions (N, K) from the centre outwards; and the number (N,) of points
        that belong to each filament.
        """
        steps, number = bends.shape
        longest = rng.gamma(4, _MEAN_LENGTH / 4, (number,)) / _STRIDE
        clearance, angle, at, going = self.clearance, self.direction + turned, start, np.arange(number)
        offset = self.direction - self.cell.orientation(start)
        points, angles = np.zeros((number, steps, 2)), np.zeros((number, steps))
        count = np.zeros(number, np.int64)
        for k in range(steps):
            points[going, k], angles[going, k], count[going] = at, angle - turned, k + 1
            course, outlined, follows = self.cell.course(at, offset + turned, angle, clearance)
            rate, sharpest = np.interp(outlined, (0, 1), _RATE), np.interp(outlined, (0, 1), _SHARPEST)
            astray = wrapped(course - angle)
            back = 1 + 3 * np.clip(np.abs(astray) - 0.9, 0, 1)  # a buckled filament turns back before it is a loop
            turn = follows * np.clip(back * rate * astray, -back * sharpest, back * sharpest) + bends[k, going]
            angle = angle + turn * _STRIDE
            at = at + _STRIDE * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
            goes_on = np.all((at > -_OUTSIDE) & (at < self.field + _OUTSIDE), axis=1) & (k < longest[going])
            goes_on &= self.cell.holds(at, clearance, angle - turned)
            at, angle, going = at[goes_on], angle[goes_on], going[goes_on]
            offset, clearance = offset[goes_on], clearance[goes_on]
            if not len(going):
                break
        return points[:, : k + 1], angles[:, : k + 1], count


def _refined(points: Values, angle: Floats, first: Counts, last: Counts) -> Curves:
    """Return filaments with a site every `STEP` nm, from those (N, K) whose points are every `_STRIDE` nm.

    A filament is what lies between its points `first` and `last` (N,).
    """
    column = np.arange(points.shape[1] - 1)
    row, k = np.nonzero((column >= first[:, np.newaxis]) & (column < last[:, np.newaxis]))
    part = (np.arange(_PER_STRIDE) / _PER_STRIDE)[np.newaxis, :]
    begin, end = points[row, k], points[row, k + 1]
    fine = begin[:, np.newaxis] + part[..., np.newaxis] * (end - begin)[:, np.newaxis]
    turn = wrapped(angle[row, k + 1] - angle[row, k])
    directions = angle[row, k][:, np.newaxis] + part * turn[:, np.newaxis]
    return Curves(fine.reshape(-1, 2), directions.ravel(), np.repeat(row, _PER_STRIDE))
