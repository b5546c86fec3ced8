"""Registration of a widefield image with a super-resolution image of the same field.

Cameras and reconstructions put their corners where they like: pairs that agree to a widefield pixel are often off by
half of one, which is several pixels of the super-resolution image. Planes are (Y, X).
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

_REGISTERED = 0.35  # correlation above which a super-resolution image is taken to lie in the widefield image
_FOCUS, _PEAK = 1.5, 6  # widefield pixels: blur of the super-resolution image, and how wide its correlation peak is
_HAZE = 3.0  # widefield pixels: what is wider is left out
_LARGEST = 2560  # super-resolution pixels along a side: more says nothing more, and takes gigabytes
_MOST = 2  # widefield pixels by which a pair may be off
_PIXELS_DIFFER = 0.05  # by which pixel sizes may differ from the factor
# In units of 1/√(widefield pixels): simulated images of different fields reached 2.7 to 4.2, those of one field 13 up.
_CHANCE = 5.0


def find_in(sharp: Pixels, widefield: Pixels, factor: int) -> tuple[int, int] | None:
    """Find a super-resolution plane in a widefield plane of the same field or a larger one, to whole pixels.

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
    The widefield pixel (y, x) on which its corner lies; None where it fits nowhere, or in several places alike.
    """
    rows, columns = (length // factor for length in sharp.shape)
    if rows > widefield.shape[0] or columns > widefield.shape[1]:
        return None
    gathered = averaged(sharp, factor)
    # Without haze: what is wider than filaments are in a widefield image says little of where they lie.
    camera, blurred = (image - gaussian_filter(image, 8) for image in (widefield, gaussian_filter(gathered, _FOCUS)))
    fits = correlation_map(camera, blurred)
    y, x = (int(i) for i in np.unravel_index(int(fits.argmax()), fits.shape))
    elsewhere = fits.copy()
    elsewhere[max(0, y - _PEAK) : y + _PEAK + 1, max(0, x - _PEAK) : x + _PEAK + 1] = 0
    if fits[y, x] < max(_REGISTERED, 1.5 * float(elsewhere.max())):
        return None
    return y, x


def crop_to_common_field(sharp: Image, widefield: Image, factor: int) -> tuple[Image, Image, tuple[int, int]]:
    """Cut a super-resolution image and a widefield image of the same field or a larger one to what both show.

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
    The super-resolution image and the widefield image of the field, and the widefield pixel (y, x) of its corner. Where
    one has exactly `factor` times the pixels of the other they are taken to show one field, and stay as they are.

    Raises
    ------
    InputError
        If pixel sizes that are known do not differ by the factor, or the super-resolution image is larger, was not
        found in the widefield image, or planes of it were found at different places.
    """
    check_pixel_sizes(widefield, sharp, factor)
    if sharp.size == tuple(length * factor for length in widefield.size):
        return sharp, widefield, (0, 0)
    planes = zip(sharp.pixels, widefield.pixels, strict=False)
    found = {find_in(fine, coarse, factor) for fine, coarse in planes} - {None}
    if len(found) > 1:
        raise InputError(f"Planes of {sharp.name} lie at different places of {widefield.name}: crop both to one field.")
    corner = next(iter(found), None)
    if corner is None:
        (height, width), (rows, columns) = sharp.size, widefield.size
        raise InputError(
            f"{sharp.name} of {height} × {width} pixels was not found in {widefield.name}, whose field has "
            f"{rows * factor} × {columns * factor} of them for a factor of {factor}: crop both to the same field, or "
            "give another factor."
        )
    return *crop_pair(sharp, widefield, factor, corner), corner


def check_pixel_sizes(widefield: Image, fine: Image, factor: int) -> None:
    """Raise a ValueError where the pixel sizes are known and do not differ by the factor."""
    one, other = fine.pixel_size, widefield.pixel_size
    if one and other and abs(other / one / factor - 1) > _PIXELS_DIFFER:
        raise InputError(
            f"{fine.name} has pixels of {one:.4g} nm and {widefield.name} of {other:.4g} nm, which is no factor of "
            f"{factor}: give images of the same field, another factor, or mend a pixel size."
        )


def crop_pair(sharp: Image, widefield: Image, factor: int, corner: tuple[int, int]) -> tuple[Image, Image]:
    """Cut a super-resolution image and a widefield image to what both show, where the one's corner lies is known.

    What is left of the super-resolution image is a whole number of widefield pixels, of which `corner` is the first.
    """
    rows, columns = (length // factor for length in sharp.size)
    y, x = corner
    fine = sharp.crop(slice(0, rows * factor), slice(0, columns * factor))
    return fine, widefield.crop(slice(y, y + rows), slice(x, x + columns))


def registration_shift(
    widefield: Sequence[Pixels] | Pixels, sharp: Sequence[Pixels] | Pixels, factor: int
) -> tuple[float, float] | None:
    """Return by how much a widefield image must be translated to be registered with the super-resolution image.

    The highest correlation of the two without what is wider than filaments, to parts of a pixel by a parabola through
    it and its neighbours; the planes of a stack are taken to share one shift.

    Parameters
    ----------
    widefield, sharp
        Planes (Y, X) and (Y·factor, X·factor) of the same field, off by at most two widefield pixels.
    factor
        Super-resolution pixels per widefield pixel.

    Returns
    -------
    (y, x) in super-resolution pixels, positive towards larger indices; None where the two do not correlate more than
    images of different fields do by chance, or are off by more.
    """
    most = _MOST * factor
    # The middle of a large field says it as well.
    pairs = [_middle(w, s, factor) for w, s in zip(widefield, sharp, strict=True)]
    maps = [_correlations(w, s, factor, most + 1) for w, s in pairs]
    found = np.mean(maps, axis=0)
    y, x = (int(i) for i in np.unravel_index(int(found.argmax()), found.shape))
    by_chance = _CHANCE / np.sqrt(sum(w.size for w, _ in pairs))
    # At the edge, which is a pixel further out, the search has run away: a pair that is off so far is no pair.
    if found[y, x] <= by_chance or max(abs(y - most - 1), abs(x - most - 1)) > most:
        return None
    down, right = _vertex(*found[y - 1 : y + 2, x]), _vertex(*found[y, x - 1 : x + 2])
    return most + 1 - y - down, most + 1 - x - right


def _middle(widefield: Pixels, sharp: Pixels, factor: int) -> tuple[Pixels, Pixels]:
    """Return the same place of both, `_LARGEST` fine pixels along a side at most."""
    side = _LARGEST // factor
    y, x = (max(0, length - side) // 2 for length in widefield.shape)
    f = factor
    return widefield[y : y + side, x : x + side], sharp[y * f : (y + side) * f, x * f : (x + side) * f]


def _correlations(widefield: Pixels, sharp: Pixels, factor: int, most: int) -> Pixels:
    """Return the correlation at every shift of up to `most` pixels, (2·most + 1, 2·most + 1)."""
    fine = zoom(widefield, factor, order=3, grid_mode=True, mode="nearest") if factor > 1 else widefield
    one, other = (plane - gaussian_filter(plane, _HAZE * factor) for plane in (fine, sharp))
    return correlation_map(one, other[most:-most, most:-most])


def _vertex(before: float, top: float, after: float) -> float:
    """Return where the parabola through three equidistant points is highest, relative to the middle one."""
    curved = before - 2 * top + after
    return float(0.5 * (before - after) / curved) if curved < 0 else 0.0


def translated(plane: Pixels, by: tuple[float, float]) -> Pixels:
    """Return a plane translated by (y, x) pixels, between pixels by cubic splines; its border is repeated."""
    return np.asarray(shift(plane, by, order=3, mode="nearest"), np.float32)
