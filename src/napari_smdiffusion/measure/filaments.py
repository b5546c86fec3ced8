"""Filament statistics from the skeleton of an image: lengths, curvature, alignment and gaps."""

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
_SPUR = 6  # pixels; a free branch of at most this length is a bump of the outline
_LENGTH_BLUR = 2.0  # pixels along a branch
_CURVATURE_BLUR = 5.0  # pixels along a branch; larger, because curvature is a second derivative
_EIGHT_NEIGHBOURS = np.ones((3, 3), np.int64)


@dataclass(frozen=True)
class Filaments:
    """Statistics of the filaments in planes of one kind. Lengths are in µm, or in pixels without a pixel size.

    Without any filament, `length_density` and `free_ends` are 0 and the averages are NaN.

    Parameters
    ----------
    unit
        "µm" or "pixel".
    length_density
        Length of all filaments per area, in 1/unit.
    branch_length
        Median length of the branches between two ends or junctions, weighted by length.
    curvature, curvature_90
        Median and 90th percentile of the local curvature, in 1/unit; the curvature of a circle is 1/radius.
    order
        Mean over the planes of |⟨exp(2iθ)⟩|, the nematic order of the direction θ: 0 for random directions, 1 for
        parallel filaments.
    intensity_variation
        Standard deviation of the intensity along a branch, relative to its mean; median over the length. Uniform
        labelling has 0.
    free_ends
        Number of ends per unit of length, without those at a junction or at the border. A gap has 2.
    branch_lengths
        (B,) length of each branch.
    curvatures
        (P,) curvature at each skeleton pixel, except near the ends of a branch.
    directions
        (Q,) direction at each skeleton pixel, from 0 to π radians, from the x axis towards the y axis.
    variations
        (B,) intensity variation of each branch.
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


# The fields of `Filaments` that are numbers; reports compare them.
SUMMARIES = (
    "length_density",
    "branch_length",
    "curvature",
    "curvature_90",
    "order",
    "intensity_variation",
    "free_ends",
)
# Units as powers of the unit of length; the other summaries have no unit.
_LENGTH_POWERS = {"length_density": -1, "branch_length": 1, "curvature": -1, "curvature_90": -1, "free_ends": -1}


@dataclass(frozen=True)
class FilamentDifference:
    """One summary of generated patches beside that of experimental ones.

    Parameters
    ----------
    generated, experimental
        Median over the patches.
    low, high
        The 5th and 95th percentile of the experimental patches.
    inside
        Whether the median of the generated patches is between `low` and `high`.
    difference
        Kolmogorov-Smirnov statistic of the patches of both kinds: 0 for equal distributions, 1 for distributions that
        do not overlap.
    by_chance
        Upper limit of that statistic, with 95 % confidence, for two samples of one distribution.
    unit
        Unit of the first four fields: "µm", "1/µm", "pixel", "1/pixel", or "" for a number without unit.
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
    """Measure the filaments in all planes together.

    The blurred planes are thresholded with hysteresis and thinned to skeletons (Zhang and Suen 1984). The skeleton
    pixels are shifted to the ridge of the blurred intensity (Steger 1998). Lengths and curvatures are therefore those
    of the filament instead of a staircase of pixels.

    Parameters
    ----------
    planes
        (N, Y, X) planes of one kind.
    pixel_size
        In nm; None if it is unknown.
    threshold
        Threshold by `filament_threshold` of more planes than these; the default is the threshold of these planes.

    Raises
    ------
    InputError
        If `planes` is not (N, Y, X) with at least one plane.
    """
    if planes.ndim != 3 or not planes.size:
        raise ValueError(f"planes must be an array (N, Y, X), not one of shape {planes.shape}.")
    threshold = filament_threshold(planes) if threshold is None else threshold
    background = float(np.median(planes))
    scale = pixel_size / 1000 if pixel_size else 1.0  # units per pixel
    traces = [_trace(plane, threshold, background) for plane in planes]
    branches = [branch for plane_branches, _ in traces for branch in plane_branches]
    lengths = np.array([branch.length for branch in branches], np.float64) * scale
    curvatures = _concatenate([branch.curvature for branch in branches]) / scale
    variations = np.array([branch.variation for branch in branches], np.float64)
    total = float(lengths.sum())
    orders = [_nematic_order(plane_branches) for plane_branches, _ in traces if plane_branches]
    return Filaments(
        unit=_length_unit(pixel_size),
        length_density=total / (planes.size * scale**2),
        branch_length=_weighted_median(lengths, lengths),
        curvature=float(np.median(curvatures)) if len(curvatures) else float("nan"),
        curvature_90=float(np.quantile(curvatures, 0.9)) if len(curvatures) else float("nan"),
        order=float(np.mean(orders)) if orders else float("nan"),
        intensity_variation=_weighted_median(variations, lengths),
        free_ends=sum(ends for _, ends in traces) / total if total else 0.0,
        branch_lengths=lengths,
        curvatures=curvatures,
        directions=_concatenate([branch.direction for branch in branches]),
        variations=variations,
    )


