"""The resolution of images: Fourier ring correlation and decorrelation analysis.

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
_MAX_PLANES = 64  # of the median resolution of many planes
_MIN_PERIODS = 10  # of the finest detail along a side: with fewer, the resolution may be found too fine
SMALLEST = 32  # pixels along a side; smaller images have too few rings
_FIRST_RING = 3  # the inner rings have few points, and may correlate by chance
_MIN_PEAK = 0.5  # correlation that the curve must reach below the resolution


@dataclass(frozen=True)
class Resolution:
    """The resolution of an image, and the curve it was read from.

    Parameters
    ----------
    resolution
        Period of the finest detail in nm; None if the curve does not determine it.
    frequencies
        (K,) in cycles per nm, from 0 to half a cycle per pixel.
    curve
        (K,) correlation at those frequencies.
    warning
        A message that explains why there is no resolution, or why it is unreliable; None otherwise.
    """

    resolution: float | None
    frequencies: Values
    curve: Values
    warning: str | None = None


def fourier_ring_correlation(
    first: Pixels, second: Pixels, pixel_size: float, threshold: float = ONE_SEVENTH
) -> Resolution:
    """Measure the resolution up to which two images of the same field, with independent noise, agree.

    The curve is the correlation of the two spectra in rings of equal frequency (Nieuwenhuizen et al., Nature Methods
    10, 557 (2013)). The resolution is the period at which the curve first falls below the threshold. At 1/7, the mean
    of both images correlates with the true image by 0.5 (Rosenthal and Henderson, Journal of Molecular Biology 333,
    721 (2003)). The borders of the images are faded out, and the curve is smoothed over a few rings.

    Parameters
    ----------
    first, second
        (Y, X) images of equal size, at least 32 pixels along each side. Anything that both share, such as a fixed
        pattern of the camera, counts as detail.
    pixel_size
        In nm.
    threshold
        1/7 for two images with independent noise, 1/2 for an image and its reference without noise.

    Returns
    -------
    Resolution, accurate to about 5 % for images of 256 pixels and 10 % for 128. It is None if the curve never falls
    below the threshold, or is never clearly above it.

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
    spectrum_1, spectrum_2 = _spectrum(first), _spectrum(second)
    rings = _Rings(first.shape)
    power = rings.sums(np.abs(spectrum_1) ** 2) * rings.sums(np.abs(spectrum_2) ** 2)
    raw = rings.sums(np.real(spectrum_1 * np.conj(spectrum_2))) / np.sqrt(np.maximum(power, 1e-300))
    curve = _smoothed(raw, rings.counts)
    frequencies = rings.frequencies / pixel_size
    crossing = _first_below(curve, threshold)
    if crossing is None:
        warning = (
            f"The images agree up to the finest detail of pixels of {pixel_size:g} nm: the resolution is "
            f"{2 * pixel_size:g} nm or better, or the images are not independent."
        )
        return Resolution(None, frequencies, curve, warning)
    if crossing < _FIRST_RING or curve[: math.ceil(crossing)].max() < _MIN_PEAK:
        warning = "The images have hardly more in common than noise: the resolution cannot be determined."
        return Resolution(None, frequencies, curve, warning)
    cutoff = float(np.interp(crossing, np.arange(len(curve)), frequencies))
    return Resolution(1 / cutoff, frequencies, curve)


def single_image_frc(counts: Pixels, pixel_size: float, seed: int = 0) -> Resolution:
    """Measure the resolution of one image of photon counts or localization counts.

    Every count is assigned to one of two images at random (Rieger et al., Optics Express 32, 21767 (2024)). The two
    images are independent if the counts have a Poisson distribution, and `fourier_ring_correlation` compares them.

    Parameters
    ----------
    counts
        (Y, X) whole numbers of at least 0, without camera offset and gain.
    pixel_size
        In nm.
    seed
        Seed of the random assignment.

    Returns
    -------
    Resolution, with a `warning` if the pixels are not counts. The noise power of counts equals their sum at all
    frequencies (Heintzmann et al., arXiv:1611.05654): beyond the finest detail the two images have a correlation of 0.
    Fractions are rounded, and negative pixels are replaced by 0.

    Raises
    ------
    InputError
        As for `fourier_ring_correlation`, or if no pixel is at least 1.
    """
    _check(counts, pixel_size)
    whole = np.maximum(np.rint(counts), 0).astype(np.int64)
    if not whole.any():
        raise InputError("The image has no pixel of 1 or more: give an image of counts.")
    half = np.random.default_rng(seed).binomial(whole, 0.5)
    resolution = fourier_ring_correlation(half.astype(np.float32), (whole - half).astype(np.float32), pixel_size)
    return replace(resolution, warning=_not_counts(counts, whole) or resolution.warning)


