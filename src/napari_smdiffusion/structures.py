"""Mathematical models of labelled structures, rendered as a localization microscope would show them.

They are the baseline the paper compares with, and sample data that anyone may have. A structure is a set of curves;
fluorophores sit along them, each is localized a few times with a limited precision, and the localizations are rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from .images import SIMULATED, Image, common_pixel_size, read_only

if TYPE_CHECKING:
    from collections.abc import Sequence

Points = npt.NDArray[np.float64]
Structure: TypeAlias = str  # a key of STRUCTURES

_STEP = 8.0  # nm between two sites along a curve: one tubulin dimer
_PRECISION = 9.0  # nm, localization precision (standard deviation) of a dSTORM measurement
_MARGIN = 2000.0  # nm around the field in which curves may begin, so that its border looks like its middle


def simulate(
    structure: Structure,
    count: int = 1,
    size: int = 512,
    pixel_size: float = 20.0,
    seed: int = 0,
    labelling: float = 0.5,
) -> Image:
    """Simulate super-resolution images of a structure.

    Parameters
    ----------
    structure
        "microtubules": long smooth filaments with crossings, labelled with gaps. "mitochondria": short thick tubes
        whose outer membrane is labelled.
    count, size
        Number of images, and their side in pixels.
    pixel_size
        In nm.
    seed
        Image k depends on (seed, k) alone.
    labelling
        Share of the sites that carry a label, on average; it varies along a structure and between structures, so that
        there are gaps. From 3 on hardly any are left.

    Returns
    -------
    Image of (count, size, size): localizations per pixel, rendered with the localization precision.
    """
    if structure not in STRUCTURES:
        raise ValueError(f"There is no model of {structure!r}: choose one of {', '.join(STRUCTURES)}.")
    if count < 1 or size < 16 or seed < 0 or not pixel_size > 0 or not labelling > 0:
        raise ValueError(
            f"count ({count}) must be at least 1, size ({size}) at least 16, the seed ({seed}) at least 0, and the "
            f"pixel size ({pixel_size}) and the labelling ({labelling}) positive."
        )
    planes = [_one(structure, size, pixel_size, labelling, np.random.default_rng([seed, k])) for k in range(count)]
    provenance = {"kind": SIMULATED, "structure": structure, "seed": seed, "pixel_size_nm": pixel_size}
    return Image(read_only(np.stack(planes)), pixel_size, name=f"simulated {structure}", provenance=provenance)


def simulated_like(structure: Structure, images: Sequence[Image], seed: int = 0) -> list[Image]:
    """Return simulated fields of a structure to train on beside `images`: of their pixel size, 20 nm if there are none.

    Returns
    -------
    One image of (8, 512, 512).
    """
    size = common_pixel_size(images) if images else None
    return [simulate(structure, 8, 512, size or 20.0, seed)]


def _one(
    structure: Structure, size: int, pixel_size: float, labelling: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    field = size * pixel_size
    sites = STRUCTURES[structure](field, labelling, rng)
    # Each labelled site blinks a geometric number of times; each blink is one localization.
    blinks = np.repeat(sites, rng.geometric(0.3, len(sites)), axis=0)
    localized = blinks + rng.normal(0, _PRECISION, blinks.shape)
    everything = np.concatenate([localized, _background(field, rng)])
    return _histogram(everything, size, pixel_size)


def _histogram(points: Points, size: int, pixel_size: float) -> npt.NDArray[np.float32]:
    """Count (y, x) points per pixel and blur the counts by the localization precision, as renderings do."""
    y, x = np.floor(points / pixel_size).astype(np.int64).T
    inside = (y >= 0) & (y < size) & (x >= 0) & (x < size)
    counts = np.bincount(y[inside] * size + x[inside], minlength=size * size).reshape(size, size)
    blurred: npt.NDArray[np.float32] = gaussian_filter(counts.astype(np.float32), max(_PRECISION / pixel_size, 0.3))
    return blurred


def _background(field: float, rng: np.random.Generator) -> Points:
    """Single false localizations, and small clusters of unbound label."""
    area = (field / 1000) ** 2
    single = rng.uniform(0, field, (rng.poisson(8 * area), 2))
    spots = rng.uniform(0, field, (rng.poisson(1.5 * area), 2))
    clusters = np.repeat(spots, rng.geometric(0.12, len(spots)), axis=0)
    return np.concatenate([single, clusters + rng.normal(0, 12, clusters.shape)])


def _curves(
    number: int, length: float, bend: float, field: float, rng: np.random.Generator
) -> tuple[Points, npt.NDArray[np.float64]]:
    """Draw smooth curves whose curvature changes slowly along them.

    Parameters
    ----------
    number, length
        Number of curves, and their greatest length in nm.
    bend
        Typical curvature in 1/nm.
    field
        Side of the field in nm; curves run through a random point of it and its margin.

    Returns
    -------
    points (number, sites, 2) as (y, x) in nm, and the direction of the curve there (number, sites) in radians.
    """
    sites = int(length / _STEP)
    middle = rng.uniform(-_MARGIN, field + _MARGIN, (number, 1, 2))
    # Curvature: white noise smoothed over a micrometre, so that no curve has a kink.
    curvature = gaussian_filter1d(rng.normal(0, 1, (number, sites)), 1000 / _STEP, axis=1, mode="wrap")
    curvature *= bend / curvature.std()
    angle = rng.uniform(0, 2 * np.pi, (number, 1)) + np.cumsum(curvature * _STEP, axis=1)
    points = np.cumsum(np.stack([np.sin(angle), np.cos(angle)], axis=-1) * _STEP, axis=1)
    return points - points[:, sites // 2 : sites // 2 + 1] + middle, angle


def _labelled(number: int, sites: int, fraction: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which sites carry a fluorophore: independent draws whose chance varies over 60 nm, which leaves gaps."""
    waves = gaussian_filter1d(rng.normal(0, 1, (number, sites)), 60 / _STEP, axis=1, mode="wrap")
    waves /= waves.std()
    brightness = rng.lognormal(0, 0.5, (number, 1))
    chance: npt.NDArray[np.bool_] = rng.random((number, sites)) < fraction * brightness * np.exp(0.7 * waves - 0.25)
    return chance


