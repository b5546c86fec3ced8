"""Renders localizations as an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ..base.errors import InputError
from ..base.stated_limit import stated_limit

if TYPE_CHECKING:
    import numpy.typing as npt

    from .localizations import Localizations

DEFAULT_PIXEL_SIZE = 20.0  # nm; of a rendered image
LIMIT_VARIABLE = "SMDIFFUSION_MAX_RENDERED_PIXELS"  # environment variable that replaces the limits below
_MARGIN = 2  # pixels around the outermost molecules
_SMALLEST_SIDE = 16  # pixels
_LARGEST_BLUR = 20  # pixels
# A table of kilobytes must not need gigabytes: the limit grows with the number of molecules. Rendering takes about 9
# bytes per pixel.
_ALWAYS = 2**24  # pixels; 82 µm at 20 nm
_PER_MOLECULE = 1000
_MOST = 2**27
_CHUNK = 2**20  # molecules


def most_pixels(molecules: int) -> int:
    """Return the largest number of pixels of an image with this number of molecules.

    Raises
    ------
    InputError
        If the environment variable that states the limit is no positive number.
    """
    stated = stated_limit(LIMIT_VARIABLE, "pixels", 2**40)
    return min(_ALWAYS + _PER_MOLECULE * molecules, _MOST) if stated is None else int(stated)


def render(
    localizations: Localizations, pixel_size: float, name: str = "The table", levels: int = 6
) -> npt.NDArray[np.float32]:
    """Render each molecule as a normalised Gaussian of its own precision.

    The molecules are sorted into a few levels of precision. The histogram of each level is blurred once by the level's
    mean precision. A million localizations take about a second.

    Parameters
    ----------
    localizations
        Positions and precision in nm. An unknown precision is replaced by half a pixel.
    pixel_size
        Side of the image's pixels in nm.
    name
        Name of the table for messages.
    levels
        Number of different blurs.

    Returns
    -------
    (Y, X) float32, molecules per pixel, with a margin of two pixels around the outermost molecules. `rendered_corner`
    returns the position of its corner.

    Raises
    ------
    InputError
        If the image would be too large for its number of molecules; the message states a pixel size that fits.
    """
    x0, y0 = localizations.x.min(), localizations.y.min()
    shape = _shape(localizations, pixel_size, name)
    blur = np.where(np.isfinite(localizations.precision), localizations.precision / pixel_size, 0.5)
    blur = np.clip(blur, 0.3, _LARGEST_BLUR)
    image = np.zeros(shape, np.float32)
    counts = np.empty_like(image)
    for indices in np.array_split(np.argsort(blur), min(levels, len(blur))):
        counts[...] = 0
        for start in range(0, len(indices), _CHUNK):
            chunk = indices[start : start + _CHUNK]
            rows = ((localizations.y[chunk] - y0) / pixel_size).astype(np.int64) + _MARGIN
            columns = ((localizations.x[chunk] - x0) / pixel_size).astype(np.int64) + _MARGIN
            np.add.at(counts.reshape(-1), rows * shape[1] + columns, np.float32(1))
        gaussian_filter(counts, float(blur[indices].mean()), output=counts)
        image += counts
    return image


def fitting_pixel_size(localizations: Localizations, pixel_size: float) -> float:
    """Return a pixel size in nm with which the image is not too large: `pixel_size`, or a larger one."""
    height, width = (float(np.ptp(positions)) for positions in (localizations.y, localizations.x))
    return max(pixel_size, _fitting(height, width, most_pixels(len(localizations.x))))


def _shape(localizations: Localizations, pixel_size: float, name: str) -> tuple[int, int]:
    """Return the shape of the image; raises InputError if it has too many pixels."""
    height, width = (float(np.ptp(positions)) for positions in (localizations.y, localizations.x))
    limit = most_pixels(len(localizations.x))
    rows, columns = height / pixel_size + 2 * _MARGIN + 1, width / pixel_size + 2 * _MARGIN + 1
    if rows * columns > limit:
        raise InputError(
            f"{name} fills {height / 1000:.4g} × {width / 1000:.4g} µm: with pixels of {pixel_size:g} nm its image of "
            f"{len(localizations.x)} localizations has {rows * columns:.2g} pixels, more than {limit:.2g}. "
            f"Choose pixels of at least {_fitting(height, width, limit):g} nm, check the unit"
            f"{_outliers(localizations, pixel_size, limit)}, or set {LIMIT_VARIABLE} to more pixels."
        )
    return max(int(rows), _SMALLEST_SIDE), max(int(columns), _SMALLEST_SIDE)


def _fitting(height: float, width: float, limit: int) -> float:
    """Return the pixel size in nm, of two digits, with which an area in nm fills at most `limit` pixels."""
    edge = 2 * _MARGIN + 1
    # (height / p + edge) (width / p + edge) = limit, solved for 1 / p
    room = limit - edge**2
    if room <= 0:
        return math.inf
    b = edge * (height + width)
    inverse = 2 * room / (b + math.sqrt(b**2 + 4 * height * width * room)) if b else math.inf
    size = 1 / inverse
    if not size:
        return 0.0
    digits = 10.0 ** (math.floor(math.log10(size)) - 1)
    return float(f"{math.ceil(size / digits + 1e-9) * digits:.3g}")


def _outliers(localizations: Localizations, pixel_size: float, limit: int) -> str:
    """Return words about a few molecules far from all others; empty if there are none."""
    if len(localizations.x) < 100:
        return ""
    height, width = (
        float(np.diff(np.percentile(positions, [0.5, 99.5], method="nearest"))[0])
        for positions in (localizations.y, localizations.x)
    )
    fits = (height / pixel_size + 2 * _MARGIN + 1) * (width / pixel_size + 2 * _MARGIN + 1) <= limit
    return ", remove the few localizations that lie far from all others" if fits else ""


def rendered_corner(localizations: Localizations, pixel_size: float) -> tuple[float, float]:
    """Return the upper left corner of the rendered image, (y, x) in nm."""
    y, x = (float(positions.min()) - _MARGIN * pixel_size for positions in (localizations.y, localizations.x))
    return y, x
