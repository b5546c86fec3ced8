"""A simulated microscope whose smooth light differs from the structure: it is wider.

Smooth light as wide as the structure looks like it. An enhancer that learns from such images takes the inside of broad
structure for smooth light.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ..images.tiles import central
from .settings import MicroscopeConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels

# Least width (σ) of the blur of smooth light, relative to the width of the structure: the narrowest and the widest.
# Chosen in looks at both real pairs, for filaments of 200 nm and for mitochondria of 600 nm (docs/results.md).
TIMES = (2.0, 8.0)
_BLUR = 40.0  # nm: single localizations are no structure
_SHARE = 0.25  # autocorrelation at the width of a structure
_WIDEST = 700.0  # nm: what is broader is the cell
_LARGEST, _PLANES = 1024, 8  # pixels along the side, and planes, that are looked at
_BRIGHT = 99.9  # percentile: beads are no structure


def structure_width(planes: Sequence[Pixels], pixel_size: float) -> float:
    """Return the distance in nm at which the autocorrelation of super-resolution planes (Y, X) has fallen to 1/4.

    The planes are blurred before by 40 nm. The width is 0 for empty planes, and 700 nm at most.
    """
    found = [_profile(plane[central(plane.shape, _LARGEST)], pixel_size) for plane in planes[:_PLANES]]
    profiles = [profile for profile in found if profile is not None]
    if not profiles:
        return 0.0
    length = min(len(profile) for profile in profiles)
    mean = np.mean([profile[:length] for profile in profiles], 0)
    below = np.flatnonzero(mean < _SHARE)
    if not below.size:
        return _WIDEST
    last = int(below[0])  # at least 1, because the first is 1
    exact = last - (_SHARE - mean[last]) / (mean[last - 1] - mean[last])
    return float(min(exact * pixel_size, _WIDEST))


def suited_to(microscope: MicroscopeConfig, planes: Sequence[Pixels], pixel_size: float) -> MicroscopeConfig:
    """Return a microscope with smooth light that is at least `TIMES` as wide as the structure in planes (Y, X).

    A microscope without smooth light stays as it is, and so do widths other than the default: someone chose them.
    """
    chosen = microscope.smooth_light_width_range != MicroscopeConfig().smooth_light_width_range
    if chosen or microscope.smooth_light_range[1] == 0:
        return microscope
    width = structure_width(planes, pixel_size)
    low, high = (
        max(given, times * width) for given, times in zip(microscope.smooth_light_width_range, TIMES, strict=True)
    )
    # Whole nm, because the widths stand in the card and are given again to resume.
    return replace(microscope, smooth_light_width_range=(float(np.ceil(low)), float(np.ceil(high))))


def _profile(plane: Pixels, pixel_size: float) -> Pixels | None:
    """Return the autocorrelation by distance in pixels, 1 at first; None if the plane is empty."""
    values = np.minimum(plane, np.percentile(plane, _BRIGHT)).astype(np.float64)
    values = gaussian_filter(values, _BLUR / pixel_size)
    values -= values.mean()
    correlation = np.fft.irfft2(np.abs(np.fft.rfft2(values)) ** 2, values.shape)
    if not correlation[0, 0] > 0:
        return None
    # Opposite borders are neighbours in a Fourier transform.
    y, x = (np.minimum(np.arange(side), side - np.arange(side)) for side in values.shape)
    distance = np.hypot(y[:, None], x).astype(int)
    count = np.bincount(distance.ravel())
    mean = np.bincount(distance.ravel(), correlation.ravel()) / count
    profile: Pixels = (mean / mean[0]).astype(np.float32)[: min(values.shape) // 2]
    return profile
