"""The error map: the difference between a widefield image and its enhanced image, blurred back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize

from ..images.patches import averaged
from ..images.tiles import central
from .restoration import correlation, linear_fit

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values


@dataclass(frozen=True)
class ErrorMap:
    """The disagreement of an enhanced image with its widefield image (SQUIRREL; Culley et al., Nature Methods 2018).

    Parameters
    ----------
    error
        (Y, X) on the widefield grid: |blurred enhanced - widefield|, in widefield units.
    rse
        Resolution-scaled error: the root mean square of `error`.
    rsp
        Resolution-scaled Pearson correlation: near 1 if the enhanced image explains the widefield image, 0 if one of
        them is constant.
    """

    error: Pixels
    rse: float
    rsp: float


def error_map(enhanced: Pixels, widefield: Pixels, factor: int) -> ErrorMap:
    """Blur an enhanced plane back to widefield and compare the two.

    A Gaussian blurs the light in focus, as in SQUIRREL. A second, wider Gaussian models the out-of-focus light
    (haze), which would count as error otherwise. The widths and shares of both and a constant background are fitted.

    Parameters
    ----------
    enhanced
        (Y·factor, X·factor) plane, in any units.
    widefield
        (Y, X) plane.
    factor
        Enhanced pixels per widefield pixel.
    """
    binned = _binned(enhanced, factor)
    # Scaled to the size of the constant in the least squares fit, which would drop much smaller columns.
    binned = binned / (float(binned.std()) or 1.0)

    # The widths are fitted to the middle of a large image: that is fast, and accurate enough.
    middle = central(widefield.shape, _FIT_SIDE)
    part, target = binned[middle], widefield[middle]

    def residual(log_widths: Values) -> float:
        fit = _blurred_back(part, target, log_widths)
        return float(np.mean((fit - target) ** 2)) / (float(np.var(target)) or 1.0)

    # The residual may have several minima, for different widths of the haze: the best of six starting points is used.
    start = min((np.log(pair) for pair in product((0.7, 1.3, 2.5), (2.0, 5.0, 15.0))), key=residual)
    best = minimize(residual, start, method="Nelder-Mead", options={"xatol": 0.05, "fatol": 1e-5, "maxfev": 60})
    blurred = _blurred_back(binned, widefield, best.x)
    error = np.abs(blurred - widefield)
    return ErrorMap(error, float(np.sqrt(np.mean(error**2))), correlation(blurred, widefield))


def _binned(enhanced: Pixels, factor: int) -> Pixels:
    """Return the averages of blocks of `factor` × `factor` pixels; strips are read of a plane larger than memory."""
    strips = range(0, len(enhanced) // factor * factor, _STRIP * factor)
    parts = [averaged(np.asarray(enhanced[row : row + _STRIP * factor], np.float32), factor) for row in strips]
    return np.concatenate(parts)


# Limits in widefield pixels of (σ of the blur in focus, additional σ of the haze).
_LOG_WIDTHS = np.log(((0.2, 0.5), (8.0, 40.0)))
_STRIP = 128  # rows of widefield pixels that are read together
_FIT_SIDE = 512  # widefield pixels; the widths are fitted to a region of at most this side


def _blurred_back(binned: Pixels, widefield: Pixels, log_widths: Values) -> Pixels:
    """Return the mixture of `binned` (Y, X), blurred by Gaussians of these two widths, that fits `widefield` best."""
    narrow, additional = np.exp(np.clip(log_widths, *_LOG_WIDTHS))
    return _best_mixture(gaussian_filter(binned, narrow), gaussian_filter(binned, narrow + additional), widefield)


def _best_mixture(focused: Pixels, hazy: Pixels, widefield: Pixels) -> Pixels:
    """Return the mixture of both, with shares of at least 0, and a constant that fits `widefield` best."""
    strips = [slice(start, start + _STRIP) for start in range(0, len(widefield), _STRIP)]
    # The normal equations are fast, and accurate enough for three unknowns. Their sums need float64, which whole planes
    # have no memory for.
    gram, target = np.zeros((3, 3)), np.zeros(3)
    for strip in strips:
        columns = _columns(focused[strip], hazy[strip])
        gram += columns.T @ columns
        target += columns.T @ widefield[strip].ravel().astype(np.float64)
    shares, *_ = np.linalg.lstsq(gram, target, rcond=None)
    if min(shares[:2]) < 0:
        return linear_fit(hazy if shares[0] < 0 else focused, widefield)
    mixture = np.empty(widefield.shape, np.float32)
    for strip in strips:
        mixture[strip] = (_columns(focused[strip], hazy[strip]) @ shares).reshape(mixture[strip].shape)
    return mixture


def _columns(focused: Pixels, hazy: Pixels) -> Values:
    """Return the columns of the least squares fit, (pixels, 3): the two images and a constant."""
    return np.stack([focused.ravel(), hazy.ravel(), np.ones(focused.size)], axis=1).astype(np.float64)
