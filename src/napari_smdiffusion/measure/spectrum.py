"""Power spectra and intensity histograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values

_BINS = 79  # number of bins of the intensity histogram


def radial_spectrum(patch: Pixels, rings: int) -> Values:
    """Return the mean power (rings,) of a patch (Y, X) in rings of equal width, from frequency 0 to Nyquist."""
    window = np.hanning(patch.shape[0])[:, None] * np.hanning(patch.shape[1])[None, :]
    power = np.abs(np.fft.fft2((patch - patch.mean()) * window)) ** 2 / window.sum()
    fy, fx = np.fft.fftfreq(patch.shape[0])[:, None], np.fft.fftfreq(patch.shape[1])[None, :]
    ring = np.minimum((np.hypot(fy, fx) / 0.5 * rings).astype(int), rings)
    sums = np.bincount(ring.ravel(), power.ravel(), rings + 1)[:rings]
    counts = np.bincount(ring.ravel(), minlength=rings + 1)[:rings]
    mean: Values = sums / counts
    return mean


Curve = tuple[float, ...]


@dataclass(frozen=True)
class Spectrum:
    """Radial power spectra of experimental and of generated patches; each curve has one value per ring.

    Parameters
    ----------
    unit
        Of `frequency`: cycles per pixel, or per µm.
    frequency
        The middle of each ring.
    experimental_low, experimental_median, experimental_high
        Quartiles of the power over the experimental patches.
    generated_low, generated_median, generated_high
        The same of the generated patches.
    log2_ratio
        Difference of the medians in doublings, as a mean over the rings.
    """

    unit: str
    frequency: Curve
    experimental_low: Curve
    experimental_median: Curve
    experimental_high: Curve
    generated_low: Curve
    generated_median: Curve
    generated_high: Curve
    log2_ratio: float


@dataclass(frozen=True)
class Histogram:
    """Histograms of the intensities of experimental and of generated patches.

    Parameters
    ----------
    edges
        Edges of the bins.
    experimental_share, generated_share
        Share of the pixels in each bin.
    overlap
        The share that both have in common.
    """

    edges: Curve
    experimental_share: Curve
    generated_share: Curve
    overlap: float


def spectra(experimental: Pixels, generated: Pixels, pixel_size: float | None) -> Spectrum:
    """Compare the radial power spectra of experimental and generated patches.

    Parameters
    ----------
    experimental, generated
        (N, Y, X) patches of one size.
    pixel_size
        In nm; None if it is unknown.

    Returns
    -------
    The spectra, and how far their medians differ.
    """
    rings = generated.shape[-1] // 4
    frequency = (np.arange(rings) + 0.5) / rings * 0.5 * (1 if pixel_size is None else 1000 / pixel_size)
    experimental_power, generated_power = _quartiles(experimental, rings), _quartiles(generated, rings)
    ratio = np.maximum(generated_power[1], 1e-300) / np.maximum(experimental_power[1], 1e-300)
    return Spectrum(
        unit="cycles per pixel" if pixel_size is None else "cycles per µm",
        frequency=tuple(frequency.tolist()),
        experimental_low=tuple(experimental_power[0].tolist()),
        experimental_median=tuple(experimental_power[1].tolist()),
        experimental_high=tuple(experimental_power[2].tolist()),
        generated_low=tuple(generated_power[0].tolist()),
        generated_median=tuple(generated_power[1].tolist()),
        generated_high=tuple(generated_power[2].tolist()),
        log2_ratio=float(np.mean(np.abs(np.log2(ratio)))),
    )


def _quartiles(patches: Pixels, rings: int) -> Values:
    """Return the quartiles and the median of the power over the patches, (3, rings)."""
    power = np.array([radial_spectrum(patch, rings) for patch in patches])
    return np.asarray(np.percentile(power, (25, 50, 75), axis=0))


def histograms(experimental: Pixels, generated: Pixels, limits: tuple[float, float]) -> Histogram:
    """Compare the intensity histograms of experimental and generated patches.

    Parameters
    ----------
    experimental, generated
        (N, Y, X) patches.
    limits
        Lowest and highest intensity of the histogram; values outside are counted in the first or last bin.

    Returns
    -------
    The histograms; `overlap` is the sum of the smaller shares.
    """
    edges = _edges(limits, whole=all(np.array_equal(kind, np.round(kind)) for kind in (experimental, generated)))
    experimental_share, generated_share = (
        # float64 as the edges: a clipped value of float32 could be outside the last edge.
        np.histogram(np.clip(patches.astype(np.float64), *limits), edges)[0] / patches.size
        for patches in (experimental, generated)
    )
    overlap = float(np.minimum(experimental_share, generated_share).sum())
    return Histogram(
        tuple(edges.tolist()), tuple(experimental_share.tolist()), tuple(generated_share.tolist()), overlap
    )


def _edges(limits: tuple[float, float], *, whole: bool) -> Values:
    """Return the edges of the bins.

    For whole numbers every bin has the same number of values: otherwise some bins would hold twice the pixels.
    """
    low, high = limits
    if not whole or high - low < 1:
        return np.linspace(low, high, _BINS + 1)
    step = np.ceil((high - low) / _BINS)
    return np.arange(np.floor(low) - 0.5, high + step, step)