def compare_filaments(
    generated: Pixels, experimental: Pixels, pixel_size: float | None = None
) -> dict[str, FilamentDifference]:
    """Measure generated and experimental patches one by one and compare each summary.

    Parameters
    ----------
    generated, experimental
        (N, Y, X) patches of one size. Each kind has its own threshold, so that brightness does not matter.
    pixel_size
        In nm; None if it is unknown.

    Returns
    -------
    The difference of each name of `SUMMARIES` that has values for both kinds of patches.
    """
    generated_values, experimental_values = (_summaries(patches, pixel_size) for patches in (generated, experimental))
    length = _length_unit(pixel_size)
    units = {name: length if power > 0 else f"1/{length}" for name, power in _LENGTH_POWERS.items()}
    return {
        name: _difference(generated_values[name], experimental_values[name], units.get(name, ""))
        for name in SUMMARIES
        if len(generated_values[name]) and len(experimental_values[name])
    }


def _summaries(patches: Pixels, pixel_size: float | None) -> dict[str, Values]:
    """Return the finite values (N,) of each summary, one per patch."""
    threshold = filament_threshold(patches)
    measured = [measure_filaments(patch[np.newaxis], pixel_size, threshold) for patch in patches]
    summaries = {name: np.array([getattr(patch, name) for patch in measured], np.float64) for name in SUMMARIES}
    return {name: values[np.isfinite(values)] for name, values in summaries.items()}


def _length_unit(pixel_size: float | None) -> str:
    return "µm" if pixel_size else "pixel"


def _difference(generated: Values, experimental: Values, unit: str) -> FilamentDifference:
    low, high = (float(v) for v in np.quantile(experimental, (0.05, 0.95)))
    median = float(np.median(generated))
    distance = float(ks_2samp(generated, experimental).statistic)
    # Smirnov's limit for many patches (1948); for few patches it is slightly too large.
    by_chance = 1.358 * ((len(generated) + len(experimental)) / (len(generated) * len(experimental))) ** 0.5
    inside = low <= median <= high
    return FilamentDifference(median, float(np.median(experimental)), low, high, inside, distance, by_chance, unit)


def filament_threshold(planes: Pixels) -> float:
    """Return the upper threshold of blurred planes (N, Y, X) by Otsu's method (1979); infinity for constant planes.

    Pixels above it belong to a filament.
    """
    from skimage.filters import threshold_otsu

    blurred = gaussian_filter(np.asarray(planes, np.float32), (0, _BLUR, _BLUR))
    # A few very bright spots would raise the threshold above the dim filaments.
    bright = float(np.quantile(blurred, 0.99))
    return float(threshold_otsu(np.minimum(blurred, bright))) if bright > blurred.min() else float("inf")


@dataclass(frozen=True)
class _Branch:
    """One branch: length in pixels, curvatures (P,) in 1/pixel, directions (Q,) and intensity variation."""

    length: float
    curvature: Values
    direction: Values
    variation: float


