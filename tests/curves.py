"""Filaments drawn for tests, whose course and damage are known."""

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d


def curves(seed, number=40, size=256, wave=0.0, gap=0.0, period=24.0, wavelength=40.0):
    """Return a field (size, size) of smooth filaments with sparse labels, in random directions.

    `wave` is the amplitude of a sinusoidal displacement of `wavelength`, and `gap` the share of each `period` along a
    filament that is left dark; all in pixels.
    """
    rng = np.random.default_rng(seed)
    shape = number, 4 * size
    bend = gaussian_filter1d(rng.normal(0, 1, shape), 80, axis=1, mode="wrap")
    angle = rng.uniform(0, 2 * np.pi, (number, 1)) + np.cumsum(bend * 0.002 / bend.std(), 1)
    along, across = (np.stack(v, -1) for v in ((np.sin(angle), np.cos(angle)), (np.cos(angle), -np.sin(angle))))
    place = np.arange(shape[1]) * 0.5
    points = np.cumsum(along * 0.5, 1)
    points += rng.uniform(0, size, (number, 1, 2)) - points[:, shape[1] // 2, np.newaxis]
    points += (wave * np.sin(2 * np.pi * place / wavelength) + rng.normal(0, 0.7, shape))[..., np.newaxis] * across
    y, x = np.floor(points[(place % period >= gap * period) & (rng.random(shape) < 0.4)]).astype(int).T
    inside = (y >= 0) & (x >= 0) & (y < size) & (x < size)
    counts = np.bincount(y[inside] * size + x[inside], minlength=size**2).reshape(size, size)
    return gaussian_filter((counts + rng.poisson(0.02, (size, size))).astype(np.float32), 0.9)
