"""Judging enhanced images with numbers: what they restore of a reference, and where they contradict their input.

Planes are (Y, X). Intensities are fitted linearly before they are compared, because enhancers do not promise units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ..base.errors import InputError
from ..images.patches import averaged

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values

_COMPARED = 200_000  # pixels at most for the rank correlation


def rank_correlation(one: Pixels, other: Pixels) -> float | None:
    """Return Spearman's rank correlation of some of the values of each, or None where those are all alike."""
    # It takes half a second to load, and only this needs it.
    from scipy.stats import spearmanr

    some = slice(None, None, -(-len(one) // _COMPARED))
    if np.ptp(one[some]) == 0 or np.ptp(other[some]) == 0:
        return None
    return float(spearmanr(one[some], other[some]).statistic)


_WINDOW = 1.5  # pixels, standard deviation of the Gaussian window of SSIM
_REACH = 5  # pixels, of that window to each side: 3.5 standard deviations
_LIGHT, _CONTRAST = 0.01, 0.03  # of the intensity range, which keep the quotients of SSIM finite
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, from fine to coarse


def linear_fit(image: Pixels, reference: Pixels) -> Pixels:
    """Return a·image + b nearest to `reference` in the least squares, with a ≥ 0: a negative is not the same image."""
    variance = float(np.var(image)) or 1.0
    slope = max(0.0, float(np.mean((image - image.mean()) * (reference - reference.mean()))) / variance)
    return np.asarray(slope * (image - image.mean()) + reference.mean(), np.float32)


def correlation(one: Pixels, other: Pixels) -> float:
    """Return Pearson's correlation of two planes; 0 where one of them is constant, for it tells nothing."""
    if not (np.ptp(one) > 0 and np.ptp(other) > 0):
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def image_similarity(enhanced: Pixels, reference: Pixels, blur: float = 2.0) -> dict[str, float]:
    """Compare an enhanced plane with the super-resolution image of the same field, after a linear intensity fit.

    Parameters
    ----------
    enhanced, reference
        (Y, X), at least 11 pixels along each side.
    blur
        Of the reference, for `correlation_blurred`, in pixels.

    Returns
    -------
    `correlation` (Pearson) with the reference as it is, `correlation_blurred` with the reference blurred by `blur`
    pixels, which takes out the randomness of single localizations, `psnr` in dB, `ssim` and `ms_ssim`. The last three
    are relative to the range of the reference.

    Raises
    ------
    InputError
        If the sizes differ or are too small, or the reference is constant.
    """
    span = float(reference.max() - reference.min())
    if not span > 0:
        raise InputError("The super-resolution image is constant: there is nothing to compare with.")
    fitted = linear_fit(enhanced, reference)
    # Relative to the range, so that units do not matter; 120 dB is the same image to rounding.
    error = max(float(np.mean(((fitted - reference) / span) ** 2)), 1e-12)
    blurred = gaussian_filter(reference, blur)
    return {
        "correlation": correlation(enhanced, reference),
        "correlation_blurred": correlation(enhanced, blurred),
        "psnr": float(-10 * np.log10(error)),
        "ssim": ssim(fitted, reference, span),
        "ms_ssim": ms_ssim(fitted, reference, span),
    }


def ssim(image: Pixels, reference: Pixels, span: float) -> float:
    """Return the structural similarity of two planes: 1 where they are the same.

    Wang et al., IEEE Transactions on Image Processing 13, 600 (2004), with their constants and their Gaussian window
    of 1.5 pixels; the border that the window reaches beyond is left out.

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
    """Return the structural similarity of two planes over several scales: 1 where they are the same.

    Wang, Simoncelli and Bovik, Asilomar Conference on Signals, Systems and Computers (2003): contrast and structure at
    every scale, each half as fine as the one before, and brightness at the coarsest, multiplied with their weights.

    Parameters
    ----------
    image, reference
        (Y, X), at least 11 pixels along each side. All 5 scales need 176 pixels; of smaller images the scales that fit
        are taken, and their weights made to sum to 1.
    span
        The range of possible intensities, in their units.
    scales
        How many scales to take at most, 1 to 5.

    Raises
    ------
    InputError
        If the sizes differ or are too small, or there is no such number of scales.
    """
    _check_sizes(image, reference)
    if not 1 <= scales <= len(_SCALE_WEIGHTS):
        raise ValueError(f"scales must be between 1 and {len(_SCALE_WEIGHTS)}, not {scales}.")
    weights = _SCALE_WEIGHTS[: min(scales, (min(image.shape) // (2 * _REACH + 1)).bit_length())]
    if len(weights) < len(_SCALE_WEIGHTS):
        weights = tuple(weight / sum(weights) for weight in weights)
    one, other = np.asarray(image, np.float64), np.asarray(reference, np.float64)
    product = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            one, other = averaged(one, 2), averaged(other, 2)
        whole, structure = _similarity(one, other, span)
        # A negative similarity has no power with a fraction: it counts as none.
        product *= max(whole if scale == len(weights) - 1 else structure, 0.0) ** weight
    return product


def _similarity(one: Values, other: Values, span: float) -> tuple[float, float]:
    """Return the mean SSIM, and the mean of its part that is contrast and structure."""
    # Where everything is constant, the quotients are 1.
    light, contrast = ((share * span) ** 2 + 1e-30 for share in (_LIGHT, _CONTRAST))
    mean, mean_other = _windowed(one), _windowed(other)
    variances = _windowed(one**2) - mean**2 + _windowed(other**2) - mean_other**2
    structure = (2 * (_windowed(one * other) - mean * mean_other) + contrast) / (variances + contrast)
    brightness = (2 * mean * mean_other + light) / (mean**2 + mean_other**2 + light)
    inner = (slice(_REACH, -_REACH),) * 2
    return float((brightness * structure)[inner].mean()), float(structure[inner].mean())


def _windowed(values: Values) -> Values:
    means: Values = gaussian_filter(values, _WINDOW, radius=_REACH)
    return means


def _check_sizes(image: Pixels, reference: Pixels) -> None:
    if image.shape != reference.shape:
        raise InputError(f"The images are {image.shape} and {reference.shape} pixels: they must show the same field.")
    if min(image.shape) <= 2 * _REACH:
        raise InputError(f"Images of {image.shape} pixels are too small: {2 * _REACH + 1} along each side are needed.")
