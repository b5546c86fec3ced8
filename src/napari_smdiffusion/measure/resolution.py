"""What resolution an image has: Fourier ring correlation and decorrelation analysis.

Images are (Y, X) in any units, pixel sizes and resolutions in nm, frequencies in cycles per nm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from ..base.errors import InputError

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values

ONE_SEVENTH, HALF = 1 / 7, 1 / 2  # thresholds of the Fourier ring correlation
_ANALYSED = 64  # planes of many that stand for all
_PERIODS = 10  # of the finest detail along a side: of fewer it is found too fine
SMALLEST = 32  # pixels along a side: below that the rings are too few to tell anything
# The innermost rings have few points, and agree by chance now and then.
_FIRST_RING = 3
_AGREEING = 0.5


@dataclass(frozen=True)
class Resolution:
    """The resolution of an image, and the curve it was read from.

    Parameters
    ----------
    resolution
        In nm, the period of the finest detail; None where the curve does not tell it.
    frequencies
        (K,) in cycles per nm, from 0 to half a cycle per pixel.
    curve
        (K,) correlation at those frequencies.
    warning
        A sentence that says why there is no resolution, or why it should not be believed; None where all is well.
    """

    resolution: float | None
    frequencies: Values
    curve: Values
    warning: str | None = None


def fourier_ring_correlation(
    first: Pixels, second: Pixels, pixel_size: float, threshold: float = ONE_SEVENTH
) -> Resolution:
    """Find the resolution up to which two images of the same thing, with independent noise, agree.

    The correlation of their spectra in rings of equal frequency, as applied to super-resolution images by Nieuwenhuizen
    et al., Nature Methods 10, 557 (2013). The resolution is where the curve first falls below 1/7, at which the mean
    of both images correlates with the truth by one half (Rosenthal and Henderson, Journal of Molecular Biology 333, 721
    (2003)): of an image and the truth the same is asked by one half. Borders are faded out first, and the curve is
    smoothed over a few rings.

    Parameters
    ----------
    first, second
        (Y, X) of the same size, at least 32 pixels along each side. What made both, such as a fixed pattern of the
        camera, counts as detail.
    pixel_size
        In nm.
    threshold
        1/7 for two images with noise of their own, 1/2 for an image and what it should be.

    Returns
    -------
    Resolution, unknown where the curve stays above this to the end, or where it is never clearly above. It is within
    about 5 % for images of 256 pixels and 10 % for 128.

    Raises
    ------
    InputError
        If the sizes differ or are too small, a pixel is not finite, an image is constant, or the pixel size is not
        positive.
    """
    _check(first, pixel_size)
    _check(second, pixel_size)
    if first.shape != second.shape:
        raise InputError(f"The images are {first.shape} and {second.shape} pixels: they must show the same field.")
    one, other = _spectrum(first), _spectrum(second)
    rings = _Rings(first.shape)
    power = rings.sums(np.abs(one) ** 2) * rings.sums(np.abs(other) ** 2)
    raw = rings.sums(np.real(one * np.conj(other))) / np.sqrt(np.maximum(power, 1e-300))
    curve = _smoothed(raw, rings.counts)
    frequencies = rings.frequencies / pixel_size
    place = _first_below(curve, threshold)
    if place is None:
        warning = (
            f"The images agree up to the finest detail that pixels of {pixel_size:g} nm can hold, so the resolution is "
            f"{2 * pixel_size:g} nm or better, or the images are not independent of each other."
        )
        return Resolution(None, frequencies, curve, warning)
    if place < _FIRST_RING or curve[: math.ceil(place)].max() < _AGREEING:
        warning = "The images have hardly more in common than noise would: no resolution can be told."
        return Resolution(None, frequencies, curve, warning)
    return Resolution(1 / float(np.interp(place, np.arange(len(curve)), frequencies)), frequencies, curve)


def single_image_frc(counts: Pixels, pixel_size: float, seed: int = 0) -> Resolution:
    """Find the resolution of one image of counted photons or localizations.

    Every count is given to one of two images by the toss of a coin, which makes them independent if the counts follow
    Poisson's law, and the two are compared by `fourier_ring_correlation` (Rieger et al., Optics Express 32, 21767
    (2024)).

    Parameters
    ----------
    counts
        (Y, X), whole numbers from 0, without camera offset and gain.
    pixel_size
        In nm.
    seed
        Of the coins.

    Returns
    -------
    Resolution, with a `warning` where the pixels are not counts. Those are known by their noise: its power is the
    same at all frequencies, namely the sum of the counts (Heintzmann et al., arXiv:1611.05654), so that beyond the
    finest detail the two images correlate by 0. Pixels that are not whole numbers from 0 on are rounded.

    Raises
    ------
    InputError
        As `fourier_ring_correlation` does.
    """
    _check(counts, pixel_size)
    whole = np.maximum(np.rint(counts), 0).astype(np.int64)
    if not whole.any():
        raise InputError("The image has no pixel of 1 or more: it does not hold counts.")
    half = np.random.default_rng(seed).binomial(whole, 0.5)
    found = fourier_ring_correlation(half.astype(np.float32), (whole - half).astype(np.float32), pixel_size)
    return replace(found, warning=_not_counts(counts, whole) or found.warning)


_FULL = (255, 1023, 4095, 16383, 65535)  # the largest values of 8 to 16 bits
_UNRELATED = 0.1  # how far from 0 the halves of counts may correlate where there is no detail


def _not_counts(pixels: Pixels, whole: npt.NDArray[np.int64]) -> str | None:
    """Say why pixels are not counts of Poisson's law, or None."""
    doubt = "so the resolution by splitting them should not be believed"
    if not np.array_equal(pixels, whole):
        return f"The pixels are not whole numbers from 0 on, {doubt}."
    top = int(whole.max())
    if top in _FULL and np.mean(whole == top) > 1e-4:
        return f"Pixels are clipped at {top}, as in pictures stretched for display, {doubt}."
    # The expected correlation of the halves, without the randomness of the coins: (P - ΣN) / (P + ΣN).
    window = _window(whole.shape)
    power = np.abs(_spectrum(whole.astype(np.float32))) ** 2
    fine = _radius(whole.shape) > 0.45
    noise = float((window**2 * whole).sum())
    correlation = (float(power[fine].mean()) - noise) / (float(power[fine].mean()) + noise)
    if correlation < -_UNRELATED:
        return (
            "The pixels have less noise than counts of their brightness: they were smoothed, scaled down, or have an "
            f"offset, {doubt}."
        )
    if correlation > _UNRELATED:
        return (
            "The pixels have more noise than counts of their brightness, down to the finest detail: they were scaled "
            f"up, stem from molecules that were counted repeatedly, or are too coarse for the structure, {doubt}."
        )
    return None


