"""Where a patch fits best in other images: all places and the 8 symmetries, by correlation."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, next_fast_len, rfft2

from .patches import SYMMETRIES, symmetry
from .progress import never

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .progress import Stop

Pixels = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

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


def correlation_map(plane: Pixels, patch: Pixels) -> Pixels:
    """Return the normalised correlation of `patch` with every window of `plane`, (Y - y + 1, X - x + 1), by FFT."""
    wide = _without_mean(plane)
    centred, size = _centred(patch)
    fft_shape = tuple(next_fast_len(n, real=True) for n in plane.shape)
    product = irfft2(rfft2(wide, fft_shape) * np.conj(rfft2(centred, fft_shape)), fft_shape)
    rows, columns = (n - m + 1 for n, m in zip(plane.shape, patch.shape, strict=True))
    norm = _window_norms(wide, (patch.shape[0], patch.shape[1]))
    return np.asarray(product[:rows, :columns] / (norm * size), np.float32)


def _without_mean(image: Pixels) -> Values:
    """Return the image without its mean: of one that is constant nothing is left, which float32 does not promise."""
    wide = np.asarray(image, np.float64)
    centred: Values = wide - wide.mean()
    return centred


def _centred(patch: Pixels) -> tuple[Values, float]:
    """Return the patch without its mean, and the norm of that."""
    centred = _without_mean(patch)
    return centred, float(np.sqrt((centred**2).sum())) or 1.0


def _window_norms(plane: Values, shape: tuple[int, int], flat: float = 1e-5) -> Values:
    """Return sqrt(Σ (I - mean)²) over every window, from summed-area tables.

    It is at least that of a window with the share `flat` of the contrast of the plane, whatever its units.
    """
    least = max(flat**2 * float(np.mean(plane**2)) * shape[0] * shape[1], 1e-300)
    sums = [_box_sums(v, shape) for v in (plane, plane**2)]
    norms: Values = np.sqrt(np.maximum(sums[1] - sums[0] ** 2 / (shape[0] * shape[1]), least))
    return norms


def _box_sums(values: Values, shape: tuple[int, int]) -> Values:
    table = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    y, x = shape
    sums: Values = table[y:, x:] - table[:-y, x:] - table[y:, :-x] + table[:-y, :-x]
    return sums


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
    ValueError
        If a plane is smaller than the patches.
    InterruptedError
        If it was stopped.
    """
    side, count = max(patches.shape[1:]), len(patches)
    if any(min(plane.shape) < side for plane in planes):
        raise ValueError(f"A plane to look for copies in is smaller than the patches of {side} pixels.")
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
                    raise InterruptedError("Stopped before all patches were looked up: there is no result.")
                for k, (correlation, y, x) in enumerate(found):
                    best[i][k] = max(best[i][k], (correlation, which, y, x))
    return [_match(one, _pixels_that_matter(patch)) for one, patch in zip(best, patches, strict=True)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pixels_that_matter(patch: Pixels) -> float:
    """Return (Σ v)² / Σ v² of the squared deviations v: 1 for a single spot, which fits any other one."""
    power = _without_mean(patch) ** 2
    return float(power.sum()) ** 2 / max(float((power**2).sum()), 1e-300)


def _match(best: list[tuple[float, int, int, int]], pixels: float) -> Match:
    """Return the best of what was found in each symmetry, and how far it stands out."""
    order = sorted(SYMMETRIES, key=lambda k: -best[k][0])
    (correlation, plane, y, x), second = best[order[0]], best[order[1]]
    first_z, second_z = (float(np.arctanh(np.clip(r, -HIGHEST, HIGHEST))) for r in (correlation, second[0]))
    return Match(plane, y, x, order[0], min(correlation, 1.0), (first_z - second_z) * pixels**0.5, pixels)
