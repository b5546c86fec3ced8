"""Similarity of an enhanced image to its reference image: correlation, PSNR, SSIM and MS-SSIM.

Planes are (Y, X). The intensities are fitted linearly before the comparison, because enhanced images have no units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ..base.errors import InputError
from ..images.patches import averaged

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values

_MAX_VALUES = 200_000  # of the rank correlation
_WINDOW = 1.5  # pixels, standard deviation of the Gaussian window of SSIM
_REACH = 5  # pixels from the middle of that window to its border: 3.5 standard deviations, rounded
_LIGHT, _CONTRAST = 0.01, 0.03  # stabilizing constants of SSIM, relative to the intensity range
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of MS-SSIM, from fine to coarse


def rank_correlation(first: Pixels, second: Pixels) -> float | None:
    """Return Spearman's rank correlation of two arrays (N,), or None if one of them is constant.

    At most 200 000 evenly spaced values are used.
    """
    # The import takes half a second, and only this function needs it.
    from scipy.stats import spearmanr

    every = slice(None, None, -(-len(first) // _MAX_VALUES))
    if np.ptp(first[every]) == 0 or np.ptp(second[every]) == 0:
        return None
    return float(spearmanr(first[every], second[every]).statistic)


def linear_fit(image: Pixels, reference: Pixels) -> Pixels:
    """Return a·image + b with the least squares distance to `reference`.

    a is at least 0, because an inverted image is a different image.
    """
    variance = float(np.var(image)) or 1.0
    slope = max(0.0, float(np.mean((image - image.mean()) * (reference - reference.mean()))) / variance)
    return np.asarray(slope * (image - image.mean()) + reference.mean(), np.float32)


def correlation(first: Pixels, second: Pixels) -> float:
    """Return Pearson's correlation of two planes, or 0 if one of them is constant."""
    if not (np.ptp(first) > 0 and np.ptp(second) > 0):
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


@dataclass(frozen=True)
class Similarity:
    """How alike an enhanced plane and its reference are, after a linear intensity fit.

    Parameters
    ----------
    correlation
        Pearson's correlation with the reference.
    correlation_blurred
        The same with the blurred reference, in which single localizations average out.
    psnr
        Peak signal-to-noise ratio in dB, relative to the range of the reference.
    ssim, ms_ssim
        Structural similarity, of one and of several scales, relative to the range of the reference.
    """

    correlation: float
    correlation_blurred: float
    psnr: float
    ssim: float
    ms_ssim: float


def image_similarity(enhanced: Pixels, reference: Pixels, blur: float = 2.0) -> Similarity:
    """Compare an enhanced plane with the reference image of the same field, after a linear intensity fit.

    Parameters
    ----------
    enhanced, reference
        (Y, X), at least 11 pixels along each side.
    blur
        Standard deviation in pixels of the Gaussian that blurs the reference for `correlation_blurred`.

    Raises
    ------
    InputError
        If the sizes differ or are too small, or the reference is constant.
    """
    span = float(reference.max() - reference.min())
    if not span > 0:
        raise InputError("The reference image is constant: give one that shows a structure.")
    fitted = linear_fit(enhanced, reference)
    # The error is relative to the range, so that units do not matter. 120 dB is equality within rounding.
    error = max(float(np.mean(((fitted - reference) / span) ** 2)), 1e-12)
    blurred = gaussian_filter(reference, blur)
    return Similarity(
        correlation=correlation(enhanced, reference),
        correlation_blurred=correlation(enhanced, blurred),
        psnr=float(-10 * np.log10(error)),
        ssim=ssim(fitted, reference, span),
        ms_ssim=ms_ssim(fitted, reference, span),
    )


def ssim(image: Pixels, reference: Pixels, span: float) -> float:
    """Return the structural similarity (SSIM) of two planes: 1 for equal planes.

    Wang et al., IEEE Transactions on Image Processing 13, 600 (2004), with their constants and their Gaussian window
    of 1.5 pixels. A border of 5 pixels, where the window extends beyond the image, is left out.

    Parameters
    ----------
    image, reference
        (Y, X), at least 11 pixels along each side.
    span
        The range of possible intensities, in their units.

    Raises
    ------
    InputError
        If the sizes differ or are too small.
    """
    _check_sizes(image, reference)
    return _similarity(np.asarray(image, np.float64), np.asarray(reference, np.float64), span)[0]


def ms_ssim(image: Pixels, reference: Pixels, span: float, scales: int = len(_SCALE_WEIGHTS)) -> float:
    """Return the multi-scale structural similarity (MS-SSIM) of two planes: 1 for equal planes.

    Wang, Simoncelli and Bovik, Asilomar Conference on Signals, Systems and Computers (2003): the weighted product of
    contrast and structure at every scale and of brightness at the coarsest. Each scale halves the resolution.

    Parameters
    ----------
    image, reference
        (Y, X), at least 11 pixels along each side. All 5 scales need 176 pixels. Smaller images use the scales that
        fit, with weights normalized to a sum of 1.
    span
        The range of possible intensities, in their units.
    scales
        Largest number of scales, 1 to 5.

    Raises
    ------
    InputError
        If the sizes differ or are too small.
    ValueError
        If `scales` is out of range.
    """
    _check_sizes(image, reference)
    if not 1 <= scales <= len(_SCALE_WEIGHTS):
        raise ValueError(f"scales must be between 1 and {len(_SCALE_WEIGHTS)}, not {scales}.")
    weights = _SCALE_WEIGHTS[: min(scales, (min(image.shape) // (2 * _REACH + 1)).bit_length())]
    if len(weights) < len(_SCALE_WEIGHTS):
        weights = tuple(weight / sum(weights) for weight in weights)
    first, second = np.asarray(image, np.float64), np.asarray(reference, np.float64)
    product = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            first, second = averaged(first, 2), averaged(second, 2)
        similarity, structure = _similarity(first, second, span)
        # A negative number has no real fractional power: it is replaced by 0.
        product *= max(similarity if scale == len(weights) - 1 else structure, 0.0) ** weight
    return product


def _similarity(first: Values, second: Values, span: float) -> tuple[float, float]:
    """Return the mean SSIM, and the mean of its factor for contrast and structure."""
    # The added 1e-30 makes the quotients 1 if everything is constant.
    light, contrast = ((share * span) ** 2 + 1e-30 for share in (_LIGHT, _CONTRAST))
    mean_1, mean_2 = _windowed(first), _windowed(second)
    variances = _windowed(first**2) - mean_1**2 + _windowed(second**2) - mean_2**2
    structure = (2 * (_windowed(first * second) - mean_1 * mean_2) + contrast) / (variances + contrast)
    brightness = (2 * mean_1 * mean_2 + light) / (mean_1**2 + mean_2**2 + light)
    inner = (slice(_REACH, -_REACH),) * 2
    return float((brightness * structure)[inner].mean()), float(structure[inner].mean())


def _windowed(values: Values) -> Values:
    means: Values = gaussian_filter(values, _WINDOW, radius=_REACH)
    return means


def _check_sizes(image: Pixels, reference: Pixels) -> None:
    if image.shape != reference.shape:
        raise InputError(f"The images are {image.shape} and {reference.shape} pixels: they must show the same field.")
    if min(image.shape) <= 2 * _REACH:
        raise InputError(f"The images must have at least {2 * _REACH + 1} pixels along each side, not {image.shape}.")
