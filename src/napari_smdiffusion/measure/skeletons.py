"""The branches of a filament skeleton: tracing, smoothing, curvature and free ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve, correlate1d, gaussian_filter, gaussian_filter1d, label, map_coordinates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.arrays import Pixels, Values

Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Path = npt.NDArray[np.int64]  # pixels (P, 2) as (y, x)

BLUR = 1.5  # pixels; about the width of a filament
_SPUR = 6  # pixels; a free branch of at most this length is a bump of the outline
_LENGTH_BLUR = 2.0  # pixels along a branch
_CURVATURE_BLUR = 5.0  # pixels along a branch; larger, because curvature is a second derivative
_EIGHT_NEIGHBOURS = np.ones((3, 3), np.int64)
# Neighbours that share a side come before diagonal ones, so that no pixel of a corner is skipped.
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))


@dataclass(frozen=True)
class Branch:
    """One branch: length in pixels, curvatures (P,) in 1/pixel, directions (Q,) and intensity variation."""

    length: float
    curvature: Values
    direction: Values
    variation: float


def trace_branches(plane: Pixels, threshold: float, background: float) -> tuple[list[Branch], int]:
    """Return the branches of a plane (Y, X), and the number of free ends."""
    from skimage.filters import apply_hysteresis_threshold
    from skimage.morphology import skeletonize

    blurred = gaussian_filter(np.asarray(plane, np.float64), BLUR)
    # With hysteresis, a dim part between bright parts belongs to the filament.
    mask = apply_hysteresis_threshold(blurred, (threshold + background) / 2, threshold)
    skeleton = _without_spurs(np.asarray(skeletonize(mask), np.bool_))
    degree = _degree(skeleton)
    ridge = _ridge_offsets(blurred)
    sharper = gaussian_filter(np.asarray(plane, np.float64), 1.0) - background
    branches, ends = [], 0
    for path, closed in _paths(skeleton, degree):
        if len(path) < 4:
            continue
        ends += 0 if closed else sum(_is_free(degree, path[end]) for end in (0, -1))
        points = path + ridge[:, path[:, 0], path[:, 1]].T
        branches.append(_measure_branch(points, closed, sharper))
    return branches, ends


def _without_spurs(skeleton: Mask) -> Mask:
    """Remove short free branches, which are bumps of the outline, and single pixels."""
    from skimage.morphology import skeletonize

    pruned, degree = skeleton.copy(), _degree(skeleton)
    for path, closed in _paths(skeleton, degree, longest=_SPUR):
        if closed or len(path) > _SPUR:
            continue
        y, x = path.T
        neighbours = degree[y, x]
        if neighbours[0] <= 1 or neighbours[-1] <= 1:
            # The last pixel of a spur is the junction, which remains.
            inner = neighbours <= 2
            pruned[y[inner], x[inner]] = False
    # A junction that lost its spur may be a corner two pixels thick.
    return np.asarray(skeletonize(pruned), np.bool_)


def _degree(skeleton: Mask) -> Counts:
    """Return the number of skeleton pixels around each pixel of a skeleton (Y, X); other pixels have no such number."""
    degree: Counts = convolve(skeleton.astype(np.int64), _EIGHT_NEIGHBOURS, mode="constant") - 1
    return degree


def _is_free(degree: Counts, end: Path) -> bool:
    """Return whether `end` (y, x) is a free end of a branch: neither at a junction nor at the border of the plane."""
    margin = 2 * BLUR
    inside = all(margin <= v < length - margin for v, length in zip(end, degree.shape, strict=True))
    return inside and bool(degree[end[0], end[1]] <= 1)


def _paths(skeleton: Mask, degree: Counts, longest: int | None = None) -> Iterator[tuple[Path, bool]]:
    """Yield each branch of a skeleton, with its pixels in order, and whether it is a loop.

    The pixels include the junction pixels at the ends. Branches of more than `longest` other pixels are left out.
    """
    junction = skeleton & (degree > 2)
    parts, count = label(skeleton & ~junction, _EIGHT_NEIGHBOURS)
    junctions = {(y, x) for y, x in np.argwhere(junction).tolist()}
    order = np.argsort(parts, axis=None, kind="stable")
    bounds = np.searchsorted(parts.ravel()[order], np.arange(1, count + 2)).tolist()
    y, x = (along.tolist() for along in np.unravel_index(order[bounds[0] :], skeleton.shape))
    pixels = list(zip(y, x, strict=True))
    for first, last in pairwise(bound - bounds[0] for bound in bounds):
        if longest is not None and last - first > longest:
            continue
        path, closed = _ordered(pixels[first:last])
        if not closed:
            path = [*_junction_beside(junctions, path[0], path), *path]
            path = [*path, *_junction_beside(junctions, path[-1], path)]
        yield np.array(path, np.int64), closed


def _ordered(pixels: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], bool]:
    """Return the pixels of a simple path in order, from one end to the other, and whether the path is a loop."""
    remaining = set(pixels)

    def neighbours(pixel: tuple[int, int]) -> Iterator[tuple[int, int]]:
        y, x = pixel
        return (beside for dy, dx in _STEPS if (beside := (y + dy, x + dx)) in remaining)

    end = next((pixel for pixel in pixels if len(list(neighbours(pixel))) <= 1), None)
    path = [pixels[0] if end is None else end]
    remaining.discard(path[0])
    while following := next(neighbours(path[-1]), None):
        path.append(following)
        remaining.discard(following)
    return path, end is None and len(pixels) > 3


def _junction_beside(
    junctions: set[tuple[int, int]], end: tuple[int, int], path: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return the junction pixel next to the end of a path, or an empty list if there is none outside the path."""
    y, x = end
    around = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    outside = [pixel for pixel in around if pixel in junctions and pixel not in path]
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
    weights = _gaussian_weights(sigma)
    if closed:
        loop: Values = correlate1d(points, weights, axis=0, mode="wrap")
        return loop
    reach = len(weights) // 2
    if len(points) > reach:
        before = 2 * points[0] - points[reach:0:-1]
        after = 2 * points[-1] - points[-2 : -reach - 2 : -1]
        extended = np.concatenate([before, points, after])
    else:  # reflected several times
        extended = np.pad(points, ((reach, reach), (0, 0)), "reflect", reflect_type="odd")
    blurred: Values = correlate1d(extended, weights, axis=0)[reach:-reach]
    return blurred