_HIGH_PASSES = 40
_SHARPEST = 0.15  # pixels, of the narrowest Gaussian that is taken away
_CONTRAST = 0.05  # a lower peak is none
_FALL = 1e-3  # by which a curve must fall behind a peak


def decorrelation_analysis(image: Pixels, pixel_size: float) -> Resolution:
    """Find the resolution of one image from the frequencies at which its spectrum stands out from its phases alone.

    The correlation of the image's spectrum with the same spectrum of equal amplitudes, within a circle of growing
    radius, peaks where noise begins to prevail. It is repeated with coarse detail taken away more and more; the
    highest peak frequency is the resolution (Descloux, Grußmayer and Radenovic, Nature Methods 16, 918 (2019)).
    Amplitudes are summed in narrow rings once, and the filters, which are round, are applied to the rings.

    Parameters
    ----------
    image
        (Y, X), at least 32 pixels along each side.
    pixel_size
        In nm.

    Returns
    -------
    Resolution, with the curve of the filter that showed the highest frequency; unknown where no curve has a peak. Its
    error is about 15 %, and it lies about 10 % above the period at which a microscope's transfer function ends. Detail
    as fine as the pixels makes no peak: what is then found, if anything, is the scale of some coarser structure. Of an
    image whose side is less than ten such periods it may be found too fine, up to three times: a warning says so.

    Raises
    ------
    InputError
        If the image is too small or constant, a pixel is not finite, or the pixel size is not positive.
    """
    _check(image, pixel_size)
    rings = _Rings(image.shape, fineness=2)
    amplitude = np.abs(_spectrum(image))
    sums, powers = rings.sums(amplitude), rings.sums(amplitude**2)
    frequencies = rings.frequencies / pixel_size

    def curve(sigma: float | None) -> Values:
        kept = np.ones_like(sums) if sigma is None else 1 - np.exp(-2 * (np.pi * sigma * rings.frequencies) ** 2)
        inside: Values = np.cumsum(kept * sums) / np.sqrt(
            np.maximum((kept**2 * powers).sum() * np.cumsum(rings.counts), 1e-300)
        )
        return inside

    plain = curve(None)
    first = _peak(plain)
    widest = 1 / rings.frequencies[first] if first else min(image.shape) / 2
    curves = [plain, *(curve(float(s)) for s in np.geomspace(max(widest, 2 * _SHARPEST), _SHARPEST, _HIGH_PASSES))]
    peaks = [_peak(one) for one in curves]
    best = int(np.argmax([0 if peak is None else peak for peak in peaks]))
    place = peaks[best]
    if place is None:
        warning = "No frequency stands out: the image is all noise, or its detail is as fine as its pixels."
        return Resolution(None, frequencies, plain, warning)
    few = min(image.shape) * float(rings.frequencies[place]) < _PERIODS
    warning = "The image is too small for its detail, which may be coarser than what was found: give a larger one."
    return Resolution(1 / float(frequencies[place]), frequencies, curves[best], warning if few else None)


