"""Power spectra and intensity histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def spectra(experimental: Pixels, generated: Pixels, pixel_size: float | None) -> dict[str, Any]:
    """Compare the radial power spectra of experimental and generated patches.

    Parameters
    ----------
    experimental, generated
        (N, Y, X) patches of one size.
    pixel_size
        In nm; None if it is unknown.

    Returns
    -------
    Dictionary with `frequency`, the middle of each ring, in `unit`; the median power of both kinds and its quartiles,
    one value per ring; and `log2_ratio`, the mean over the rings of |log2| of the ratio of the medians.
    """
    rings = generated.shape[-1] // 4
    frequency = (np.arange(rings) + 0.5) / rings * 0.5 * (1 if pixel_size is None else 1000 / pixel_size)
    report: dict[str, Any] = {"unit": "cycles per pixel" if pixel_size is None else "cycles per µm"}
    report["frequency"] = frequency.tolist()
    for name, patches in (("experimental", experimental), ("generated", generated)):
        power = np.array([radial_spectrum(patch, rings) for patch in patches])
        for key, percentile in (("low", 25), ("median", 50), ("high", 75)):
            report[f"{name}_{key}"] = np.percentile(power, percentile, axis=0).tolist()
    medians = [np.maximum(report[f"{name}_median"], 1e-300) for name in ("generated", "experimental")]
    report["log2_ratio"] = float(np.mean(np.abs(np.log2(medians[0] / medians[1]))))
    return report


def histograms(experimental: Pixels, generated: Pixels, limits: tuple[float, float]) -> dict[str, Any]:
    """Compare the intensity histograms of experimental and generated patches.

    Parameters
    ----------
    experimental, generated
        (N, Y, X) patches.
    limits
        Lowest and highest intensity of the histogram; values outside are counted in the first or last bin.

    Returns
    -------
    Dictionary with the `edges` of the bins, the share of the pixels in each bin for both kinds, and `overlap`, the sum
    of the smaller shares.
    """
    edges = _edges(limits, whole=all(np.array_equal(kind, np.round(kind)) for kind in (experimental, generated)))
    counts = {
        # float64 as the edges: a clipped value of float32 could be outside the last edge.
        name: np.histogram(np.clip(patches.astype(np.float64), *limits), edges)[0] / patches.size
        for name, patches in (("experimental", experimental), ("generated", generated))
    }
    overlap = float(np.minimum(counts["experimental"], counts["generated"]).sum())
    shares = {f"{name}_share": values.tolist() for name, values in counts.items()}
    return {"edges": edges.tolist(), **shares, "overlap": overlap}


def _edges(limits: tuple[float, float], *, whole: bool) -> Values:
    """Return the edges of the bins.

    For whole numbers every bin has the same number of values: otherwise some bins would hold twice as many pixels.
    """
    low, high = limits
    if not whole or high - low < 1:
        return np.linspace(low, high, _BINS + 1)
    step = np.ceil((high - low) / _BINS)
    return np.arange(np.floor(low) - 0.5, high + step, step)
