"""Whether a widefield image looks like those that an enhancer was trained with.

A few numbers describe a block of the network's input. They are the ratios of the energies in three bands of spatial
frequency, how much is bright, and its shape (lines, blobs, texture). The widefield patches of the training give their
mean, their covariance within a patch, and that between patches. An image is unfamiliar if its median block lies farther
from that mean than the patches of the training do.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from ..images.image import Image
from ..images.patches import grid_patches
from ..images.unmeasured import scan
from .facts import FEATURES, Familiar
from .local_levels import LocalLevels
from .plane_levels import plane_levels
from .resampling import network_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ..base.arrays import Pixels
    from .examples import TrainingPairs
    from .facts import WidefieldLevels
    from .pixel_fit import PixelFit

    Features = npt.NDArray[np.float64]  # (M, FEATURES)

SIDE = 24  # widefield pixels along the side of a block
# Distance above which an image is unfamiliar, in distances that 99 % of the patches of the training stay below.
# Measured on real and made images (benchmarks/models/doubts.py; docs/results.md has what is not noticed).
UNFAMILIAR = 1.3
_BLURS = (0.7, 1.4, 2.8, 5.6)  # widefield pixels: σ of the Gaussians between which the bands of frequency lie
_BRIGHT, _LEAST_BRIGHT = 0.3, 0.03  # a block shows signal if this share of its pixels is above this number of units
_LEAST_BLOCKS = 12  # blocks of an image that show signal; fewer are not judged
_PATCHES, _LEAST_PATCHES = 128, 32  # patches of the training with at least two blocks
_FIRST_STEP, _MOST_STEPS = 2**31 + 10**6, 64  # training never reaches these steps, so that their examples are new
_SHRUNK = 0.1  # share of the covariance that is replaced by its diagonal
# What simulated and real images of one structure differ by, as a share of the covariance within a patch.
_SIMULATION_GAP = 0.4
_USUAL = 2.33  # standard deviations above the mean: about 99 % of patches are nearer (quantiles of few vary too much)
_LARGEST = 384  # widefield pixels: side of the part of a plane that is looked at
_STEP = 4  # pixels between those that the choice of the part considers
_TINY = 1e-6


def familiar_of(task: TrainingPairs) -> Familiar | None:
    """Describe the evenly lit widefield patches of a training; None if they are too small, or too few show signal."""
    side = task.source.size // task.config.upscale
    if side < SIDE:
        return None
    # Simulated patches of at least two blocks along each side: several super-resolution patches make one then.
    patch = -(-2 * SIDE // side) * task.source.size
    task = replace(task.evenly_lit(), config=replace(task.config, patch=max(patch, task.config.patch)))
    found: list[Features] = []
    for step in range(_FIRST_STEP, _FIRST_STEP + _MOST_STEPS):
        patches = task.local.compressed(task.examples(step).widefield).numpy()[:, 0]
        described = (features(grid_patches([patch], SIDE)) for patch in patches)
        found += [each for each in described if len(each) > 1]
        if len(found) >= _PATCHES:
            break
    return described_by(found) if len(found) >= _LEAST_PATCHES else None


def described_by(patches: Sequence[Features]) -> Familiar:
    """Return the distribution of the features of blocks, (blocks, FEATURES) of each of several patches."""
    mean = np.concatenate(patches).mean(0)
    deviations = np.concatenate([patch - patch.mean(0) for patch in patches])
    within = deviations.T @ deviations / (len(deviations) - len(patches))
    # The means of patches also differ because each has few blocks.
    share = float(np.mean([1 / len(patch) for patch in patches]))
    values, vectors = np.linalg.eigh(
        np.cov(np.array([patch.mean(0) for patch in patches]), rowvar=False) - share * within
    )
    between = (vectors * np.maximum(values, 0)) @ vectors.T
    unlimited = Familiar(tuple(mean.tolist()), _rows(between), _rows(within), 1.0)
    distances = [_distance(unlimited, patch) for patch in patches]
    limit = float(np.mean(distances) + _USUAL * np.std(distances))
    return Familiar(unlimited.mean, unlimited.between, unlimited.within, max(limit, _TINY))


def strangeness(familiar: Familiar, levels: WidefieldLevels, plane: Pixels, fit: PixelFit) -> float:
    """Return how unlike the training a plane is, in units of `Familiar.limit`; above `UNFAMILIAR` it is unfamiliar.

    Of a large plane, the part with the most contrast is looked at.

    Parameters
    ----------
    familiar, levels
        Of the enhancer.
    plane
        Widefield plane (Y, X), in any units; finite.
    fit
        Its pixels beside those of the training.

    Returns
    -------
    The distance; 0 if too few blocks show signal to be judged.
    """
    part = Image(np.asarray(plane[busiest(plane, _LARGEST)], np.float32))
    pixels = network_grid(part, 1, fit).network_image(part).pixels[0]
    facts, local = scan(pixels), LocalLevels(levels.opening, levels.around)
    if facts.shows_nothing:
        return 0.0
    above = plane_levels(pixels, facts, local, facts.measured(pixels)).above
    values = local.compressed(torch.from_numpy(above / np.float32(levels.contrast))).numpy()
    seen = features(grid_patches([values], SIDE))
    return _distance(familiar, seen) / familiar.limit if len(seen) >= _LEAST_BLOCKS else 0.0


def unfamiliar(enhancer: str, image: str, distance: float) -> str:
    """Return a sentence if the image `image` is unlike the training of `enhancer`; otherwise ""."""
    if distance <= UNFAMILIAR:
        return ""
    return (
        f"{image} looks unlike the images that {enhancer} was trained with (distance {distance:.2f}; up to "
        f"{UNFAMILIAR:g} is usual), so that the result may show what is not there. Check the structure, the pixel size "
        "and the focus, or train an enhancer for such images."
    )


def busiest(plane: Pixels, side: int) -> tuple[slice, slice]:
    """Return the window (rows, columns) of a plane with the most contrast, at most `side` pixels along each axis."""
    if max(plane.shape) <= side:
        return slice(0, plane.shape[0]), slice(0, plane.shape[1])
    thin = np.asarray(plane[::_STEP, ::_STEP], np.float32)
    thin = np.clip(thin, *np.percentile(thin, (1, 99)))  # no part is chosen for its beads
    rows, columns = (
        sorted({*range(0, max(1, length - side + 1), side // 2), max(0, length - side)}) for length in plane.shape
    )
    windows = [(slice(y, y + side), slice(x, x + side)) for y in rows for x in columns]
    contrast = [thin[y.start // _STEP : y.stop // _STEP, x.start // _STEP : x.stop // _STEP].std() for y, x in windows]
    return windows[int(np.argmax(contrast))]


def features(blocks: Pixels) -> Features:
    """Return the features (M, FEATURES) of those of the blocks (N, SIDE, SIDE) that show signal.

    The first two are ratios of the energies in neighbouring bands of frequency (logarithms). Then come the mean, how
    evenly detail is spread, how far directions agree, and how round bright places are. The last two are the skewness of
    two bands.
    """
    bright = gaussian_filter(blocks, (0, _BLURS[0], _BLURS[0])) > _BRIGHT
    shown = blocks[bright.mean((1, 2)) >= _LEAST_BRIGHT].astype(np.float64)
    if not len(shown):
        return np.zeros((0, FEATURES))
    smooth = [gaussian_filter(shown, (0, sigma, sigma)) for sigma in _BLURS]
    bands = [near - wide for near, wide in itertools.pairwise(smooth)]
    squares = [np.square(band).mean((1, 2)) + _TINY for band in bands]
    first, second, third = (np.log(square) for square in squares)
    skewness = [(band**3).mean((1, 2)) / square**1.5 for band, square in zip(bands, squares, strict=True)]
    detail = smooth[0] - smooth[2]
    spread = np.square(np.abs(detail).mean((1, 2))) / (np.square(detail).mean((1, 2)) + _TINY)
    shape = (spread, _coherence(smooth[1]), _roundness(smooth[1]))
    columns = [first - second, second - third, smooth[1].mean((1, 2)), *shape, skewness[0], skewness[2]]
    return np.stack(columns, 1)


def _coherence(smooth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how far the gradients around each place agree in direction: 1 along lines, 0 in a texture; (N,)."""
    y, x = np.gradient(smooth, axis=(1, 2))
    wide = (0, _BLURS[2], _BLURS[2])
    yy, xx, xy = (gaussian_filter(product, wide) for product in (y * y, x * x, x * y))
    agreement = np.sqrt((yy - xx) ** 2 + 4 * xy**2).sum((1, 2))
    return np.asarray(agreement / ((yy + xx).sum((1, 2)) + _TINY))


def _roundness(smooth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the weaker curvature of bright places in parts of the stronger one: 0 for lines, 1 for spots; (N,)."""
    y, x = np.gradient(smooth, axis=(1, 2))
    yy, yx = np.gradient(y, axis=(1, 2))
    xx = np.gradient(x, axis=2)
    middle, half = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    strong, weak = np.maximum(half - middle, 0), np.maximum(-half - middle, 0)
    return np.asarray(weak.sum((1, 2)) / (strong.sum((1, 2)) + _TINY))


def _distance(familiar: Familiar, seen: Features) -> float:
    """Return the Mahalanobis distance of the median of blocks from the training, per feature."""
    between, within = np.array(familiar.between), np.array(familiar.within)
    covariance = between + (_SIMULATION_GAP + 1 / len(seen)) * within
    diagonal = np.diag(np.diag(covariance)) + _TINY * np.eye(FEATURES)
    offset = np.median(seen, 0) - np.array(familiar.mean)
    inverse = np.linalg.pinv((1 - _SHRUNK) * covariance + _SHRUNK * diagonal)
    return float(np.sqrt(max(float(offset @ inverse @ offset), 0.0) / FEATURES))


def _rows(matrix: Features) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())