def _peak(curve: Values) -> int | None:
    """Return the place of the last peak that the curve falls from, or None."""
    below = np.flatnonzero(np.maximum.accumulate(curve) - curve > _FALL)
    if not len(below):
        return None
    place = int(curve[: below[-1]].argmax())
    return place if place > 0 and curve[place] >= _CONTRAST else None


class _Rings:
    """Rings of equal frequency, as wide as one step of the shorter side's spectrum, or `fineness` times narrower."""

    def __init__(self, shape: tuple[int, ...], fineness: int = 1) -> None:
        self._number = min(shape) // 2 * fineness
        self._ring = np.minimum((_radius(shape) * 2 * self._number + 0.5).astype(int), self._number).ravel()
        self.counts = self.sums(np.ones(shape))
        self.frequencies: Values = np.arange(self._number) / (2 * self._number)

    def sums(self, values: Values) -> Values:
        """Return the sum of `values` (Y, X) in each ring; the corners beyond half a cycle per pixel are left out."""
        return np.asarray(np.bincount(self._ring, values.ravel(), self._number + 1)[: self._number], np.float64)


def _radius(shape: tuple[int, ...]) -> Values:
    """Return the frequency of every point of a spectrum in cycles per pixel."""
    radius: Values = np.hypot(np.fft.fftfreq(shape[0])[:, np.newaxis], np.fft.fftfreq(shape[1])[np.newaxis, :])
    return radius


def _window(shape: tuple[int, ...]) -> Values:
    """Return 1 with borders of an eighth that fade to 0 as a cosine (Tukey's window)."""
    rows, columns = (
        0.5 - 0.5 * np.cos(np.pi * np.clip(8 * np.minimum(place := (np.arange(n) + 0.5) / n, 1 - place), 0, 1))
        for n in shape
    )
    return np.outer(rows, columns)


def _spectrum(image: Pixels) -> npt.NDArray[np.complex128]:
    """Return the Fourier transform of an image without its mean and borders, which would show as detail."""
    window = _window(image.shape)
    mean = float((window * image).sum() / window.sum())
    return np.fft.fft2((np.asarray(image, np.float64) - mean) * window)


def _smoothed(curve: Values, weights: Values) -> Values:
    """Average over neighbours, more of them where there are more rings."""
    width = max(len(curve) / 64, 1.0)
    smooth: Values = gaussian_filter1d(curve * weights, width) / gaussian_filter1d(weights, width)
    return smooth


def _first_below(curve: Values, threshold: float) -> float | None:
    """Return the place, between points, where the curve first falls below `threshold`; None where it never does."""
    below = np.flatnonzero(curve < threshold)
    if not len(below):
        return None
    place = int(below[0])
    if place == 0:
        return 0.0
    above = float(curve[place - 1])
    return place - 1 + (above - threshold) / (above - float(curve[place]))


def _check(image: Pixels, pixel_size: float) -> None:
    if not pixel_size > 0:
        raise InputError(f"The pixel size must be positive, in nm, not {pixel_size}.")
    if image.ndim != 2 or min(image.shape) < SMALLEST:
        raise InputError(f"A plane of at least {SMALLEST} × {SMALLEST} pixels is needed, not {image.shape}.")
    if not np.isfinite(image).all():
        raise InputError("The image holds pixels that are not finite.")
    if image.min() == image.max():
        raise InputError("All pixels are the same: there is nothing to resolve.")


def typical_resolution(planes: Pixels, pixel_size: float) -> float | None:
    """Return the median resolution in nm of the planes that have one, by decorrelation analysis.

    None where fewer than half of them have one, or where they are too small to tell.
    """
    if min(planes.shape[1:]) < SMALLEST:
        return None
    some = planes[np.linspace(0, len(planes) - 1, min(len(planes), _ANALYSED)).round().astype(int)]
    found = [decorrelation_analysis(plane, pixel_size) for plane in some if np.ptp(plane) > 0]
    known = [one.resolution for one in found if one.resolution is not None and not one.warning]
    return float(np.median(known)) if known and 2 * len(known) >= len(some) else None
