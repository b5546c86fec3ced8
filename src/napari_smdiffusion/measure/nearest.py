"""Where a patch fits best in other images: all places and the 8 symmetries, by correlation."""

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

HIGHEST = 0.9999  # correlation; what is above differs by rounding
_BLOCK = 512  # pixels; a spectrum of this size stays in a core's cache
# Windows with less contrast than this share of their plane's are left alone: their correlation is rounding error.
_FLAT = 0.01


@dataclass(frozen=True)
class Match:
    """Where a patch fits best: the plane, the corner (y, x) there, the symmetry of the patch, and the correlation.

    `margin` is by how much it fits better there than anywhere in any other symmetry, in standard errors: the difference
    on Fisher's scale artanh r, times the square root of the number of `pixels` that matter: 1 for a single spot.
    """

    plane: int
    y: int
    x: int
    symmetry: int
    correlation: float
    margin: float = 0.0
    pixels: float = 1.0


class _Searched:
    """A plane prepared for looking up many patches whose longer side is `side`.

    It is cut into blocks that overlap by a patch (overlap-save): their small FFTs are faster than one of the plane, and
    the spectrum of a patch serves for all of them.
    """

    def __init__(self, plane: Pixels, side: int) -> None:
        wide = _without_mean(plane)
        self._shape = plane.shape
        self._fft_shape, self._steps = zip(*(_block(n, side) for n in plane.shape), strict=True)
        self._corners = [
            (y, x) for y in range(0, plane.shape[0], self._steps[0]) for x in range(0, plane.shape[1], self._steps[1])
        ]
        self._spectra = [
            rfft2(
                wide[y : y + self._fft_shape[0], x : x + self._fft_shape[1]].astype(np.float32),
                self._fft_shape,
            )
            for y, x in self._corners
        ]
        self._wide = wide
        self._inverse_norms: dict[tuple[int, int], Pixels] = {}

    def prepare(self, shape: tuple[int, int]) -> None:
        """Compute what patches of this shape need, before threads share it."""
        if shape not in self._inverse_norms:
            # At least what float32 can invert: an empty plane has no contrast at all.
            norms = np.maximum(_window_norms(self._wide, shape, _FLAT), 1e-30)
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
            found = irfft2(block * spectrum, self._fft_shape, overwrite_x=True)[: norm.shape[0], : norm.shape[1]] * norm
            top = int(found.argmax())
            row, column = divmod(top, norm.shape[1])
            best = max(best, (float(found[row, column]), y + row, x + column))
        return best


def _block(length: int, side: int) -> tuple[int, int]:
    """Return the length of the FFTs along an axis, and how many windows begin in one of its blocks."""
    places = length - side + 1
    blocks = -(-places // (max(_BLOCK, 4 * side) - side + 1))
    step = -(-places // blocks)
    size = next_fast_len(step + side - 1, real=True)
    return size, size - side + 1


def nearest_matches(patches: Pixels, planes: Sequence[Pixels], stop: Stop = never) -> list[Match]:
    """Find, for each patch, the window of any plane that it resembles most, in any of the 8 symmetries.

    Parameters
    ----------
    patches
        (N, Y, X).
    planes
        (Y, X) arrays, none with a side shorter than the patches.
    stop
        Asked at every patch.

    Raises
    ------
    InputError
        If a plane is smaller than the patches.
    Stopped
        If it was stopped.
    """
    side, count = max(patches.shape[1:]), len(patches)
    if any(min(plane.shape) < side for plane in planes):
        raise InputError(f"A plane to look for copies in is smaller than the patches of {side} pixels.")
    # (correlation, plane, y, x) of each patch in each symmetry.
    best = [[(-2.0, 0, 0, 0)] * len(SYMMETRIES) for _ in range(count)]
    with ThreadPoolExecutor(_cores()) as pool:
        for which, plane in enumerate(planes):
            searched = _Searched(plane, side)
            for shape in {(patches.shape[1], patches.shape[2]), (patches.shape[2], patches.shape[1])}:
                searched.prepare(shape)

            def look_up(patch: Pixels, searched: _Searched = searched) -> list[tuple[float, int, int]]:
                return [searched.best(symmetry(patch, k)) for k in SYMMETRIES]

            for i, found in enumerate(pool.map(look_up, patches)):
                if stop():
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise Stopped("Stopped before all patches were looked up: there is no result.")
                for k, (correlation, y, x) in enumerate(found):
                    best[i][k] = max(best[i][k], (correlation, which, y, x))
    return [_match(one, _effective_pixels(patch)) for one, patch in zip(best, patches, strict=True)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _effective_pixels(patch: Pixels) -> float:
    """Return (Σ v)² / Σ v² of the squared deviations v: 1 for a single spot, which fits any other one."""
    power = _without_mean(patch) ** 2
    return float(power.sum()) ** 2 / max(float((power**2).sum()), 1e-300)


def _match(best: list[tuple[float, int, int, int]], pixels: float) -> Match:
    """Return the best of what was found in each symmetry, and how far it stands out."""
    order = sorted(SYMMETRIES, key=lambda k: -best[k][0])
    (correlation, plane, y, x), second = best[order[0]], best[order[1]]
    first_z, second_z = (float(np.arctanh(np.clip(r, -HIGHEST, HIGHEST))) for r in (correlation, second[0]))
    return Match(plane, y, x, order[0], min(correlation, 1.0), (first_z - second_z) * pixels**0.5, pixels)
