"""Filaments in numbers: how long, how bent, how aligned, how broken; from the skeleton of an image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve, gaussian_filter, gaussian_filter1d, label, map_coordinates
from scipy.stats import ks_2samp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.arrays import Pixels, Values
Mask = npt.NDArray[np.bool_]

_BLUR = 1.5  # pixels; about the width of a filament
_SPUR = 6  # pixels; a free branch as short as this is a bump of the outline
_SMOOTH = 2.0  # pixels along a branch, for its length
_SMOOTH_MORE = 5.0  # pixels along a branch, for its curvature, which is a second derivative
_EIGHT = np.ones((3, 3), np.int64)


@dataclass(frozen=True)
class Filaments:
    """What the skeletons of some planes of one kind say. Lengths are in µm, or in pixels without a pixel size.

    Without any filament, what is counted is 0, and NaN stands where there is nothing to average.

    Parameters
    ----------
    unit
        "µm" or "pixel".
    length_density
        Length of all filaments per area, in 1/unit.
    branch_length
        Median length of the branches between two ends or junctions, each weighted by its length, in units.
    curvature, curvature_90
        Median and 90th percentile of the local curvature, in 1/unit; a circle has one over its radius.
    order
        Mean over the planes of |⟨exp(2iθ)⟩|, the nematic order of the direction θ: 0 for all directions alike, 1 for
        filaments that are all parallel.
    intensity_variation
        Standard deviation over mean of the intensity along a branch, median over the length; smooth labelling has 0.
    free_ends
        Ends that are neither at a junction nor at the border, per unit of length: 2 for each gap.
    branch_lengths
        (B,) of each branch.
    curvatures
        (P,) at each skeleton pixel far enough from the ends of its branch.
    directions
        (Q,) at each skeleton pixel, in radians from the x axis towards the y axis, from 0 to π.
    variations
        (B,) the intensity variation of each branch.
    """

    unit: str
    length_density: float
    branch_length: float
    curvature: float
    curvature_90: float
    order: float
    intensity_variation: float
    free_ends: float
    branch_lengths: Values
    curvatures: Values
    directions: Values
    variations: Values


# Those of its fields that are one number, which reports compare.
SUMMARIES = (
    "length_density",
    "branch_length",
    "curvature",
    "curvature_90",
    "order",
    "intensity_variation",
    "free_ends",
)
# As powers of the unit of length; the others have none.
_DIMENSIONS = {"length_density": -1, "branch_length": 1, "curvature": -1, "curvature_90": -1, "free_ends": -1}


@dataclass(frozen=True)
class FilamentDifference:
    """One summary of generated patches beside that of experimental ones.

    Parameters
    ----------
    generated, experimental
        Median over the patches.
    low, high
        Between these lie 90 % of the experimental patches.
    inside
        Whether the median of the generated ones lies between `low` and `high`.
    difference
        Kolmogorov-Smirnov statistic of the patches of both kinds: 0 for the same distribution, 1 for two that do not
        overlap.
    by_chance
        What that statistic stays below with 95 % confidence, for so many patches of one distribution.
    unit
        Of the first four: "µm", "1/µm", or with "pixel" for it; "" for what has none.
    """

    generated: float
    experimental: float
    low: float
    high: float
    inside: bool
    difference: float
    by_chance: float
    unit: str


def measure_filaments(planes: Pixels, pixel_size: float | None = None, threshold: float | None = None) -> Filaments:
    """Measure the filaments in some planes, all together.

    The blurred planes are cut at a threshold with hysteresis, and thinned to skeletons (Zhang and Suen 1984). The
    skeleton's pixels are moved to the ridge of the blurred intensity (Steger 1998), so that lengths and curvatures are
    those of the filament and not of a staircase of pixels.

    Parameters
    ----------
    planes
        (N, Y, X) of one kind.
    pixel_size
        In nm; None if it is not known.
    threshold
        What `filament_threshold` returns, for planes that are measured one by one; by default that of these planes.

    Raises
    ------
    InputError
        If `planes` is not (N, Y, X) with N of at least 1.
    """
    if planes.ndim != 3 or not planes.size:
        raise ValueError(f"Filaments are measured in planes (N, Y, X), not in an array of shape {planes.shape}.")
    cut = filament_threshold(planes) if threshold is None else threshold
    background = float(np.median(planes))
    scale = pixel_size / 1000 if pixel_size else 1.0  # units per pixel
    traced = [_traced(plane, cut, background) for plane in planes]
    branches = [branch for some, _ in traced for branch in some]
    lengths = np.array([branch.length for branch in branches], np.float64) * scale
    curvatures = _joined([branch.curvature for branch in branches]) / scale
    variations = np.array([branch.variation for branch in branches], np.float64)
    total = float(lengths.sum())
    orders = [_order(some) for some, _ in traced if some]
    return Filaments(
        unit=_length_unit(pixel_size),
        length_density=total / (planes.size * scale**2),
        branch_length=_weighted_median(lengths, lengths),
        curvature=float(np.median(curvatures)) if len(curvatures) else float("nan"),
        curvature_90=float(np.quantile(curvatures, 0.9)) if len(curvatures) else float("nan"),
        order=float(np.mean(orders)) if orders else float("nan"),
        intensity_variation=_weighted_median(variations, lengths),
        free_ends=sum(ends for _, ends in traced) / total if total else 0.0,
        branch_lengths=lengths,
        curvatures=curvatures,
        directions=_joined([branch.direction for branch in branches]),
        variations=variations,
    )


def compare_filaments(
    generated: Pixels, experimental: Pixels, pixel_size: float | None = None
) -> dict[str, FilamentDifference]:
    """Measure generated and experimental patches one by one and put each summary of both side by side.

    Parameters
    ----------
    generated, experimental
        (N, Y, X) patches of one size. Each kind has a threshold of its own, so that brightness plays no part.
    pixel_size
        In nm; None if it is not known.

    Returns
    -------
    One difference for each of `SUMMARIES` that both kinds of patches have.
    """
    made, real = (_summaries(patches, pixel_size) for patches in (generated, experimental))
    length = _length_unit(pixel_size)
    units = {name: length if power > 0 else f"1/{length}" for name, power in _DIMENSIONS.items()}
    return {
        name: _difference(made[name], real[name], units.get(name, ""))
        for name in SUMMARIES
        if len(made[name]) and len(real[name])
    }


def _summaries(patches: Pixels, pixel_size: float | None) -> dict[str, Values]:
    """Return the values of the patches that have any, of each summary."""
    cut = filament_threshold(patches)
    measured = [measure_filaments(patch[np.newaxis], pixel_size, cut) for patch in patches]
    values = {name: np.array([getattr(one, name) for one in measured], np.float64) for name in SUMMARIES}
    return {name: some[np.isfinite(some)] for name, some in values.items()}


def _length_unit(pixel_size: float | None) -> str:
    return "µm" if pixel_size else "pixel"


def _difference(made: Values, real: Values, unit: str) -> FilamentDifference:
    low, high = (float(v) for v in np.quantile(real, (0.05, 0.95)))
    middle = float(np.median(made))
    distance = float(ks_2samp(made, real).statistic)
    # Smirnov's limit for many patches (1948); for few it is a little too large.
    by_chance = 1.358 * ((len(made) + len(real)) / (len(made) * len(real))) ** 0.5
    inside = low <= middle <= high
    return FilamentDifference(middle, float(np.median(real)), low, high, inside, distance, by_chance, unit)


def filament_threshold(planes: Pixels) -> float:
    """Return the intensity above which a blurred plane is a filament for certain, by Otsu's method (1979)."""
    from skimage.filters import threshold_otsu

    blurred = gaussian_filter(np.asarray(planes, np.float32), (0, _BLUR, _BLUR))
    # A few very bright spots would pull the threshold above the dimmer filaments.
    bright = float(np.quantile(blurred, 0.99))
    return float(threshold_otsu(np.minimum(blurred, bright))) if bright > blurred.min() else float("inf")


