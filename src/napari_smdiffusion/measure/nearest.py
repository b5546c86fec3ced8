"""The window of other images that a patch resembles most: all positions and the 8 symmetries, by correlation."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

from ..base.errors import InputError, Stopped
from ..base.events import never
from ..images.correlation import _centred, _window_norms, _without_mean
from ..images.patches import SYMMETRIES, symmetry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from ..base.events import Stop

HIGHEST = 0.9999  # largest correlation that is distinguished from 1; higher ones differ by rounding
_BLOCK = 512  # pixels; a spectrum of this size fits into the cache of a core
# Windows with less contrast, relative to their plane, are skipped: their correlation is rounding error.
_FLAT = 0.01


@dataclass(frozen=True)
class Match:
    """The best match of a patch.

    Parameters
    ----------
    plane, y, x
        Index of the plane, and the corner of the window in it.
    symmetry
        The symmetry of the patch that matches.
    correlation
        Pearson's correlation of the patch and the window.
    margin
        Difference to the best correlation in any other symmetry, in standard errors: on Fisher's scale artanh r, times
        the square root of `pixels`.
    pixels
        Number of effective pixels of the patch; 1 for a single spot.
    """

    plane: int
    y: int
    x: int
    symmetry: int
    correlation: float
    margin: float = 0.0
    pixels: float = 1.0


class _PlaneSearch:
    """A plane prepared for the search for many patches whose longer side is `side`.

    The plane is cut into blocks that overlap by a patch (overlap-save). Their small FFTs are faster than one large FFT,
    and all blocks share the spectrum of a patch.
    """

    def __init__(self, plane: Pixels, side: int) -> None:
        values = _without_mean(plane)
        self._shape = plane.shape
        self._fft_shape, self._steps = zip(*(_block(n, side) for n in plane.shape), strict=True)
        self._corners = [
            (y, x) for y in range(0, plane.shape[0], self._steps[0]) for x in range(0, plane.shape[1], self._steps[1])
        ]
        self._spectra = [
            rfft2(
                values[y : y + self._fft_shape[0], x : x + self._fft_shape[1]].astype(np.float32),
                self._fft_shape,
            )
            for y, x in self._corners
        ]
        self._values = values
        self._inverse_norms: dict[tuple[int, int], Pixels] = {}

    def prepare(self, shape: tuple[int, int]) -> None:
        """Compute the norms of the windows of this shape, before threads share them."""
        if shape not in self._inverse_norms:
            # An empty plane has norms of 0: the smallest norm is one whose inverse float32 can hold.
            norms = np.maximum(_window_norms(self._values, shape, _FLAT), 1e-30)
            self._inverse_norms[shape] = (1 / norms).astype(np.float32)

    def best(self, patch: Pixels) -> tuple[float, int, int]:
        """Return the highest correlation of a patch with any window, and the corner (y, x) of that window."""
        centred, size = _centred(patch)
        spectrum = np.conj(rfft2(np.asarray(centred / size, np.float32), self._fft_shape))
        inverse = self._inverse_norms[(patch.shape[0], patch.shape[1])]
        best = (-2.0, 0, 0)
        for (y, x), block in zip(self._corners, self._spectra, strict=True):
            norm = inverse[y : y + self._steps[0], x : x + self._steps[1]]
            if not norm.size:
                continue
            products = irfft2(block * spectrum, self._fft_shape, overwrite_x=True)
            correlations = products[: norm.shape[0], : norm.shape[1]] * norm
            row, column = divmod(int(correlations.argmax()), norm.shape[1])
            best = max(best, (float(correlations[row, column]), y + row, x + column))
        return best


def _block(length: int, side: int) -> tuple[int, int]:
    """Return the length of the FFTs along an axis, and the number of windows that begin in one block."""
    windows = length - side + 1
    blocks = -(-windows // (max(_BLOCK, 4 * side) - side + 1))
    step = -(-windows // blocks)
    size = next_fast_len(step + side - 1, real=True)
    return size, size - side + 1


def nearest_matches(patches: Pixels, planes: Sequence[Pixels], stop: Stop = never) -> list[Match]:
    """Find the window of the planes that each patch resembles most, in any of the 8 symmetries.

    Parameters
    ----------
    patches
        (N, Y, X) array.
    planes
        (Y, X) arrays, none with a side shorter than the patches.
    stop
        Called at every patch.

    Returns
    -------
    One match per patch.

    Raises
    ------
    InputError
        If a plane is smaller than the patches.
    Stopped
        If `stop` returns True.
    """
    side, count = max(patches.shape[1:]), len(patches)
    if any(min(plane.shape) < side for plane in planes):
        raise InputError(f"A plane is smaller than the patches of {side} pixels: use smaller patches.")
    # (correlation, plane, y, x) of the best window, for each patch and symmetry.
    best = [[(-2.0, 0, 0, 0)] * len(SYMMETRIES) for _ in range(count)]
    with ThreadPoolExecutor(_cores()) as pool:
        for plane_index, plane in enumerate(planes):
            search = _PlaneSearch(plane, side)
            for shape in {(patches.shape[1], patches.shape[2]), (patches.shape[2], patches.shape[1])}:
                search.prepare(shape)

            def best_windows(patch: Pixels, search: _PlaneSearch = search) -> list[tuple[float, int, int]]:
                return [search.best(symmetry(patch, k)) for k in SYMMETRIES]

            for i, windows in enumerate(pool.map(best_windows, patches)):
                if stop():
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise Stopped("Stopped during the search for copies: there is no result.")
                for k, (correlation, y, x) in enumerate(windows):
                    best[i][k] = max(best[i][k], (correlation, plane_index, y, x))
    return [_match(windows, _effective_pixels(patch)) for windows, patch in zip(best, patches, strict=True)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _effective_pixels(patch: Pixels) -> float:
    """Return (Σ v)² / Σ v² of the squared deviations v from the mean.

    It is 1 for a single spot, which matches any other spot.
    """
    power = _without_mean(patch) ** 2
    return float(power.sum()) ** 2 / max(float((power**2).sum()), 1e-300)


def _match(best: list[tuple[float, int, int, int]], pixels: float) -> Match:
    """Return the best match and its margin, from the best window (correlation, plane, y, x) of each symmetry."""
    order = sorted(SYMMETRIES, key=lambda k: -best[k][0])
    (correlation, plane, y, x), second = best[order[0]], best[order[1]]
    first_z, second_z = (float(np.arctanh(np.clip(r, -HIGHEST, HIGHEST))) for r in (correlation, second[0]))
    return Match(plane, y, x, order[0], min(correlation, 1.0), (first_z - second_z) * pixels**0.5, pixels)
