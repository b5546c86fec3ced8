"""Registration of a widefield image with a super-resolution image of the same field of view.

Cameras and reconstruction programs define the corner of an image differently. Pairs with equal corners are often
shifted by half a widefield pixel, which is several pixels of the super-resolution image. Planes are (Y, X).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, shift, zoom

from ..base.errors import InputError
from .correlation import correlation_map
from .patches import averaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .image import Image

if TYPE_CHECKING:
    Pixels = npt.NDArray[np.float32]

_MIN_CORRELATION = 0.35  # of a super-resolution image and the widefield image that contains its field
_FOCUS_BLUR, _PEAK = 1.5, 6  # widefield pixels: blur of the super-resolution image, half-width of a correlation peak
_LONGEST_DETAIL = 3.0  # widefield pixels: σ of the Gaussian that removes structures wider than filaments
_MAX_SIDE = 2560  # super-resolution pixels: larger fields add no precision and take gigabytes of memory
_MAX_SHIFT = 2  # widefield pixels between the images of a pair
_PIXEL_SIZE_TOLERANCE = 0.05  # relative difference between the ratio of the pixel sizes and the factor
# Highest correlation by chance, in units of 1/√(widefield pixels). Simulated images of different fields reached 2.7 to
# 4.2; those of one field reached 13 or more.
_CHANCE_LIMIT = 5.0


def find_in(sharp: Pixels, widefield: Pixels, factor: int) -> tuple[int, int] | None:
    """Find a super-resolution plane in a widefield plane of the same or a larger field, to whole widefield pixels.

    Parameters
    ----------
    sharp
        (Y, X) super-resolution pixels.
    widefield
        (Y, X) widefield pixels, each `factor` super-resolution pixels wide.
    factor
        Super-resolution pixels per widefield pixel.

    Returns
    -------
    The widefield pixel (y, x) at its corner. None if the correlation is low everywhere, or similar at several places.
    """
    rows, columns = (length // factor for length in sharp.shape)
    if rows > widefield.shape[0] or columns > widefield.shape[1]:
        return None
    blurred = gaussian_filter(averaged(sharp, factor), _FOCUS_BLUR)
    # Structures wider than filaments (haze) contribute little to the position, so they are removed.
    camera_detail, sharp_detail = (image - gaussian_filter(image, 8) for image in (widefield, blurred))
    correlation = correlation_map(camera_detail, sharp_detail)
    y, x = (int(i) for i in np.unravel_index(int(correlation.argmax()), correlation.shape))
    without_peak = correlation.copy()
    without_peak[max(0, y - _PEAK) : y + _PEAK + 1, max(0, x - _PEAK) : x + _PEAK + 1] = 0
    if correlation[y, x] < max(_MIN_CORRELATION, 1.5 * float(without_peak.max())):
        return None
    return y, x


def crop_to_common_field(sharp: Image, widefield: Image, factor: int) -> tuple[Image, Image, tuple[int, int]]:
    """Crop a super-resolution image and a widefield image of the same or a larger field to their common field.

    Parameters
    ----------
    sharp
        (N, Y, X) super-resolution pixels.
    widefield
        (N, Y, X) widefield pixels, each `factor` super-resolution pixels wide.
    factor
        Super-resolution pixels per widefield pixel.

    Returns
    -------
    The super-resolution image and the widefield image of the common field, and the widefield pixel (y, x) at its
    corner. If the sides of the images differ by exactly `factor`, the images are assumed to show one field and are
    unchanged.

    Raises
    ------
    InputError
        If the known pixel sizes do not differ by the factor. Also if the super-resolution image is larger than the
        widefield image, is not found in it, or its planes are found at different places.
    """
    check_pixel_sizes(widefield, sharp, factor)
    if sharp.size == tuple(length * factor for length in widefield.size):
        return sharp, widefield, (0, 0)
    planes = zip(sharp.pixels, widefield.pixels, strict=False)
    corners = {find_in(fine, coarse, factor) for fine, coarse in planes} - {None}
    if len(corners) > 1:
        raise InputError(
            f"Planes of {sharp.name} were found at different places of {widefield.name}: crop both to one field."
        )
    corner = next(iter(corners), None)
    if corner is None:
        (height, width), (rows, columns) = sharp.size, widefield.size
        raise InputError(
            f"{sharp.name} of {height} × {width} pixels was not found in {widefield.name} of "
            f"{rows * factor} × {columns * factor} pixels at a factor of {factor}. Crop both to the same field, or "
            "give another factor."
        )
    return *crop_pair(sharp, widefield, factor, corner), corner


def check_pixel_sizes(widefield: Image, fine: Image, factor: int) -> None:
    """Raise an InputError if both pixel sizes are known and do not differ by the factor."""
    fine_pixel, coarse_pixel = fine.pixel_size, widefield.pixel_size
    if fine_pixel and coarse_pixel and abs(coarse_pixel / fine_pixel / factor - 1) > _PIXEL_SIZE_TOLERANCE:
        raise InputError(
            f"{fine.name} has pixels of {fine_pixel:.4g} nm and {widefield.name} of {coarse_pixel:.4g} nm. This is no "
            f"factor of {factor}: give images of the same field, give another factor, or correct a pixel size."
        )


def crop_pair(sharp: Image, widefield: Image, factor: int, corner: tuple[int, int]) -> tuple[Image, Image]:
    """Crop a super-resolution image and a widefield image to their common field.

    The super-resolution image begins at the widefield pixel `corner`, (y, x). It is cropped to whole widefield pixels.
    """
    rows, columns = (length // factor for length in sharp.size)
    y, x = corner
    fine = sharp.crop(slice(0, rows * factor), slice(0, columns * factor))
    return fine, widefield.crop(slice(y, y + rows), slice(x, x + columns))


def registration_shift(
    widefield: Sequence[Pixels] | Pixels, sharp: Sequence[Pixels] | Pixels, factor: int
) -> tuple[float, float] | None:
    """Return the translation that registers a widefield image with the super-resolution image.

    Structures wider than filaments are removed from both images. The shift is at the maximum of their correlation; a
    parabola through the maximum and its neighbours gives it to a fraction of a pixel. The planes of a stack share one
    shift.

    Parameters
    ----------
    widefield, sharp
        Planes (Y, X) and (Y·factor, X·factor) of the same field, shifted by at most two widefield pixels.
    factor
        Super-resolution pixels per widefield pixel.

    Returns
    -------
    (y, x) in super-resolution pixels, positive towards larger indices. None if the correlation is no higher than that
    of images of different fields, or the shift is larger.
    """
    max_shift = _MAX_SHIFT * factor
    pairs = [_middle(w, s, factor) for w, s in zip(widefield, sharp, strict=True)]
    maps = [_correlations(w, s, factor, max_shift + 1) for w, s in pairs]
    correlation = np.mean(maps, axis=0)
    y, x = (int(i) for i in np.unravel_index(int(correlation.argmax()), correlation.shape))
    by_chance = _CHANCE_LIMIT / np.sqrt(sum(w.size for w, _ in pairs))
    # The map reaches one pixel further than `max_shift`: a maximum at its edge is none of the permitted shifts.
    if correlation[y, x] <= by_chance or max(abs(y - max_shift - 1), abs(x - max_shift - 1)) > max_shift:
        return None
    down, right = _vertex(*correlation[y - 1 : y + 2, x]), _vertex(*correlation[y, x - 1 : x + 2])
    return max_shift + 1 - y - down, max_shift + 1 - x - right


def _middle(widefield: Pixels, sharp: Pixels, factor: int) -> tuple[Pixels, Pixels]:
    """Return the same middle part of both planes, with sides of at most `_MAX_SIDE` super-resolution pixels."""
    side = _MAX_SIDE // factor
    y, x = (max(0, length - side) // 2 for length in widefield.shape)
    f = factor
    return widefield[y : y + side, x : x + side], sharp[y * f : (y + side) * f, x * f : (x + side) * f]


def _correlations(widefield: Pixels, sharp: Pixels, factor: int, reach: int) -> Pixels:
    """Return the correlation at every shift of up to `reach` pixels, (2·reach + 1, 2·reach + 1)."""
    fine = zoom(widefield, factor, order=3, grid_mode=True, mode="nearest") if factor > 1 else widefield
    fine_detail, sharp_detail = (plane - gaussian_filter(plane, _LONGEST_DETAIL * factor) for plane in (fine, sharp))
    return correlation_map(fine_detail, sharp_detail[reach:-reach, reach:-reach])


def _vertex(before: float, top: float, after: float) -> float:
    """Return the maximum of the parabola through three equidistant points, relative to the middle point."""
    curvature = before - 2 * top + after
    return float(0.5 * (before - after) / curvature) if curvature < 0 else 0.0


def translated(plane: Pixels, by: tuple[float, float]) -> Pixels:
    """Return a plane translated by (y, x) pixels, with cubic spline interpolation; border pixels are repeated."""
    return np.asarray(shift(plane, by, order=3, mode="nearest"), np.float32)
