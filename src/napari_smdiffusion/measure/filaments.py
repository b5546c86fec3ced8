"""Filament statistics from the skeleton of an image: lengths, curvature, alignment and gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import ks_2samp

from .skeletons import BLUR, trace_branches

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values
    from .skeletons import Branch


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
    traces = [trace_branches(plane, threshold, background) for plane in planes]
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

    blurred = gaussian_filter(np.asarray(planes, np.float32), (0, BLUR, BLUR))
    # A few very bright spots would raise the threshold above the dim filaments.
    bright = float(np.quantile(blurred, 0.99))
    return float(threshold_otsu(np.minimum(blurred, bright))) if bright > blurred.min() else float("inf")


def _nematic_order(branches: list[Branch]) -> float:
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
