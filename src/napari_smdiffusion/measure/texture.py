"""The texture of patches as numbers, without a pretrained network."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .spectrum import radial_spectrum

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values

_SCALES = (1.0, 2.0, 4.0, 8.0)  # pixels, standard deviations of the band-pass filters
_ENVELOPES = (4.0, 12.0)  # pixels, standard deviations of the filters of the second order
_RINGS = 10  # of the radial power spectrum
_FAINT = 1e-6  # added to mean squares, so that the anisotropy of a black patch is 1


def texture_features(patches: Pixels) -> Values:
    """Describe the texture of patches without a pretrained network.

    The features are logarithms of band energies with their anisotropy and sparsity, of energies of the band-passed band
    energies (second order, as in a scattering transform; Bruna and Mallat 2013), of intensity quantiles, and of the
    radial power spectrum.

    Parameters
    ----------
    patches
        (N, Y, X) patches, scaled so that experimental patches have a background near 0 and a standard deviation of 1.

    Returns
    -------
    (N, 42) float64.
    """
    return np.stack([_features(patch) for patch in patches])


def _features(patch: Pixels) -> Values:
    values: list[float] = []
    blurred = [patch, *(_blurred(patch, s) for s in _SCALES)]
    for fine, coarse in pairwise(blurred):
        band = fine - coarse
        size = np.abs(band)
        along_y, along_x = (float(np.mean(np.diff(band, axis=axis) ** 2)) for axis in (0, 1))
        ratio = (along_y + _FAINT) / (along_x + _FAINT)
        values += [float(np.mean(band**2)), float(np.mean(size)), ratio + 1 / ratio]
        values += [float(np.var(_blurred(size, sigma))) for sigma in _ENVELOPES]
    values += [float(v) + 0.05 for v in np.quantile(patch, (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.998))]
    values += [float(patch.std()), float(patch.mean()) + 0.05, float(np.mean(np.abs(patch)))]
    values += list(radial_spectrum(patch, _RINGS))
    return np.log(np.maximum(np.asarray(values, np.float64), 0) + 1e-4)


def _blurred(patch: Pixels, sigma: float) -> Pixels:
    """Return a patch (Y, X) filtered with a Gaussian of `sigma` pixels, in its own precision.

    The product with two matrices is many times faster than `gaussian_filter`, because the widest filters are larger
    than a patch.
    """
    height, width = patch.shape
    return np.asarray(_gaussian_matrix(height, sigma) @ patch @ _gaussian_matrix(width, sigma).T, patch.dtype)


@lru_cache(maxsize=2 * (len(_SCALES) + len(_ENVELOPES)))
def _gaussian_matrix(length: int, sigma: float) -> Values:
    """Return the matrix (length, length) that filters a column of pixels with a Gaussian, mirrored at both ends."""
    matrix: Values = gaussian_filter1d(np.eye(length), sigma, axis=0)
    matrix.flags.writeable = False
    return matrix