def _trace(plane: Pixels, threshold: float, background: float) -> tuple[list[_Branch], int]:
    """Return the branches of a plane (Y, X), and the number of free ends."""
    from skimage.filters import apply_hysteresis_threshold
    from skimage.morphology import skeletonize

    blurred = gaussian_filter(np.asarray(plane, np.float64), _BLUR)
    # With hysteresis, a dim part between bright parts belongs to the filament.
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
        branches.append(_measure_branch(points, closed, sharper))
    return branches, ends


def _without_spurs(skeleton: Mask) -> Mask:
    """Remove short free branches, which are bumps of the outline, and single pixels."""
    from skimage.morphology import skeletonize

    pruned = skeleton.copy()
    for path, closed in _paths(skeleton):
        if closed or len(path) > _SPUR:
            continue
        at_junction = [_neighbours(skeleton, end) > 1 for end in (path[0], path[-1])]
        if not all(at_junction):
            # The last pixel of a spur is the junction, which remains.
            inner = [pixel for pixel in path if _neighbours(skeleton, pixel) <= 2]
            for y, x in inner:
                pruned[y, x] = False
    # A junction that lost its spur may be a corner two pixels thick.
    return np.asarray(skeletonize(pruned), np.bool_)


def _neighbours(skeleton: Mask, pixel: npt.NDArray[np.int64]) -> int:
    y, x = (int(v) for v in pixel)
    return int(skeleton[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].sum()) - 1


def _is_free(skeleton: Mask, end: npt.NDArray[np.int64]) -> bool:
    """Return whether `end` (y, x) is a free end of a branch: neither at a junction nor at the border of the plane."""
    margin = 2 * _BLUR
    inside = all(margin <= v < length - margin for v, length in zip(end, skeleton.shape, strict=True))
    return inside and _neighbours(skeleton, end) <= 1


def _paths(skeleton: Mask) -> Iterator[tuple[npt.NDArray[np.int64], bool]]:
    """Yield each branch of a skeleton: its pixels (P, 2) as (y, x), and whether it is a loop.

    The pixels are in order and include the junction pixels at the ends.
    """
    degree = convolve(skeleton.astype(np.int64), _EIGHT_NEIGHBOURS, mode="constant") - 1
    junction = skeleton & (degree > 2)
    parts, count = label(skeleton & ~junction, _EIGHT_NEIGHBOURS)
    order = np.argsort(parts, axis=None, kind="stable")
    pixels = np.stack(np.unravel_index(order, skeleton.shape), 1)
    bounds = np.searchsorted(parts.ravel()[order], np.arange(1, count + 2))
    for first, last in pairwise(bounds):
        path, closed = _ordered([(int(y), int(x)) for y, x in pixels[first:last]])
        if not closed:
            path = [*_junction_beside(junction, path[0], path), *path]
            path = [*path, *_junction_beside(junction, path[-1], path)]
        yield np.array(path, np.int64), closed


def _ordered(pixels: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], bool]:
    """Return the pixels of a simple path in order, from one end to the other, and whether the path is a loop."""
    remaining = set(pixels)

    def neighbours(pixel: tuple[int, int]) -> list[tuple[int, int]]:
        y, x = pixel
        # Neighbours that share a side come before diagonal ones, so that no pixel of a corner is skipped.
        steps = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
        return [(y + dy, x + dx) for dy, dx in steps if (y + dy, x + dx) in remaining]

    start = min(pixels, key=lambda pixel: len(neighbours(pixel)))
    closed = len(pixels) > 3 and len(neighbours(start)) == 2
    path = [start]
    remaining.discard(start)
    while following := neighbours(path[-1]):
        path.append(following[0])
        remaining.discard(following[0])
    return path, closed


