"""Whether generated images are copies: the nearest window of the training images, over all places and 8 symmetries."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from .patches import SYMMETRIES, halved, symmetry

if TYPE_CHECKING:
    from collections.abc import Sequence

Pixels = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

_BLOCK = 512  # pixels; a spectrum of this size stays in a core's cache
# Windows with less contrast than this share of their plane's are left alone: their correlation is rounding error.
_FLAT = 0.01
_MIDDLE = 0.75  # of the smallest plane: the most of a patch that is looked up
# Chance that any patch at all is called a copy where none is. It is small, because the exponential law holds for the
# ordinary patches better than for the odd one.
_FALSE_ALARM = 0.01
_HIGHEST = 0.9999  # correlation; what is above differs by rounding
_SAME = 0.98  # correlation from which on a held-out patch was trained on
_LEAST = 5  # held-out patches


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
    wide = np.asarray(plane - plane.mean(), np.float64)
    centred, size = _centred(np.asarray(patch, np.float64))
    fft_shape = tuple(next_fast_len(n, real=True) for n in plane.shape)
    product = irfft2(rfft2(wide, fft_shape) * np.conj(rfft2(centred, fft_shape)), fft_shape)
    rows, columns = (n - m + 1 for n, m in zip(plane.shape, patch.shape, strict=True))
    norm = _window_norms(wide, (patch.shape[0], patch.shape[1]))
    return np.asarray(product[:rows, :columns] / (norm * size), np.float32)


def _centred(patch: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], float]:
    """Return the patch without its mean, and the norm of that."""
    centred = patch - patch.mean()
    return centred, float(np.sqrt((centred.astype(np.float64) ** 2).sum())) or 1.0


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
        wide = np.asarray(plane - plane.mean(), np.float64)
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


def nearest_matches(patches: Pixels, planes: Sequence[Pixels]) -> list[Match]:
    """Find, for each patch, the window of any plane that it resembles most, in any of the 8 symmetries.

    Parameters
    ----------
    patches
        (N, Y, X).
    planes
        (Y, X) arrays, none with a side shorter than the patches.

    Raises
    ------
    ValueError
        If a plane is smaller than the patches.
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
                for k, (correlation, y, x) in enumerate(found):
                    best[i][k] = max(best[i][k], (correlation, which, y, x))
    return [_match(one, _pixels_that_matter(patch)) for one, patch in zip(best, patches, strict=True)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pixels_that_matter(patch: Pixels) -> float:
    """Return (Σ v)² / Σ v² of the squared deviations v: 1 for a single spot, which fits any other one."""
    power = (patch.astype(np.float64) - float(patch.mean())) ** 2
    return float(power.sum()) ** 2 / max(float((power**2).sum()), 1e-300)


def _match(best: list[tuple[float, int, int, int]], pixels: float) -> Match:
    """Return the best of what was found in each symmetry, and how far it stands out."""
    order = sorted(SYMMETRIES, key=lambda k: -best[k][0])
    (correlation, plane, y, x), second = best[order[0]], best[order[1]]
    first_z, second_z = (float(np.arctanh(np.clip(r, -_HIGHEST, _HIGHEST))) for r in (correlation, second[0]))
    return Match(plane, y, x, order[0], min(correlation, 1.0), (first_z - second_z) * pixels**0.5, pixels)


@dataclass(frozen=True)
class LookedUp:
    """Generated patches that were looked up in training images.

    Parameters
    ----------
    patches
        (N, y, x) as they were looked up: where training images are small, the middle of what was given.
    matches
        Where each fits best, in pixels of the 2 × 2 averages of the planes.
    copied
        Whether each is called a copy.
    report
        What `memorization` returns.
    """

    patches: Pixels
    matches: tuple[Match, ...]
    copied: tuple[bool, ...]
    report: dict[str, Any]


def memorization(generated: Pixels, training: Sequence[Pixels], held_out: Pixels) -> dict[str, Any]:
    """Judge whether generated patches are copies of training images.

    Each patch is looked up in the training planes, everywhere and in all 8 symmetries, and so are experimental patches
    that were held out. It is done on 2 × 2 averages, which hold the structure and half the noise. How well a patch fits
    depends on what it shows: one straight filament fits many others. A copy is told by its margin instead: it fits in
    one symmetry far better than in the seven others. Where nothing is copied, the 8 best fits are maxima of like
    samples, and the distance of the highest to the second is exponentially distributed (Weissman 1978); its mean is
    taken from the held-out patches. A patch whose margin would come up in 1 of 100 such judgements, among all its
    patches, is called a copy. What looks the same in two symmetries has no margin: so a patch is called one, too, whose
    correlation is far above those of the held-out patches (on Fisher's scale, by Student's t, in 1 of 1000 judgements),
    unless it shows less than nine in ten of them.
    A noisy copy of what is symmetric and alike everywhere, such as one straight line, is told by neither.

    Parameters
    ----------
    generated, held_out
        (N, Y, X) patches. Of those held out at least 5 must show something and not lie in the training planes; copies
        are found more surely with 20 or more.
    training
        (Y, X) planes, none smaller than the patches. Where the smallest is less than a third larger than the patches,
        the middle of the patches is looked up: three quarters of that plane.

    Returns
    -------
    `generated_median` and `held_out_median` of the highest correlations; `fraction_above_held_out_99`, the share of
    generated patches above the 99th percentile of the held-out ones: about 1 in as many as are held out, at least 0.01,
    for a model that copies nothing; `threshold` of the margin and `threshold_correlation`; `copied`, a flag for each
    generated patch; `copies` and `held_out_copies`, how many of each kind are called copies; `held_out_trained_on`, how
    many of those held out are in the training images as they are, which count for nothing; and the `verdict` in words.

    Raises
    ------
    ValueError
        If there are no generated patches or too few held-out ones, or a plane is smaller than they are.
    """
    return look_for_copies(generated, training, held_out).report


def look_for_copies(generated: Pixels, training: Sequence[Pixels], held_out: Pixels) -> LookedUp:
    """Do what `memorization` does, and return what was found of each patch as well."""
    if not len(generated) or not len(held_out):
        raise ValueError(
            "Looking for copies needs generated patches, and experimental ones that the model was not trained on."
        )
    planes = [halved(plane[np.newaxis])[0] for plane in training]
    # Planes hardly larger than the patches hold few windows to compare with, and no copy that lies a little off.
    side = int(_MIDDLE * min(min(plane.shape) for plane in training)) // 2 * 2
    looked_up = [_middle(patches, side) for patches in (generated, held_out)]
    made, real = (nearest_matches(halved(patches), planes) for patches in looked_up)
    made_r, real_r = (np.array([match.correlation for match in matches]) for matches in (made, real))
    made_margin, real_margin = (np.array([match.margin for match in matches]) for matches in (made, real))
    made_pixels, real_pixels = (np.array([match.pixels for match in matches]) for matches in (made, real))
    # Empty patches fit nothing, and those that were trained on after all must not raise the bar.
    unseen = real_r < _SAME
    null = (real_r > 0) & unseen
    if null.sum() < _LEAST:
        raise ValueError(
            f"Only {null.sum()} of {len(real)} held-out experimental patches show something that is not in the "
            f"training images, and {_LEAST} are needed to judge copies by: give other experimental images."
        )
    margin = _threshold(real_margin[null], len(made))
    correlation = _unusual(real_r[null], len(made))
    # A patch that shows little fits many places well: its correlation says nothing.
    rich = np.quantile(real_pixels[null], 0.1)

    def called(margins: Values, correlations: Values, pixels: Values) -> npt.NDArray[np.bool_]:
        return np.asarray((margins > margin) | ((correlations > correlation) & (pixels >= rich)))

    copied = called(made_margin, made_r, made_pixels)
    # What was trained on after all lies in the training images, and excuses no copy.
    known = int(called(real_margin, real_r, real_pixels)[null].sum())
    trained_on = int((~unseen).sum())
    flags = tuple(bool(flag) for flag in copied)
    report = {
        "generated_median": float(np.median(made_r)),
        "held_out_median": float(np.median(real_r[unseen])),
        "fraction_above_held_out_99": float(np.mean(made_r > np.quantile(real_r[unseen], 0.99))),
        "threshold": margin,
        "threshold_correlation": correlation,
        "copies": int(copied.sum()),
        "held_out_copies": known,
        "held_out_trained_on": trained_on,
        "copied": list(flags),
        "verdict": _verdict(int(copied.sum()), len(made), known, int(null.sum()), trained_on),
    }
    return LookedUp(looked_up[0], tuple(made), flags, report)


def _unusual(correlations: Values, count: int) -> float:
    """Return the correlation that none of `count` patches exceeds in 999 of 1000 judgements, if they are like these."""
    z = np.arctanh(np.minimum(correlations, _HIGHEST))
    # One more from the same normal distribution, of unknown mean and width.
    far = float(t_distribution.ppf(1 - _FALSE_ALARM / 10 / count, len(z) - 1)) * float(z.std(ddof=1))
    return float(np.tanh(z.mean() + far * (1 + 1 / len(z)) ** 0.5))


def _middle(patches: Pixels, side: int) -> Pixels:
    """Return the middle of (N, Y, X) patches, `side` pixels at most."""
    y, x = (max(0, length - side) // 2 for length in patches.shape[1:])
    return patches[:, y : y + side, x : x + side]


def _threshold(null: Values, count: int) -> float:
    """Return the margin that none of `count` patches exceeds with 99 % confidence, if they are like `null`."""

    def above(mean: float, used: int) -> float:
        # An exponential variable over the mean of others has Fisher's F distribution.
        return mean * float(f_distribution.ppf(1 - _FALSE_ALARM / count, 2, 2 * used))

    # A held-out patch that is in the training images after all must not raise the bar.
    ordinary = null[null <= above(float(np.median(null)) / np.log(2), len(null))]
    return above(float(ordinary.mean()), len(ordinary))


def _verdict(copies: int, count: int, known: int, held_out: int, trained_on: int) -> str:
    said = _said_of_copies(copies, count, known, held_out)
    if not trained_on:
        return said
    them = "patch is" if trained_on == 1 else "patches are"
    return f"{said} {trained_on} more experimental {them} in the training images: give others for a surer judgement."


def _said_of_copies(copies: int, count: int, known: int, held_out: int) -> str:
    if copies * held_out <= known * count:
        told = f"none of {count}" if not copies else f"{copies} of {count}"
        beside = f", no more often than experimental ones ({known} of {held_out})" if copies else ""
        return f"No sign of copying: {told} generated patches lies in the training images{beside}."
    start = "Most are copies" if copies > count / 2 else "Some images are copied"
    rule = f"{known} of {held_out} experimental patches that were held out seem to."
    return f"{start}: {copies} of {count} generated patches lie in the training images; {rule}"
