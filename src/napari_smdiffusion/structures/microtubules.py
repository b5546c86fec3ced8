"""Microtubules: long, stiff, thin filaments, with the organisation of a cell or at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .curves import MARGIN, STEP, labelled_sites, random_curves, shift_sideways, smooth_noise
from .organisation import organised_curves
from .registry import STRUCTURES, structure_model
from .settings import MicrotubuleConfig

if TYPE_CHECKING:
    from ..base.arrays import Values

_RADIUS = 20.0  # nm, of the tube with its antibodies
_PER_RING = 4.0  # labels on a ring of 13 dimers at a labelling of 1: antibodies are larger than a dimer
_UNEVEN, _PATCH = 0.5, 150.0  # logarithm and nm: how much the labels vary, and over what length
_DEFAULT = MicrotubuleConfig()


@STRUCTURES.register("microtubules")
@structure_model(
    "long smooth filaments that radiate through a cell, with crossings and bundles",
    "a model of this package; with its antibodies, a tube of 25 nm appears about 40 nm wide",
    settings=MicrotubuleConfig,
    unit_settings={"organisation": "random"},  # scores stay comparable with earlier ones
)
def microtubules(
    field: float, labelling: float, rng: np.random.Generator, config: MicrotubuleConfig = _DEFAULT
) -> Values:
    """Draw hollow filaments of 25 nm, which appear 40 nm wide with their antibodies."""
    if config.organisation == "random":
        return _random_microtubules(field, labelling, rng)
    curves = organised_curves(field, config, rng)
    sites = len(curves.points)
    number = int(curves.filament[-1]) + 1 if sites else 0
    # Labels vary along a filament. Filaments also leave the focus, where they are dim and their localizations scatter.
    unfocused = np.maximum(smooth_noise(sites, 4000, rng) - 0.5, 0)
    brightness = rng.lognormal(0, 0.25, number)[curves.filament] * np.exp(-0.6 * unfocused)
    brightness *= np.exp(_UNEVEN * smooth_noise(sites, _PATCH, rng) - _UNEVEN**2 / 2)
    labels = rng.poisson(_PER_RING * labelling * brightness)
    points, angle, scatter = (np.repeat(v, labels, axis=0) for v in (curves.points, curves.angle, 20 + 25 * unfocused))
    along, around = rng.uniform(0, STEP, len(points)), rng.uniform(0, 2 * np.pi, len(points))
    points = points + along[:, np.newaxis] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    points = shift_sideways(points, angle, _RADIUS * np.sin(around))  # projection of the wall of a tube
    return np.asarray(points + scatter[:, np.newaxis] * rng.normal(0, 1, points.shape))


def _random_microtubules(field: float, labelling: float, rng: np.random.Generator) -> Values:
    """Draw independent filaments up to 16 µm long at random places, labelled with gaps."""
    number = max(rng.poisson(1.1 * ((field + 2 * MARGIN) / 1000) ** 2 / 8), 3)
    points, angle = random_curves(number, 16_000, 2.2e-4, field, rng)
    keep = labelled_sites(number, angle.shape[1], labelling, rng)
    # Each filament is a random part of its curve.
    first, last = np.sort(rng.uniform(0, 1, (2, number, 1)), axis=0) * angle.shape[1]
    site = np.arange(angle.shape[1])
    keep &= (site >= first - angle.shape[1] / 4) & (site <= last + angle.shape[1] / 4)
    across = _RADIUS * np.sin(rng.uniform(0, 2 * np.pi, angle.shape))
    return shift_sideways(points, angle, across)[keep]
