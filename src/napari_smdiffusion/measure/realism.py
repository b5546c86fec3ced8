"""Judging generated images with numbers: how real they look. Every report is plain values.

Patches are (N, Y, X) arrays of one size, in the units of the experimental images.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, eigvalsh
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from ..base.errors import InputError
from ..images.patches import grid_patches
from ..structures.registry import STRUCTURES
from ..structures.simulate import simulate
from .spectrum import radial_spectrum

if TYPE_CHECKING:
    from ..base.arrays import Indices, Number, Pixels, Values

_SCALES = (1.0, 2.0, 4.0, 8.0)  # pixels, of the band-pass filters
_RINGS = 10
_FAINT = 1e-6  # of the mean square: without it a patch that is black, or nearly, has any direction or none
_SCALE = 4.0  # a model that is less than so many times as far as experimental patches cannot serve as a scale
_DIVIDED = 20  # divisions of the experimental patches into halves
_GROUPS = 10  # of patches that are left out in turn
_NINETY = 1.645  # standard errors on both sides of what is true in 90 % of cases
_NEIGHBOURS = 5


def texture_features(patches: Pixels) -> Values:
    """Describe the texture of patches without a pretrained network.

    Band energies and their anisotropy and sparsity, energies of the band-passed band energies (second order, as in a
    scattering transform; Bruna and Mallat 2013), intensity quantiles, and the radial power spectrum, all as logarithms.

    Parameters
    ----------
    patches
        (N, Y, X), with a background of about 0 and a standard deviation of about 1 over all experimental patches.

    Returns
    -------
    (N, 42) float64.
    """
    return np.stack([_describe(patch) for patch in patches])


def _describe(patch: Pixels) -> Values:
    values: list[float] = []
    blurred = [patch, *(gaussian_filter(patch, s) for s in _SCALES)]
    for fine, coarse in pairwise(blurred):
        band = fine - coarse
        energy, size = float(np.mean(band**2)), float(np.mean(np.abs(band)))
        along_y, along_x = (float(np.mean(np.diff(band, axis=axis) ** 2)) for axis in (0, 1))
        ratio = (along_y + _FAINT) / (along_x + _FAINT)
        values += [energy, size, ratio + 1 / ratio]
        for wide in (4.0, 12.0):
            envelope = gaussian_filter(np.abs(band), wide)
            values.append(float(np.var(envelope)))
    values += [float(v) + 0.05 for v in np.quantile(patch, (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.998))]
    values += [float(patch.std()), float(patch.mean()) + 0.05, float(np.mean(np.abs(patch)))]
    values += list(radial_spectrum(patch, _RINGS))
    return np.log(np.maximum(np.asarray(values, np.float64), 0) + 1e-4)


def frechet_distance(a: Values, b: Values) -> float:
    """Return the Fréchet distance of two sets of features, each taken as one Gaussian (Dowson and Landau 1982).

    Covariances are shrunk towards their diagonal, because there are few patches for so many features.
    """
    (mean_a, cov_a), (mean_b, cov_b) = (_gaussian(features) for features in (a, b))
    # The trace of (A B)^½ is the sum of the roots of the eigenvalues of LᵀBL, where LLᵀ = A.
    lower = cholesky(cov_a, lower=True)
    root = np.sqrt(np.maximum(eigvalsh(lower.T @ cov_b @ lower), 0)).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a + cov_b) - 2 * root)


def _gaussian(features: Values, shrink: float = 0.1) -> tuple[Values, Values]:
    covariance = np.cov(features, rowvar=False)
    diagonal = np.diag(np.diag(covariance) + 1e-6)
    return features.mean(0), (1 - shrink) * covariance + shrink * diagonal


def realism(
    generated: Pixels, experimental: Pixels, pixel_size: float | None = None, seed: int = 0
) -> dict[str, float | None]:
    """Judge how near generated patches are to experimental ones, and how diverse they are.

    Parameters
    ----------
    generated, experimental
        (N, Y, X) patches of one size, at least 8 of each; the experimental ones should not overlap.
    pixel_size
        In nm, for the mathematical models; 20 where it is not known.
    seed
        Of the mathematical models, and of what is drawn by chance.

    Returns
    -------
    `score`, 0 where generated patches are as near to half of the experimental patches as the other half is (the mean
    of 20 divisions by chance), and 1 where they are as far as the nearest model of `STRUCTURES`; None where that one is
    less than four times as far as the halves are from each other, which leaves no scale. `score_low` and `score_high`,
    between which it lies with 90 % confidence as far as the choice of patches goes (see `frechet_difference`). The
    three Fréchet distances it is made of, each between equally many patches, for it falls with their number.

    `diversity`, the mean distance in the space of features from a generated patch to its nearest neighbour among as
    many others, over the same for equally many experimental ones: 1 is ideal; None where the experimental ones are all
    the same. `repeated`, the share of generated patches that come more than once: those whose nearest neighbour among
    all generated ones is less than a tenth as far as experimental ones are apart, less the same share of experimental
    ones, which the empty ones are among. And `coverage`, the share of
    experimental patches that have a generated one as near as their fifth nearest experimental one (Naeem et al., ICML
    2020), over the same for two halves of the experimental patches: 1 is ideal, and a few images repeated cover little,
    as do images that are unlike any experimental one.

    Raises
    ------
    InputError
        If there are fewer than 8 patches of either kind.
    """
    if min(len(generated), len(experimental)) < 8:
        raise InputError(
            f"Realism needs at least 8 patches of each kind, not {len(generated)} generated and {len(experimental)} "
            "experimental: generate more, or use smaller patches."
        )
    # Background becomes 0, so that a wrong background shows.
    dark, std = float(np.percentile(experimental, 1)), float(experimental.std()) or 1.0

    def features(patches: Pixels) -> Values:
        return texture_features((patches - dark) / std)

    rng = np.random.default_rng(seed)
    count, size = min(len(experimental) // 2, len(generated)), generated.shape[-1]
    real, all_made = features(experimental), features(generated)
    models = [features(_model_patches(s, count, size, pixel_size or 20.0, experimental, seed)) for s in STRUCTURES]
    compared = frechet_difference(all_made, real, rng)
    firsts = [real[one[:count]] for one, _ in compared.halves]
    far = min(float(np.mean([frechet_distance(model[:count], first) for first in firsts])) for model in models)
    score = low = high = None
    if far > _SCALE * compared.floor:
        scale = far - compared.floor
        score = (compared.near - compared.floor) / scale
        low, high = (score + sign * _NINETY * compared.error / scale for sign in (-1, 1))
    one, other = (real[half[:count]] for half in compared.halves[0])
    # As many as there are experimental ones: distances to the nearest neighbour fall with the number of patches.
    some = all_made[rng.permutation(len(all_made))[: len(real)]]
    return {
        "score": score,
        "score_low": low,
        "score_high": high,
        "frechet_generated": compared.near,
        "frechet_experimental": compared.floor,
        "frechet_mathematical_model": far,
        "diversity": _diversity(some, real),
        "repeated": _repeated(all_made, real),
        "coverage": _coverage(some[:count], one) / max(_coverage(other, one), 1 / count),
    }


@dataclass(frozen=True)
class FrechetDifference:
    """How far generated patches are from experimental ones, and experimental ones from each other.

    Parameters
    ----------
    near, floor
        Mean Fréchet distances to one half of the experimental patches: of the generated ones, and of the other half.
    error
        Standard error of `near` - `floor`, as far as the choice of patches goes.
    halves
        The divisions of the experimental patches, indices of either half.
    """

    near: float
    floor: float
    error: float
    halves: list[tuple[Indices, Indices]]


def frechet_difference(made: Values, real: Values, rng: np.random.Generator) -> FrechetDifference:
    """Compare the features of generated and of experimental patches, (N, F) and (M, F), in 20 divisions by chance.

    A few patches may be divided so that one half has most of the nucleus: hence many divisions. The error is that of
    the jackknife, which leaves out a tenth of one kind in turn (Efron and Stein 1981). A bootstrap does not serve:
    patches that are drawn twice make two sets unlike each other that are not.
    """
    divisions = [np.array_split(rng.permutation(len(real)), 2) for _ in range(_DIVIDED)]
    halves = [(one, other) for one, other in divisions]
    drawn = [rng.permutation(len(made)) for _ in halves]
    near, floor = _distances(made, real, drawn, halves)
    variance = 0.0
    for kind, count in (("made", len(made)), ("real", len(real))):
        group, without = rng.permutation(count) % _GROUPS, []
        for g in range(_GROUPS):
            some, parts = drawn, halves
            if kind == "made":
                some = [which[group[which] != g] for which in drawn]
            else:
                parts = [(one[group[one] != g], other[group[other] != g]) for one, other in halves]
            without.append(np.subtract(*_distances(made, real, some, parts)))
        variance += (_GROUPS - 1) * float(np.var(without))
    return FrechetDifference(near, floor, variance**0.5, halves)


def _distances(
    made: Values, real: Values, drawn: list[Indices], halves: list[tuple[Indices, Indices]]
) -> tuple[float, float]:
    """Return the mean distances to the first half of the experimental patches: of the generated ones, and of the other.

    Each is between equally many patches, for the distance falls with their number.
    """
    near, floor = [], []
    for which, (one, other) in zip(drawn, halves, strict=True):
        count = min(len(real) // 2, len(which), len(one), len(other))
        against = real[one[:count]]
        near.append(frechet_distance(made[which[:count]], against))
        floor.append(frechet_distance(real[other[:count]], against))
    return float(np.mean(near)), float(np.mean(floor))


def _diversity(made: Values, real: Values) -> float | None:
    """Return the mean distance to the nearest neighbour among equally many generated and experimental patches."""
    scale = _unit(real)
    count = min(len(made), len(real))
    near, usual = (float(_nearest(spread(kind, count) / scale)[:, 0].mean()) for kind in (made, real))
    return near / usual if usual else None


def _repeated(made: Values, real: Values) -> float:
    """Return the share of generated patches that have a twin among the others, less that of experimental ones.

    Of an experiment with much empty background many patches are the same as well, and should be.
    """
    scale = _unit(real)
    among_real, among_made = (_nearest(features / scale)[:, 0] for features in (real, made))
    twin = float(np.median(among_real)) / 10
    return max(0.0, float(np.mean(among_made < twin) - np.mean(among_real < twin)))


def _unit(real: Values) -> Values:
    """Return the spread of each feature among experimental patches.

    It is at least 0.3, for features are logarithms: an intensity that is the same in all experimental patches, as 0 is
    in many STORM images, must not make a third more or less of it a world apart.
    """
    unit: Values = np.maximum(real.std(0), 0.3)
    return unit


def _coverage(made: Values, real: Values) -> float:
    """Return the share of experimental patches with a generated one nearer than their fifth experimental neighbour."""
    scale = _unit(real)
    reach = _nearest(real / scale)[:, min(_NEIGHBOURS, len(real) - 1) - 1]
    return float(np.mean(cdist(real / scale, made / scale).min(1) <= reach))


def _nearest(features: Values) -> Values:
    """Return the distances of each patch to all others, nearest first: (N, N - 1)."""
    distances: Values = np.sort(cdist(features, features), axis=1)[:, 1:]
    return distances


def spread(patches: npt.NDArray[Number], count: int) -> npt.NDArray[Number]:
    """Return `count` at most of the patches, their features or numbers, spread evenly over them."""
    chosen = np.linspace(0, len(patches) - 1, min(count, len(patches))).round().astype(int)
    return np.asarray(patches[chosen])


def _model_patches(structure: str, count: int, size: int, pixel_size: float, experimental: Pixels, seed: int) -> Pixels:
    fields = simulate(structure, -(-count // 4), 2 * size, pixel_size, seed).pixels
    return _brightness_matched(grid_patches(list(fields), size), experimental)


def _brightness_matched(model: Pixels, experimental: Pixels) -> Pixels:
    """Bring a mathematical model to the mean of the experimental patches, so that its shapes are judged."""
    dark = float(np.percentile(experimental, 1))
    return model * ((float(experimental.mean()) - dark) / max(float(model.mean()), 1e-9)) + dark