_FULL_SCALE = (255, 1023, 4095, 16383, 65535)  # the largest values of 8 to 16 bits
_UNCORRELATED = 0.1  # largest |correlation| of the halves of counts beyond the finest detail


def _not_counts(pixels: Pixels, whole: npt.NDArray[np.int64]) -> str | None:
    """Return a message that explains why the pixels are not Poisson counts, or None if they are."""
    doubt = "so the resolution from splitting the counts is unreliable"
    if not np.array_equal(pixels, whole):
        return f"Some pixels are negative or not whole numbers, {doubt}."
    top = int(whole.max())
    if top in _FULL_SCALE and np.mean(whole == top) > 1e-4:
        return f"Pixels are clipped at {top}, as in images stretched for display, {doubt}."
    # The expectation value of the correlation of the halves is (P - ΣN) / (P + ΣN), with power P and counts N.
    window = _window(whole.shape)
    power = np.abs(_spectrum(whole.astype(np.float32))) ** 2
    fine = _radius(whole.shape) > 0.45
    noise = float((window**2 * whole).sum())
    correlation = (float(power[fine].mean()) - noise) / (float(power[fine].mean()) + noise)
    if correlation < -_UNCORRELATED:
        return (
            "The pixels have less noise than counts of this brightness: they were smoothed, scaled down or have an "
            f"offset, {doubt}."
        )
    if correlation > _UNCORRELATED:
        return (
            "The pixels have more noise than counts of this brightness: they were scaled up, count molecules "
            f"repeatedly or are too coarse for the structure, {doubt}."
        )
    return None


_HIGH_PASSES = 40
_MIN_SIGMA = 0.15  # pixels, of the narrowest high-pass filter
_MIN_HEIGHT = 0.05  # of a peak
_MIN_FALL = 1e-3  # by which the curve must fall after a peak


def decorrelation_analysis(image: Pixels, pixel_size: float) -> Resolution:
    """Measure the resolution of one image by decorrelation analysis.

    The curve is the correlation of the spectrum with its normalized spectrum (amplitudes of 1), within a circle of
    growing radius. It has a peak at the frequency at which noise begins to dominate. Each of 40 high-pass filters gives
    another curve, and the highest peak frequency is the resolution (Descloux, Grußmayer and Radenovic, Nature Methods
    16, 918 (2019)). The amplitudes are summed in narrow rings once, and the filters are applied to the rings.

    Parameters
    ----------
    image
        (Y, X) image, at least 32 pixels along each side.
    pixel_size
        In nm.

    Returns
    -------
    Resolution, with the curve of the highest peak frequency; None if no curve has a peak.

    * The error is about 15 %.
    * The result is about 10 % above the period at which the transfer function of a microscope ends.
    * Detail as fine as the pixels has no peak: the result, if any, is then the scale of a coarser structure.
    * If the side of the image is less than ten periods, the result may be up to three times too fine. A warning
      reports this.

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
        passed = np.ones_like(sums) if sigma is None else 1 - np.exp(-2 * (np.pi * sigma * rings.frequencies) ** 2)
        correlation: Values = np.cumsum(passed * sums) / np.sqrt(
            np.maximum((passed**2 * powers).sum() * np.cumsum(rings.counts), 1e-300)
        )
        return correlation

    plain = curve(None)
    first = _peak(plain)
    widest = 1 / rings.frequencies[first] if first else min(image.shape) / 2
    sigmas = np.geomspace(max(widest, 2 * _MIN_SIGMA), _MIN_SIGMA, _HIGH_PASSES)
    curves = [plain, *(curve(float(sigma)) for sigma in sigmas)]
    peaks = [_peak(filtered) for filtered in curves]
    best = int(np.argmax([0 if peak is None else peak for peak in peaks]))
    ring = peaks[best]
    if ring is None:
        warning = "No frequency stands out: the image is only noise, or its detail is as fine as its pixels."
        return Resolution(None, frequencies, plain, warning)
    too_small = min(image.shape) * float(rings.frequencies[ring]) < _MIN_PERIODS
    warning = "The image is too small for its detail, which may be coarser than this resolution: give a larger image."
    return Resolution(1 / float(frequencies[ring]), frequencies, curves[best], warning if too_small else None)


def _peak(curve: Values) -> int | None:
    """Return the index of the last peak of a curve (K,), or None if there is none."""
    below = np.flatnonzero(np.maximum.accumulate(curve) - curve > _MIN_FALL)
    if not len(below):
        return None
    index = int(curve[: below[-1]].argmax())
    return index if index > 0 and curve[index] >= _MIN_HEIGHT else None


class _Rings:
    """Rings of equal frequency; their width is one step of the shorter side's spectrum, divided by `fineness`."""

    def __init__(self, shape: tuple[int, ...], fineness: int = 1) -> None:
        self._number = min(shape) // 2 * fineness
        self._ring = np.minimum((_radius(shape) * 2 * self._number + 0.5).astype(int), self._number).ravel()
        self.counts = self.sums(np.ones(shape))
        self.frequencies: Values = np.arange(self._number) / (2 * self._number)

    def sums(self, values: Values) -> Values:
        """Return the sum of `values` (Y, X) in each ring, without the corners beyond half a cycle per pixel."""
        return np.asarray(np.bincount(self._ring, values.ravel(), self._number + 1)[: self._number], np.float64)