@dataclass(frozen=True)
class _Branch:
    """One branch: its length in pixels, and along it the curvature in 1/pixel, direction and intensity variation."""

    length: float
    curvature: Values
    direction: Values
    variation: float


def _traced(plane: Pixels, threshold: float, background: float) -> tuple[list[_Branch], int]:
    """Return the branches of a plane, and the number of free ends."""
    from skimage.filters import apply_hysteresis_threshold
    from skimage.morphology import skeletonize

    blurred = gaussian_filter(np.asarray(plane, np.float64), _BLUR)
    # A dim stretch belongs to the filament whose bright parts it joins.
    mask = apply_hysteresis_threshold(blurred, (threshold + background) / 2, threshold)
    skeleton = _without_spurs(np.asarray(skeletonize(mask), np.bool_))
    ridge = _ridge_offsets(blurred)
    sharper = gaussian_filter(np.asarray(plane, np.float64), 1.0) - background
    branches, ends = [], 0
    for path, closed in _paths(skeleton):
        free = 0 if closed else sum(_is_free(skeleton, path[end]) for end in (0, -1))
        if len(path) < 4:
            continue
        ends += free
        points = path + ridge[:, path[:, 0], path[:, 1]].T
        branches.append(_measured(points, closed, sharper))
    return branches, ends