def _junction_beside(junction: Mask, end: tuple[int, int], path: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the junction pixel next to the end of a path, or an empty list if there is none outside the path."""
    y, x = end
    window = junction[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
    junctions = [(int(i) + max(y - 1, 0), int(j) + max(x - 1, 0)) for i, j in np.argwhere(window)]
    outside = [pixel for pixel in junctions if pixel not in path]
    return [min(outside, key=lambda pixel: abs(pixel[0] - y) + abs(pixel[1] - x))] if outside else []


def _ridge_offsets(blurred: Values) -> Values:
    """Return the offset (2, Y, X), as (y, x), from each pixel to the ridge across the filament, at most one pixel."""
    gy, gx = np.gradient(blurred)
    (hyy, hyx), (_, hxx) = np.gradient(gy), np.gradient(gx)
    # The direction across the filament is the eigenvector of the Hessian with the most negative eigenvalue.
    angle = 0.5 * np.arctan2(2 * hyx, hxx - hyy)
    across, along = np.stack([np.sin(angle), np.cos(angle)]), np.stack([np.cos(angle), -np.sin(angle)])

    def second_derivative(n: Values) -> Values:
        along_n: Values = n[0] ** 2 * hyy + 2 * n[0] * n[1] * hyx + n[1] ** 2 * hxx
        return along_n

    swap = second_derivative(along) < second_derivative(across)
    n = np.where(swap, along, across)
    curvature = second_derivative(n)
    negative = np.where(curvature < 0, curvature, -np.inf)
    offset: Values = np.clip(-(n[0] * gy + n[1] * gx) / negative, -1, 1) * n
    return offset


def _smoothed(points: Values, sigma: float, closed: bool) -> Values:
    """Blur a path (P, 2) along itself; the ends of an open path do not move."""
    if closed:
        loop: Values = gaussian_filter1d(points, sigma, axis=0, mode="wrap")
        return loop
    reach = int(4 * sigma)
    extended = np.pad(points, ((reach, reach), (0, 0)), "reflect", reflect_type="odd")
    blurred: Values = gaussian_filter1d(extended, sigma, axis=0)[reach:-reach]
    return blurred


def _measure_branch(points: Values, closed: bool, image: Values) -> _Branch:
    path = _smoothed(points, _LENGTH_BLUR, closed)
    steps = np.diff(np.concatenate([path, path[:1]]) if closed else path, axis=0)
    intensity = map_coordinates(image, path.T, order=1, mode="nearest")
    mean = float(intensity.mean())
    return _Branch(
        length=float(np.hypot(*steps.T).sum()),
        curvature=_curvature(_smoothed(points, _CURVATURE_BLUR, closed), closed),
        direction=np.arctan2(steps[:, 0], steps[:, 1]) % np.pi,
        variation=float(intensity.std()) / mean if mean > 0 else 0.0,
    )


def _curvature(path: Values, closed: bool) -> Values:
    """Return |x'y'' - y'x''| / (x'² + y'²)^(3/2) along a smooth path (P, 2), without its ends."""
    reach = int(2 * _CURVATURE_BLUR)
    if closed:
        path = np.concatenate([path[-2:], path, path[:2]])
    elif len(path) < 2 * reach + 5:
        return np.empty(0)
    first = np.gradient(path, axis=0)
    second = np.gradient(first, axis=0)
    cross = np.abs(first[:, 1] * second[:, 0] - first[:, 0] * second[:, 1])
    curvature: Values = cross / np.maximum((first**2).sum(1), 1e-12) ** 1.5
    return curvature[2:-2] if closed else curvature[reach:-reach]


def _nematic_order(branches: list[_Branch]) -> float:
    directions = _concatenate([branch.direction for branch in branches])
    return float(np.abs(np.exp(2j * directions).mean()))


def _concatenate(arrays: list[Values]) -> Values:
    return np.concatenate(arrays) if arrays else np.empty(0)


def _weighted_median(values: Values, weights: Values) -> float:
    """Return the weighted median of `values` (N,); NaN if there are none."""
    if not len(values):
        return float("nan")
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(share, share[-1] / 2)])