def _radius(shape: tuple[int, ...]) -> Values:
    """Return the frequency (Y, X) of every point of a spectrum, in cycles per pixel."""
    radius: Values = np.hypot(np.fft.fftfreq(shape[0])[:, np.newaxis], np.fft.fftfreq(shape[1])[np.newaxis, :])
    return radius


def _window(shape: tuple[int, ...]) -> Values:
    """Return Tukey's window (Y, X): 1 in the middle, with borders of an eighth that fall to 0 as a cosine."""
    rows, columns = (
        0.5 - 0.5 * np.cos(np.pi * np.clip(8 * np.minimum(position := (np.arange(n) + 0.5) / n, 1 - position), 0, 1))
        for n in shape
    )
    return np.outer(rows, columns)


def _spectrum(image: Pixels) -> npt.NDArray[np.complex128]:
    """Return the Fourier transform of an image after its mean is subtracted and its borders are faded out."""
    window = _window(image.shape)
    mean = float((window * image).sum() / window.sum())
    return np.fft.fft2((np.asarray(image, np.float64) - mean) * window)


def _smoothed(curve: Values, weights: Values) -> Values:
    """Average a curve (K,) over neighbouring rings; the width grows with the number of rings."""
    width = max(len(curve) / 64, 1.0)
    smooth: Values = gaussian_filter1d(curve * weights, width) / gaussian_filter1d(weights, width)
    return smooth


def _first_below(curve: Values, threshold: float) -> float | None:
    """Return the interpolated index at which the curve first falls below `threshold`, or None if it never does."""
    below = np.flatnonzero(curve < threshold)
    if not len(below):
        return None
    index = int(below[0])
    if index == 0:
        return 0.0
    above = float(curve[index - 1])
    return index - 1 + (above - threshold) / (above - float(curve[index]))


def _check(image: Pixels, pixel_size: float) -> None:
    if not pixel_size > 0:
        raise InputError(f"The pixel size must be positive, in nm, not {pixel_size}.")
    if image.ndim != 2 or min(image.shape) < SMALLEST:
        raise InputError(f"The image must be a plane of at least {SMALLEST} × {SMALLEST} pixels, not {image.shape}.")
    if not np.isfinite(image).all():
        raise InputError("The image has pixels that are not finite: replace them.")
    if image.min() == image.max():
        raise InputError("All pixels are the same: give an image that shows a structure.")


def typical_resolution(planes: Pixels, pixel_size: float) -> float | None:
    """Return the median resolution in nm of planes (N, Y, X) by decorrelation analysis.

    It is None if less than half of the planes have a reliable resolution, or if the planes are too small.
    """
    if min(planes.shape[1:]) < SMALLEST:
        return None
    subset = planes[np.linspace(0, len(planes) - 1, min(len(planes), _MAX_PLANES)).round().astype(int)]
    results = [decorrelation_analysis(plane, pixel_size) for plane in subset if np.ptp(plane) > 0]
    reliable = [result.resolution for result in results if result.resolution is not None and not result.warning]
    return float(np.median(reliable)) if reliable and 2 * len(reliable) >= len(subset) else None
