"""Judging enhanced images with numbers: what they restore of a reference, and where they contradict their input.

Planes are (Y, X). Intensities are fitted linearly before they are compared, because enhancers do not promise units.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize

from .patches import averaged

Pixels = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

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


def restoration(enhanced: Pixels, reference: Pixels, blur: float = 2.0) -> dict[str, float]:
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
    ValueError
        If the sizes differ or are too small, or the reference is constant.
    """
    span = float(reference.max() - reference.min())
    if not span > 0:
        raise ValueError("The super-resolution image is constant: there is nothing to compare with.")
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
    ValueError
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
    ValueError
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
        raise ValueError(f"The images are {image.shape} and {reference.shape} pixels: they must show the same field.")
    if min(image.shape) <= 2 * _REACH:
        raise ValueError(f"Images of {image.shape} pixels are too small: {2 * _REACH + 1} along each side are needed.")


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