def _microtubules(field: float, labelling: float, rng: np.random.Generator) -> Points:
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


def _mitochondria(field: float, labelling: float, rng: np.random.Generator) -> Points:
    """Tubes of about 400 nm with a labelled outer membrane, one to six micrometres long, closed at both ends."""
    number = max(rng.poisson(0.16 * ((field + 2 * _MARGIN) / 1000) ** 2), 2)
    points, angle = _curves(number, 6000, 5e-4, field, rng)
    sites = angle.shape[1]
    length = rng.uniform(0.15, 1, (number, 1)) * sites
    radius = rng.normal(200, 30, (number, 1)).clip(120, 300)
    from_end = np.minimum(place := np.arange(sites) - (sites - length) / 2, length - place)
    cap = np.clip(from_end * _STEP / radius, 0, 1)
    width = radius * np.sqrt(cap * (2 - cap))  # half a sphere at each end
    # The membrane is dense: several labels around the tube at each site, in clusters along it.
    rings = []
    for _ in range(10):
        keep = _labelled(number, sites, 0.7 * labelling, rng) & (from_end > 0)
        across = width * np.sin(rng.uniform(0, 2 * np.pi, angle.shape))
        rings.append(_moved_sideways(points, angle, across)[keep])
    return np.concatenate(rings)


def _moved_sideways(points: Points, angle: npt.NDArray[np.float64], across: npt.NDArray[np.float64]) -> Points:
    moved: Points = points + np.stack([np.cos(angle), -np.sin(angle)], axis=-1) * across[..., np.newaxis]
    return moved


# A model of a structure: from the side of a field in nm, the labelling and random draws to the places (N, 2) of its
# labelled sites, (y, x) in nm.
Model: TypeAlias = Callable[[float, float, np.random.Generator], Points]

# By name. The nearest of these models is the unit of the realism score.
STRUCTURES: dict[str, Model] = {
    "microtubules": _microtubules,
    "mitochondria": _mitochondria,
}