def _without_spurs(skeleton: Mask) -> Mask:
    """Take out short free branches, which are bumps of the outline, and lone pixels."""
    from skimage.morphology import skeletonize

    pruned = skeleton.copy()
    for path, closed in _paths(skeleton):
        if closed or len(path) > _SPUR:
            continue
        joined = [_neighbours(skeleton, end) > 1 for end in (path[0], path[-1])]
        if not all(joined):
            # The last pixel of a spur is the junction, which stays.
            inner = [p for p in path if _neighbours(skeleton, p) <= 2]
            for y, x in inner:
                pruned[y, x] = False
    # Where a spur has gone, its junction may be a corner two pixels thick.
    return np.asarray(skeletonize(pruned), np.bool_)


def _neighbours(skeleton: Mask, place: npt.NDArray[np.int64]) -> int:
    y, x = (int(v) for v in place)
    return int(skeleton[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].sum()) - 1


def _is_free(skeleton: Mask, end: npt.NDArray[np.int64]) -> bool:
    """Whether a branch ends here, and not because the plane does."""
    margin = 2 * _BLUR
    inside = all(margin <= v < length - margin for v, length in zip(end, skeleton.shape, strict=True))
    return inside and _neighbours(skeleton, end) <= 1


def _paths(skeleton: Mask) -> Iterator[tuple[npt.NDArray[np.int64], bool]]:
    """Yield the branches of a skeleton: pixels (P, 2) as (y, x) in order, with the junctions they end at; if closed."""
    degree = convolve(skeleton.astype(np.int64), _EIGHT, mode="constant") - 1
    junction = skeleton & (degree > 2)
    parts, count = label(skeleton & ~junction, _EIGHT)
    order = np.argsort(parts, axis=None, kind="stable")
    places = np.stack(np.unravel_index(order, skeleton.shape), 1)
    bounds = np.searchsorted(parts.ravel()[order], np.arange(1, count + 2))
    for first, last in pairwise(bounds):
        path, closed = _walked([(int(y), int(x)) for y, x in places[first:last]])
        if not closed:
            path = [*_junction_beside(junction, path[0], path), *path]
            path = [*path, *_junction_beside(junction, path[-1], path)]
        yield np.array(path, np.int64), closed


def _walked(pixels: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], bool]:
    """Put the pixels of a simple path in order, from one end to the other or around a loop."""
    left = set(pixels)

    def beside(place: tuple[int, int]) -> list[tuple[int, int]]:
        y, x = place
        # Neighbours that share a side come first: around a corner they are passed before the diagonal.
        steps = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
        return [(y + dy, x + dx) for dy, dx in steps if (y + dy, x + dx) in left]

    start = min(pixels, key=lambda place: len(beside(place)))
    closed = len(pixels) > 3 and len(beside(start)) == 2
    path = [start]
    left.discard(start)
    while following := beside(path[-1]):
        path.append(following[0])
        left.discard(following[0])
    return path, closed


