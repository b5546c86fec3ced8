"""Judging generated images with numbers: realism and memorization. Every report is plain values.

Patches are (N, Y, X) arrays of one size, in the units of the experimental images.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter

from .patches import SYMMETRIES, symmetry
from .structures import Structure, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

Pixels = npt.NDArray[np.float32]
Features = npt.NDArray[np.float64]

_SCALES = (1.0, 2.0, 4.0, 8.0)  # pixels, of the band-pass filters
_RINGS = 10


def grid_patches(planes: Sequence[Pixels], size: int) -> Pixels:
    """Cut planes into patches that do not overlap, row by row: (N, size, size)."""
    cut = [
        plane[y : y + size, x : x + size]
        for plane in planes
        for y in range(0, plane.shape[0] - size + 1, size)
        for x in range(0, plane.shape[1] - size + 1, size)
    ]
    return np.stack(cut) if cut else np.empty((0, size, size), np.float32)


def texture_features(patches: Pixels) -> Features:
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


def _describe(patch: Pixels) -> Features:
    values: list[float] = []
    blurred = [patch, *(gaussian_filter(patch, s) for s in _SCALES)]
    for fine, coarse in pairwise(blurred):
        band = fine - coarse
        energy, size = float(np.mean(band**2)), float(np.mean(np.abs(band)))
        along_y, along_x = (float(np.mean(np.diff(band, axis=axis) ** 2)) for axis in (0, 1))
        values += [energy, size, along_y / (along_x + 1e-9) + along_x / (along_y + 1e-9)]
        for wide in (4.0, 12.0):
            envelope = gaussian_filter(np.abs(band), wide)
            values.append(float(np.var(envelope)))
    values += [float(v) + 0.05 for v in np.quantile(patch, (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.998))]
    values += [float(patch.std()), float(patch.mean()) + 0.05, float(np.mean(np.abs(patch)))]
    values += list(radial_spectrum(patch, _RINGS))
    return np.log(np.maximum(np.asarray(values, np.float64), 0) + 1e-4)


def radial_spectrum(patch: Pixels, rings: int) -> Features:
    """Return the mean power in `rings` rings of equal width from frequency 0 to Nyquist."""
    window = np.hanning(patch.shape[0])[:, None] * np.hanning(patch.shape[1])[None, :]
    power = np.abs(np.fft.fft2((patch - patch.mean()) * window)) ** 2 / window.sum()
    fy, fx = np.fft.fftfreq(patch.shape[0])[:, None], np.fft.fftfreq(patch.shape[1])[None, :]
    ring = np.minimum((np.hypot(fy, fx) / 0.5 * rings).astype(int), rings)
    sums = np.bincount(ring.ravel(), power.ravel(), rings + 1)[:rings]
    counts = np.bincount(ring.ravel(), minlength=rings + 1)[:rings]
    mean: Features = sums / counts
    return mean


def frechet_distance(a: Features, b: Features) -> float:
    """Return the Fréchet distance of two sets of features, each taken as one Gaussian (Dowson and Landau 1982).

    Covariances are shrunk towards their diagonal, because there are few patches for so many features.
    """
    (mean_a, cov_a), (mean_b, cov_b) = (_gaussian(features) for features in (a, b))
    root = np.real(sqrtm(cov_a @ cov_b))
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a + cov_b - 2 * root))


def _gaussian(features: Features, shrink: float = 0.1) -> tuple[Features, Features]:
    covariance = np.cov(features, rowvar=False)
    diagonal = np.diag(np.diag(covariance) + 1e-6)
    return features.mean(0), (1 - shrink) * covariance + shrink * diagonal


def realism(
    generated: Pixels, experimental: Pixels, pixel_size: float | None = None, seed: int = 0
) -> dict[str, float | None]:
    """Judge how near generated patches are to experimental ones.

    Parameters
    ----------
    generated, experimental
        (N, Y, X) patches of one size, at least 8 of each; the experimental ones should not overlap.
    pixel_size
        In nm, for the mathematical models; 20 where it is not known.
    seed
        Of the mathematical models.

    Returns
    -------
    `score`, 0 where generated patches are as near to half of the experimental patches as the other half is, and 1
    where they are as far as the nearest mathematical model; None where the model is itself as near as experimental
    patches, which leaves no scale. And the three Fréchet distances it is made of, each between equally many patches,
    because the distance falls with their number.
    """
    if min(len(generated), len(experimental)) < 8:
        raise ValueError(
            f"Realism needs at least 8 patches of each kind, not {len(generated)} generated and {len(experimental)} "
            "experimental: generate more, or use smaller patches."
        )
    # Background becomes 0, so that a wrong background shows.
    dark, std = float(np.percentile(experimental, 1)), float(experimental.std()) or 1.0

    def features(patches: Pixels) -> Features:
        return texture_features((_spread(patches, count) - dark) / std)

    # Neighbouring patches go to different halves, so that both halves hold every region of the field.
    count, size = min(len(experimental) // 2, len(generated)), generated.shape[-1]
    real, other = features(experimental[::2]), features(experimental[1::2])
    modelled = min(
        frechet_distance(features(_model_patches(s, count, size, pixel_size or 20.0, experimental, seed)), real)
        for s in _MODELS
    )
    made, floor = frechet_distance(features(generated), real), frechet_distance(other, real)
    return {
        "score": (made - floor) / (modelled - floor) if modelled > _SCALE * floor else None,
        "frechet_generated": made,
        "frechet_experimental": floor,
        "frechet_mathematical_model": modelled,
    }


_MODELS: tuple[Structure, ...] = ("microtubules", "mitochondria")
_SCALE = 1.5  # how much farther than experimental patches a model must be to serve as a scale


def _spread(patches: Pixels, count: int) -> Pixels:
    """Return `count` of the patches, spread evenly over them."""
    chosen = np.linspace(0, len(patches) - 1, count).round().astype(int)
    return np.asarray(patches[chosen])


def _model_patches(
    structure: Structure, count: int, size: int, pixel_size: float, experimental: Pixels, seed: int
) -> Pixels:
    fields = simulate(structure, -(-count // 4), 2 * size, pixel_size, seed).pixels
    return _brightness_matched(grid_patches(list(fields), size), experimental)


def _brightness_matched(model: Pixels, experimental: Pixels) -> Pixels:
    """Bring a mathematical model to the mean of the experimental patches, so that its shapes are judged."""
    dark = float(np.percentile(experimental, 1))
    return model * ((float(experimental.mean()) - dark) / max(float(model.mean()), 1e-9)) + dark


@dataclass(frozen=True)
class Match:
    """Where a patch fits best: the plane, the corner (y, x) there, the symmetry of the patch, and the correlation."""

    plane: int
    y: int
    x: int
    symmetry: int
    correlation: float


def correlation_map(plane: Pixels, patch: Pixels) -> Pixels:
    """Return the normalised correlation of `patch` with every window of `plane`, (Y - y + 1, X - x + 1), by FFT."""
    return _Searched(plane).correlation(patch)


class _Searched:
    """A plane prepared for looking up many patches."""

    def __init__(self, plane: Pixels) -> None:
        self._plane = np.asarray(plane - plane.mean(), np.float64)
        self._fft_shape = tuple(next_fast_len(n, real=True) for n in plane.shape)
        self._spectrum = rfft2(self._plane, self._fft_shape, workers=-1)
        self._norms: dict[tuple[int, int], Features] = {}

    def _window_norm(self, shape: tuple[int, int]) -> Features:
        """Return sqrt(Σ (I - mean)²) over every window, from summed-area tables."""
        if shape not in self._norms:
            sums = [_box_sums(v, shape) for v in (self._plane, self._plane**2)]
            self._norms[shape] = np.sqrt(np.maximum(sums[1] - sums[0] ** 2 / (shape[0] * shape[1]), 1e-9))
        return self._norms[shape]

    def correlation(self, patch: Pixels) -> Pixels:
        """Return the correlation at every position where the whole patch lies in the plane."""
        centred = np.asarray(patch - patch.mean(), np.float64)
        size = float(np.sqrt((centred**2).sum())) or 1.0
        spectrum = rfft2(centred, self._fft_shape, workers=-1)
        product = irfft2(self._spectrum * np.conj(spectrum), self._fft_shape, workers=-1)
        rows, columns = (n - m + 1 for n, m in zip(self._plane.shape, patch.shape, strict=True))
        norm = self._window_norm((patch.shape[0], patch.shape[1]))
        return np.asarray(product[:rows, :columns] / (norm * size), np.float32)


def _box_sums(values: Features, shape: tuple[int, int]) -> Features:
    table = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    y, x = shape
    sums: Features = table[y:, x:] - table[:-y, x:] - table[y:, :-x] + table[:-y, :-x]
    return sums


def nearest_matches(patches: Pixels, planes: Sequence[Pixels]) -> list[Match]:
    """Find, for each patch, the window of any plane that it resembles most, in any of the 8 symmetries."""
    searched = [_Searched(plane) for plane in planes]
    best = []
    for patch in patches:
        found = [
            _best_of(one.correlation(symmetry(patch, k)), which, k)
            for which, one in enumerate(searched)
            for k in SYMMETRIES
        ]
        best.append(max(found, key=lambda match: match.correlation))
    return best


def _best_of(correlation: Pixels, plane: int, k: int) -> Match:
    y, x = np.unravel_index(int(correlation.argmax()), correlation.shape)
    return Match(plane, int(y), int(x), k, float(correlation[y, x]))


def halved(images: Pixels) -> Pixels:
    """Average 2 × 2 pixels of (N, Y, X), cutting an odd last row or column."""
    y, x = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
    blocks = images[:, :y, :x].reshape(len(images), y // 2, 2, x // 2, 2)
    return np.asarray(blocks.mean((2, 4)), np.float32)


def memorization(generated: Pixels, training: Sequence[Pixels], held_out: Pixels) -> dict[str, float]:
    """Judge whether generated patches are copies of training images.

    Each patch's highest normalised correlation with any window of the training planes, in all 8 symmetries, is compared
    with that of experimental patches that were held out. It is computed on 2 × 2 averages, which hold the structure and
    half the noise.

    Parameters
    ----------
    generated, held_out
        (N, Y, X) patches.
    training
        (Y, X) planes.

    Returns
    -------
    `generated_median` and `held_out_median` of the highest correlations, and `fraction_above_held_out_99`: the share of
    generated patches above the 99th percentile of the held-out ones: about 1 in as many as are held out, at least 0.01,
    for a model that copies nothing.
    """
    planes = [halved(plane[np.newaxis])[0] for plane in training]
    made, real = (
        np.array([match.correlation for match in nearest_matches(halved(patches), planes)])
        for patches in (generated, held_out)
    )
    return {
        "generated_median": float(np.median(made)),
        "held_out_median": float(np.median(real)),
        "fraction_above_held_out_99": float(np.mean(made > np.quantile(real, 0.99))),
    }
