"""Normalised cross-correlation of a patch with an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values


def correlation_map(plane: Pixels, patch: Pixels) -> Pixels:
    """Return the normalised correlation of `patch` with every window of `plane`, (Y - y + 1, X - x + 1), by FFT."""
    wide = _without_mean(plane)
    centred, size = _centred(patch)
    fft_shape = tuple(next_fast_len(n, real=True) for n in plane.shape)
    product = irfft2(rfft2(wide, fft_shape) * np.conj(rfft2(centred, fft_shape)), fft_shape)
    rows, columns = (n - m + 1 for n, m in zip(plane.shape, patch.shape, strict=True))
    norm = _window_norms(wide, (patch.shape[0], patch.shape[1]))
    return np.asarray(product[:rows, :columns] / (norm * size), np.float32)


def _without_mean(image: Pixels) -> Values:
    """Return the image minus its mean, in float64: in float32 a constant image may leave rounding errors."""
    wide = np.asarray(image, np.float64)
    centred: Values = wide - wide.mean()
    return centred


def _centred(patch: Pixels) -> tuple[Values, float]:
    """Return the patch minus its mean, and the norm of the difference (1 for a constant patch)."""
    centred = _without_mean(patch)
    return centred, float(np.sqrt((centred**2).sum())) or 1.0


def _window_norms(plane: Values, shape: tuple[int, int], flat: float = 1e-5) -> Values:
    """Return sqrt(Σ (I - mean)²) over every window, from summed-area tables.

    The norm is at least `flat` times the norm of a window with the contrast of the whole plane, in any units. Flat
    windows then have a correlation near 0.
    """
    lowest = max(flat**2 * float(np.mean(plane**2)) * shape[0] * shape[1], 1e-300)
    sums = [_box_sums(v, shape) for v in (plane, plane**2)]
    norms: Values = np.sqrt(np.maximum(sums[1] - sums[0] ** 2 / (shape[0] * shape[1]), lowest))
    return norms


def _box_sums(values: Values, shape: tuple[int, int]) -> Values:
    """Return the sum over every window of `shape`, (Y - y + 1, X - x + 1)."""
    table = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    y, x = shape
    sums: Values = table[y:, x:] - table[:-y, x:] - table[y:, :-x] + table[:-y, :-x]
    return sums
