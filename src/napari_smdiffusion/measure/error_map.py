"""Where an enhanced image disagrees with its widefield image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize

from ..images.patches import averaged
from .restoration import correlation, linear_fit

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values


@dataclass(frozen=True)
class ErrorMap:
    """Where an enhanced image and its widefield image disagree (SQUIRREL; Culley et al., Nature Methods 2018).

    Parameters
    ----------
    error
        (Y, X) on the widefield grid: |blurred enhanced - widefield|, in widefield units.
    rse
        Resolution-scaled error: the root mean square of it.
    rsp
        Resolution-scaled Pearson correlation: near 1 when the enhanced image explains the widefield image, 0 where one
        of them is constant.
    """

    error: Pixels
    rse: float
    rsp: float


def error_map(enhanced: Pixels, widefield: Pixels, factor: int) -> ErrorMap:
    """Blur an enhanced plane back to widefield and compare the two.

    Beside the Gaussian of SQUIRREL, which stands for light in focus, a second and wider one stands for haze: without
    it, the haze of a thick sample would count as error. Their widths and shares, and a constant background, are those
    that agree best.

    Parameters
    ----------
    enhanced
        (Y·factor, X·factor).
    widefield
        (Y, X).
    factor
        Enhanced pixels per widefield pixel.
    """
    gathered = averaged(np.asarray(enhanced, np.float32), factor)
    # Of the size of the constant that is fitted beside it: least squares would drop what is far smaller.
    gathered = gathered / (float(gathered.std()) or 1.0)

    # The widths are found in the middle of a large image, which is quick and enough.
    middle = tuple(
        slice((length - min(length, _FITTED)) // 2, (length + min(length, _FITTED)) // 2) for length in widefield.shape
    )
    part, target = gathered[middle], widefield[middle]

    def left(logarithms: Values) -> float:
        explained = _explained(part, target, logarithms)
        return float(np.mean((explained - target) ** 2)) / (float(np.var(target)) or 1.0)

    # There may be several valleys: one for the blur in focus, others for haze of many widths.
    begin = min((np.log(pair) for pair in product((0.7, 1.3, 2.5), (2.0, 5.0, 15.0))), key=left)
    best = minimize(left, begin, method="Nelder-Mead", options={"xatol": 0.05, "fatol": 1e-5, "maxfev": 60})
    image = _explained(gathered, widefield, best.x)
    error = np.abs(image - widefield)
    return ErrorMap(error, float(np.sqrt(np.mean(error**2))), correlation(image, widefield))


_WIDTHS = np.log(((0.2, 0.5), (8.0, 40.0)))  # widefield pixels: of the narrow Gaussian, and how much wider the other is
_FITTED = 512  # widefield pixels along a side


def _explained(gathered: Pixels, widefield: Pixels, logarithms: Values) -> Pixels:
    """Return what Gaussians of these widths make of an enhanced plane, as near as can be to `widefield`."""
    narrow, more = np.exp(np.clip(logarithms, *_WIDTHS))
    return _mixed(gaussian_filter(gathered, narrow), gaussian_filter(gathered, narrow + more), widefield)


def _mixed(focused: Pixels, hazy: Pixels, widefield: Pixels) -> Pixels:
    """Return the mixture of both, neither of them negative, and a background that is nearest to `widefield`."""
    columns = np.stack([focused.ravel(), hazy.ravel(), np.ones(focused.size, np.float32)], axis=1)
    # Three unknowns: the normal equations are exact enough, and quick.
    gram, target = columns.T @ columns.astype(np.float64), columns.T @ widefield.ravel().astype(np.float64)
    shares, *_ = np.linalg.lstsq(gram, target, rcond=None)
    if min(shares[:2]) < 0:
        return linear_fit(hazy if shares[0] < 0 else focused, widefield)
    return np.asarray((columns @ shares).reshape(widefield.shape), np.float32)