def _junction_beside(junction: Mask, end: tuple[int, int], path: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the junction pixel next to the end of a path, if there is one that the path has not yet."""
    y, x = end
    window = junction[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
    found = [(int(i) + max(y - 1, 0), int(j) + max(x - 1, 0)) for i, j in np.argwhere(window)]
    new = [place for place in found if place not in path]
    return [min(new, key=lambda p: abs(p[0] - y) + abs(p[1] - x))] if new else []


def _ridge_offsets(blurred: Values) -> Values:
    """Return how far (y, x) the ridge lies from each pixel across the filament, (2, Y, X), at most one pixel."""
    gy, gx = np.gradient(blurred)
    (hyy, hyx), (_, hxx) = np.gradient(gy), np.gradient(gx)
    # The direction across is the eigenvector of the Hessian with the most negative eigenvalue.
    angle = 0.5 * np.arctan2(2 * hyx, hxx - hyy)
    across, along = np.stack([np.sin(angle), np.cos(angle)]), np.stack([np.cos(angle), -np.sin(angle)])

    def bend(n: Values) -> Values:
        found: Values = n[0] ** 2 * hyy + 2 * n[0] * n[1] * hyx + n[1] ** 2 * hxx
        return found

    swap = bend(along) < bend(across)
    n = np.where(swap, along, across)
    curved = bend(n)
    safe = np.where(curved < 0, curved, -np.inf)
    offset: Values = np.clip(-(n[0] * gy + n[1] * gx) / safe, -1, 1) * n
    return offset


def _smoothed(points: Values, sigma: float, closed: bool) -> Values:
    """Blur a path along itself; its ends stay where they are."""
    if closed:
        around: Values = gaussian_filter1d(points, sigma, axis=0, mode="wrap")
        return around
    reach = int(4 * sigma)
    longer = np.pad(points, ((reach, reach), (0, 0)), "reflect", reflect_type="odd")
    blurred: Values = gaussian_filter1d(longer, sigma, axis=0)[reach:-reach]
    return blurred


def _measured(points: Values, closed: bool, intensity: Values) -> _Branch:
    course = _smoothed(points, _SMOOTH, closed)
    steps = np.diff(np.concatenate([course, course[:1]]) if closed else course, axis=0)
    light = map_coordinates(intensity, course.T, order=1, mode="nearest")
    mean = float(light.mean())
    return _Branch(
        length=float(np.hypot(*steps.T).sum()),
        curvature=_curvature(_smoothed(points, _SMOOTH_MORE, closed), closed),
        direction=np.arctan2(steps[:, 0], steps[:, 1]) % np.pi,
        variation=float(light.std()) / mean if mean > 0 else 0.0,
    )


def _curvature(course: Values, closed: bool) -> Values:
    """Return |x'y'' - y'x''| / (x'² + y'²)^(3/2) along a smooth path, away from its ends."""
    reach = int(2 * _SMOOTH_MORE)
    if closed:
        course = np.concatenate([course[-2:], course, course[:2]])
    elif len(course) < 2 * reach + 5:
        return np.empty(0)
    first = np.gradient(course, axis=0)
    second = np.gradient(first, axis=0)
    cross = np.abs(first[:, 1] * second[:, 0] - first[:, 0] * second[:, 1])
    bend: Values = cross / np.maximum((first**2).sum(1), 1e-12) ** 1.5
    return bend[2:-2] if closed else bend[reach:-reach]


def _order(branches: list[_Branch]) -> float:
    directions = _joined([branch.direction for branch in branches])
    return float(np.abs(np.exp(2j * directions).mean()))


def _joined(arrays: list[Values]) -> Values:
    return np.concatenate(arrays) if arrays else np.empty(0)


def _weighted_median(values: Values, weights: Values) -> float:
    """Return the value that half of the weight lies below."""
    if not len(values):
        return float("nan")
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(share, share[-1] / 2)])
