"""The realism of generated images: realism score, diversity, repetition and coverage, as plain values.

Patches are (N, Y, X) arrays of one size, in the units of the experimental images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from ..base.errors import InputError
from ..images.patches import grid_patches
from ..structures.registry import STRUCTURES
from ..structures.simulate import simulate
from .chance import FieldLayout, chance_score
from .texture import texture_features

if TYPE_CHECKING:
    from ..base.arrays import Indices, Number, Pixels, Values

_MIN_DISTANCE = 4.0  # least distance of the mathematical model, in units of the distance of the experimental halves
_DIVISIONS = 20  # divisions of the experimental patches into halves
_GROUPS = 10  # groups of patches that the jackknife leaves out in turn
_Z_90 = 1.645  # standard errors to each side of a 90 % interval
_NEIGHBOURS = 5  # an experimental patch is covered within the distance of its fifth nearest neighbour


def frechet_distance(a: Values, b: Values) -> float:
    """Return the Fréchet distance of two sets of features, (N, F) and (M, F), modelled as Gaussians.

    See Dowson and Landau (1982). The covariances are shrunk towards their diagonal, because there are few patches for
    the number of features.
    """
    mean, covariance = _gaussian(a)
    return _distance_from(mean, covariance, _lower(covariance), b)


def _distance_from(mean: Values, covariance: Values, lower: Values, features: Values) -> float:
    """Return the Fréchet distance of a Gaussian, whose covariance has the Cholesky factor `lower`, to features."""
    other_mean, other_covariance = _gaussian(features)
    # The trace of (A B)^½ is the sum of the square roots of the eigenvalues of LᵀBL, with LLᵀ = A.
    root = np.sqrt(np.maximum(np.linalg.eigvalsh(lower.T @ other_covariance @ lower), 0)).sum()
    return float(np.sum((mean - other_mean) ** 2) + np.trace(covariance + other_covariance) - 2 * root)


def _lower(covariance: Values) -> Values:
    """Return the Cholesky factor of a covariance (F, F)."""
    return np.asarray(np.linalg.cholesky(covariance), np.float64)


def _gaussian(features: Values, shrink: float = 0.1) -> tuple[Values, Values]:
    mean = features.mean(0)
    centred = features - mean
    covariance = centred.T @ centred / (len(features) - 1)
    diagonal = np.diag(np.diag(covariance) + 1e-6)
    return mean, (1 - shrink) * covariance + shrink * diagonal


@dataclass(frozen=True)
class Realism:
    """The distance of generated patches from experimental ones, and their diversity.

    Parameters
    ----------
    score
        Fréchet distance of the generated patches to half of the experimental patches (mean of 20 random divisions). It
        is 0 at the distance of the other half, and 1 at the distance of the nearest model of `STRUCTURES` that may be
        the unit (`StructureModel.realism_unit`). It is None if the model is less than four times as far away as the
        halves are from each other.
    score_low, score_high
        90 % confidence interval of the score for the random choice of patches (see `frechet_difference`).
    frechet_generated, frechet_experimental, frechet_mathematical_model
        The three Fréchet distances. All use the same number of patches, because the distance depends on it.
    diversity
        Mean distance, in the space of features, of a generated patch to its nearest neighbour, relative to an equal
        number of experimental patches. 1 is ideal; None if all experimental patches are equal.
    repeated
        Share of generated patches that occur more than once: their nearest neighbour is closer than a tenth of the
        median distance of experimental neighbours. The same share of the experimental patches is subtracted, because
        it includes empty patches.
    coverage
        Share of experimental patches with a generated patch as near as their fifth nearest experimental one (Naeem et
        al., ICML 2020). It is relative to the same share for two halves of the experiment. 1 is ideal. Repeated images
        and unrealistic images lower it.
    patches
        Number of patches of the rarer kind; 0 in reports of earlier versions, which do not state it.
    by_chance
        Score that 95 % of the draws of equally many fields of the experiment, of equal size, stay below. None if each
        patch is a field, or the experiment is too small for such fields.
    """

    score: float | None
    score_low: float | None
    score_high: float | None
    frechet_generated: float
    frechet_experimental: float
    frechet_mathematical_model: float
    diversity: float | None
    repeated: float
    coverage: float
    patches: int = 0
    by_chance: float | None = None


def realism(
    generated: Pixels,
    experimental: Pixels,
    pixel_size: float | None = None,
    seed: int = 0,
    baseline: str | None = None,
    layout: FieldLayout | None = None,
) -> Realism:
    """Measure the distance of generated patches from experimental ones, and their diversity.

    Parameters
    ----------
    generated, experimental
        (N, Y, X) patches of one size, at least 8 of each; the experimental ones should not overlap.
    pixel_size
        In nm, for the mathematical models; 20 if it is unknown.
    seed
        Seed of the mathematical models and of the random divisions.
    baseline
        The structure of `STRUCTURES` whose model gives the unit of the score. None: the nearest of those that may be
        the unit. The limits of reports hold for this common unit alone.
    layout
        The fields of view that the patches are cut from, for `Realism.by_chance`; None if each patch is a field.

    Raises
    ------
    InputError
        If there are fewer than 8 patches of either kind, or `baseline` is no structure.
    """
    _check_enough(generated, experimental)
    # The experimental background becomes 0: a wrong background of generated patches changes the features.
    dark, std = float(np.percentile(experimental, 1)), float(experimental.std()) or 1.0

    def features(patches: Pixels) -> Values:
        return texture_features((patches - dark) / std)

    rng = np.random.default_rng(seed)
    count, size = min(len(experimental) // 2, len(generated)), generated.shape[-1]
    experimental_features, generated_features = features(experimental), features(generated)
    simulated = (count, size, pixel_size or 20.0, experimental, seed)
    models = [features(_model_patches(name, *simulated)) for name in _units(baseline)]
    compared = frechet_difference(generated_features, experimental_features, rng)
    far = _nearest_unit(models, [experimental_features[half[:count]] for half, _ in compared.halves], count)
    first_half, second_half = (experimental_features[half[:count]] for half in compared.halves[0])
    # At most the number of experimental patches: the distance to the nearest neighbour falls with the number.
    subset = generated_features[rng.permutation(len(generated_features))[: len(experimental_features)]]
    covered = covered_share(subset[:count], first_half) / max(covered_share(second_half, first_half), 1 / count)
    return Realism(
        *_score(compared, far),
        frechet_generated=compared.near,
        frechet_experimental=compared.floor,
        frechet_mathematical_model=far,
        diversity=diversity_of(subset, experimental_features),
        repeated=repeated_share(generated_features, experimental_features),
        coverage=covered,
        patches=min(len(generated), len(experimental)),
        by_chance=None if layout is None else _by_chance(experimental_features, layout, compared, far, seed),
    )


def _check_enough(generated: Pixels, experimental: Pixels) -> None:
    if min(len(generated), len(experimental)) < 8:
        raise InputError(
            f"Realism needs at least 8 patches of each kind, not {len(generated)} generated and {len(experimental)} "
            "experimental: generate more, or use smaller patches."
        )


def _nearest_unit(models: list[Values], firsts: list[Values], count: int) -> float:
    """Return the mean Fréchet distance of the nearest model to the halves of the experiment."""
    return min(float(np.mean([frechet_distance(model[:count], first) for first in firsts])) for model in models)


def _units(baseline: str | None) -> list[str]:
    """Return the structures whose nearest model is the unit of the score."""
    if baseline is None:
        return [name for name, model in STRUCTURES.items() if model.realism_unit]
    STRUCTURES.check(baseline)
    return [baseline]


def _score(compared: FrechetDifference, far: float) -> tuple[float | None, float | None, float | None]:
    """Return the score and its interval; None where the nearest model, at the distance `far`, is too near."""
    scale = far - compared.floor
    if far <= _MIN_DISTANCE * compared.floor:
        return None, None, None
    score = (compared.near - compared.floor) / scale
    reach = _Z_90 * compared.error / scale
    return score, score - reach, score + reach


def _by_chance(
    experimental: Values, layout: FieldLayout, compared: FrechetDifference, far: float, seed: int
) -> float | None:
    """Return `Realism.by_chance`, from the features of the experimental patches; None without a score."""
    if _score(compared, far)[0] is None:
        return None
    scale, rng = far - compared.floor, np.random.default_rng((seed, layout.rows * layout.columns * layout.fields))
    return chance_score(experimental, layout, compared.halves, scale, frechet_distance, rng)


@dataclass(frozen=True)
class FrechetDifference:
    """Fréchet distances of generated and of experimental patches to experimental ones.

    Parameters
    ----------
    near, floor
        Mean Fréchet distance to one half of the experimental patches, from the generated ones and from the other half.
    error
        Standard error of `near` - `floor` for the random choice of patches.
    halves
        Indices of the two halves of the experimental patches, for each division.
    """

    near: float
    floor: float
    error: float
    halves: list[tuple[Indices, Indices]]


def frechet_difference(generated: Values, experimental: Values, rng: np.random.Generator) -> FrechetDifference:
    """Compare the features of generated and of experimental patches in 20 random divisions.

    A single division of few patches may put most of the nucleus into one half. The error is that of the jackknife,
    which leaves out a tenth of one kind in turn (Efron and Stein 1981). A bootstrap overestimates the distance, because
    it draws some patches twice.

    Parameters
    ----------
    generated, experimental
        Features of generated patches (N, F) and of experimental patches (M, F).
    rng
        Random generator of the divisions.
    """
    divisions = [np.array_split(rng.permutation(len(experimental)), 2) for _ in range(_DIVISIONS)]
    halves = [(first, second) for first, second in divisions]
    orders = [rng.permutation(len(generated)) for _ in halves]
    near, floor = _distances(generated, experimental, orders, halves)
    variance = 0.0
    for kind, count in (("generated", len(generated)), ("experimental", len(experimental))):
        group, differences = rng.permutation(count) % _GROUPS, []
        for g in range(_GROUPS):
            orders_without, halves_without = orders, halves
            if kind == "generated":
                orders_without = [order[group[order] != g] for order in orders]
            else:
                halves_without = [(first[group[first] != g], second[group[second] != g]) for first, second in halves]
            differences.append(np.subtract(*_distances(generated, experimental, orders_without, halves_without)))
        variance += (_GROUPS - 1) * float(np.var(differences))
    return FrechetDifference(near, floor, variance**0.5, halves)


def _distances(
    generated: Values, experimental: Values, orders: list[Indices], halves: list[tuple[Indices, Indices]]
) -> tuple[float, float]:
    """Return the mean distances of the generated patches and of the second half to the first half.

    Both distances use the same number of patches, because the distance falls with the number.
    """
    near, floor = [], []
    for order, (first, second) in zip(orders, halves, strict=True):
        count = min(len(experimental) // 2, len(order), len(first), len(second))
        mean, covariance = _gaussian(experimental[first[:count]])
        lower = _lower(covariance)  # serves both distances
        near.append(_distance_from(mean, covariance, lower, generated[order[:count]]))
        floor.append(_distance_from(mean, covariance, lower, experimental[second[:count]]))
    return float(np.mean(near)), float(np.mean(floor))


def diversity_of(generated: Values, experimental: Values) -> float | None:
    """Return the mean distance of generated patches to their nearest neighbour, relative to experimental patches.

    Both means use the same number of patches. The result is None if all experimental patches are equal.
    """
    scale = _feature_scale(experimental)
    count = min(len(generated), len(experimental))
    near, experimental_near = (
        float(_nearest(spread(kind, count) / scale)[:, 0].mean()) for kind in (generated, experimental)
    )
    return near / experimental_near if experimental_near else None


def repeated_share(generated: Values, experimental: Values) -> float:
    """Return the share of generated patches with a near duplicate, minus the same share of experimental ones.

    The subtraction corrects for empty background patches, which are alike in the experiment as well.
    """
    scale = _feature_scale(experimental)
    experimental_near, generated_near = (_nearest(features / scale)[:, 0] for features in (experimental, generated))
    limit = float(np.median(experimental_near)) / 10
    return max(0.0, float(np.mean(generated_near < limit) - np.mean(experimental_near < limit)))


def _feature_scale(experimental: Values) -> Values:
    """Return the standard deviation (F,) of each feature among experimental patches, at least 0.3.

    Some features are equal in all experimental patches, for example the quantiles that are 0 in STORM images. The lower
    limit keeps small changes of these features small: features are logarithms, and 0.3 is a change by a third.
    """
    scale: Values = np.maximum(experimental.std(0), 0.3)
    return scale


def covered_share(generated: Values, experimental: Values) -> float:
    """Return the share of experimental patches with a generated patch at least as near as their fifth neighbour."""
    scale = _feature_scale(experimental)
    reach = _nearest(experimental / scale)[:, min(_NEIGHBOURS, len(experimental) - 1) - 1]
    return float(np.mean(cdist(experimental / scale, generated / scale).min(1) <= reach))


def _nearest(features: Values) -> Values:
    """Return the distances (N, N - 1) of each patch to all others, nearest first."""
    distances: Values = np.sort(cdist(features, features), axis=1)[:, 1:]
    return distances


def spread(patches: npt.NDArray[Number], count: int) -> npt.NDArray[Number]:
    """Return at most `count` evenly spaced entries of the first axis: patches, their features or their indices."""
    indices = np.linspace(0, len(patches) - 1, min(count, len(patches))).round().astype(int)
    return np.asarray(patches[indices])


def _model_patches(structure: str, count: int, size: int, pixel_size: float, experimental: Pixels, seed: int) -> Pixels:
    drawn = STRUCTURES[structure].unit_settings
    fields = simulate(structure, -(-count // 4), 2 * size, pixel_size, seed, **drawn).pixels
    return _brightness_matched(grid_patches(list(fields), size), experimental)


def _brightness_matched(model: Pixels, experimental: Pixels) -> Pixels:
    """Scale simulated patches to the background and mean of the experimental ones, so that only shapes differ."""
    dark = float(np.percentile(experimental, 1))
    return model * ((float(experimental.mean()) - dark) / max(float(model.mean()), 1e-9)) + dark