@lru_cache
def _gaussian_weights(sigma: float) -> Values:
    """Return the weights of `gaussian_filter1d`, which computes them anew for each path."""
    reach = int(4 * sigma + 0.5)
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1
    weights: Values = gaussian_filter1d(impulse, sigma, mode="constant")
    return weights


def _measure_branch(points: Values, closed: bool, image: Values) -> Branch:
    path = _smoothed(points, _LENGTH_BLUR, closed)
    steps = np.diff(np.concatenate([path, path[:1]]) if closed else path, axis=0)
    intensity = map_coordinates(image, path.T, order=1, mode="nearest")
    mean = float(intensity.mean())
    return Branch(
        length=float(np.hypot(*steps.T).sum()),
        curvature=_curvature(points, closed),
        direction=np.arctan2(steps[:, 0], steps[:, 1]) % np.pi,
        variation=float(intensity.std()) / mean if mean > 0 else 0.0,
    )


def _curvature(points: Values, closed: bool) -> Values:
    """Return |x'y'' - y'x''| / (x'² + y'²)^(3/2) along a path (P, 2) that is blurred along itself, without its ends."""
    reach = int(2 * _CURVATURE_BLUR)
    if not closed and len(points) < 2 * reach + 5:
        return np.empty(0)
    path = _smoothed(points, _CURVATURE_BLUR, closed)
    if closed:
        path = np.concatenate([path[-2:], path, path[:2]])
    first = np.gradient(path, axis=0)
    second = np.gradient(first, axis=0)
    cross = np.abs(first[:, 1] * second[:, 0] - first[:, 0] * second[:, 1])
    curvature: Values = cross / np.maximum((first**2).sum(1), 1e-12) ** 1.5
    return curvature[2:-2] if closed else curvature[reach:-reach]
