"""Power spectra and intensity histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values

_BINS = 79  # of the histogram of intensities


def radial_spectrum(patch: Pixels, rings: int) -> Values:
    """Return the mean power in `rings` rings of equal width from frequency 0 to Nyquist."""
    window = np.hanning(patch.shape[0])[:, None] * np.hanning(patch.shape[1])[None, :]
    power = np.abs(np.fft.fft2((patch - patch.mean()) * window)) ** 2 / window.sum()
    fy, fx = np.fft.fftfreq(patch.shape[0])[:, None], np.fft.fftfreq(patch.shape[1])[None, :]
    ring = np.minimum((np.hypot(fy, fx) / 0.5 * rings).astype(int), rings)
    sums = np.bincount(ring.ravel(), power.ravel(), rings + 1)[:rings]
    counts = np.bincount(ring.ravel(), minlength=rings + 1)[:rings]
    mean: Values = sums / counts
    return mean


def spectra(experimental: Pixels, generated: Pixels, pixel_size: float | None) -> dict[str, Any]:
    """Compare the radial power spectra of patches.

    Returns
    -------
    `frequency`, the middle of each ring, in the `unit` that is told; of both kinds the median power over the patches
    and its quartiles, lists of as many; and `log2_ratio`, by how many doublings the medians differ, as a mean over the
    rings.
    """
    rings = generated.shape[-1] // 4
    frequency = (np.arange(rings) + 0.5) / rings * 0.5 * (1 if pixel_size is None else 1000 / pixel_size)
    found: dict[str, Any] = {"unit": "cycles per pixel" if pixel_size is None else "cycles per µm"}
    found["frequency"] = frequency.tolist()
    for name, patches in (("experimental", experimental), ("generated", generated)):
        power = np.array([radial_spectrum(patch, rings) for patch in patches])
        for key, part in (("low", 25), ("median", 50), ("high", 75)):
            found[f"{name}_{key}"] = np.percentile(power, part, axis=0).tolist()
    medians = [np.maximum(found[f"{name}_median"], 1e-300) for name in ("generated", "experimental")]
    found["log2_ratio"] = float(np.mean(np.abs(np.log2(medians[0] / medians[1]))))
    return found


def histograms(experimental: Pixels, generated: Pixels, limits: tuple[float, float]) -> dict[str, Any]:
    """Compare the intensities of patches.

    Parameters
    ----------
    experimental, generated
        (N, Y, X).
    limits
        The intensities between which they are counted; what lies outside counts at its end.

    Returns
    -------
    `edges` of the bins, the share of the pixels in each for both kinds, and `overlap`, the share that both have in
    common.
    """
    edges = _edges(limits, whole=all(np.array_equal(one, np.round(one)) for one in (experimental, generated)))
    counts = {
        # In the precision of the edges: what is clipped must not fall beside the last of them.
        name: np.histogram(np.clip(patches.astype(np.float64), *limits), edges)[0] / patches.size
        for name, patches in (("experimental", experimental), ("generated", generated))
    }
    common = float(np.minimum(counts["experimental"], counts["generated"]).sum())
    shares = {f"{name}_share": values.tolist() for name, values in counts.items()}
    return {"edges": edges.tolist(), **shares, "overlap": common}


def _edges(limits: tuple[float, float], *, whole: bool) -> Values:
    """Return edges of bins; of whole numbers each bin holds equally many, or every other one would be twice as full."""
    low, high = limits
    if not whole or high - low < 1:
        return np.linspace(low, high, _BINS + 1)
    step = np.ceil((high - low) / _BINS)
    return np.arange(np.floor(low) - 0.5, high + step, step)
