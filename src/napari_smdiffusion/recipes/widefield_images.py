"""What becomes of the widefield images of an enhancement: read on square pixels, and compared with their results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..base.events import Note
from ..enhance.pixel_fit import PixelFit
from ..images.image import AnisotropicPixelsError
from ..images.regions import cut, within
from ..measure.explained import doubt, explained

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..base.events import Steps
    from ..images.image import Image
    from ..images.regions import Rectangle

_COMPARED = 5  # planes of a result that are compared with the widefield image


def read_widefield(
    read: Callable[[], Image], expected: float | None, enhancer: str, region: Sequence[Rectangle] = ()
) -> Steps[Image]:
    """Read a widefield image, or a region of it.

    Pixels that are not square are resampled to those of the enhancer, with a Note.

    Parameters
    ----------
    read
        Reads the image.
    expected
        Side of a pixel in nm that the enhancer is trained for; None if unknown: the smaller side then is that of the
        new pixels.
    enhancer
        Name of the enhancer.
    region
        A rectangle in pixels of the image as it is read, or none.

    Raises
    ------
    InputError
        If the region lies outside of the image, or a side of the pixels is more than a factor of two from that of the
        training.
    Exception
        Any other error of `read`.
    """
    try:
        return _part(read(), region)
    except AnisotropicPixelsError as error:
        image, fit = _part(error.image, region, error.sides[0]), PixelFit(error.sides, expected)
    from ..enhance.resampling import squared  # SciPy's sparse arrays take long to import

    fit.check(image.name, enhancer)
    yield Note(f"{image.name} is {fit.words}, because its pixels are not square.")
    return squared(image, fit)


def _part(image: Image, region: Sequence[Rectangle], height: float | None = None) -> Image:
    """Return a region of an image, whose pixels are `height` nm high if they are not square."""
    for rectangle in region:
        window = within(image, rectangle)
        part = cut(image, window)
        if height is not None:
            part = replace(part, origin=(image.origin[0] + window[0].start * height, part.origin[1]))
        image = part
    return image


def contradictions(enhanced: Image, widefield: Image) -> tuple[str, ...]:
    """Return a sentence if a result explains its widefield image too little; of several planes, the worst is named.

    A plane without any contrast shows nothing that a result could explain, such as a black frame of a film.
    """
    factor = enhanced.size[0] // widefield.size[0]
    agreements = {
        plane: explained(enhanced.pixels[plane], widefield.pixels[plane], factor)
        for plane in compared_planes(widefield)
        if np.ptp(widefield.pixels[plane]) > 0
    }
    if not agreements:
        return ()
    worst = min(agreements, key=lambda plane: agreements[plane])
    said = doubt(f"plane {worst} of {widefield.name}" if len(widefield) > 1 else widefield.name, agreements[worst])
    return (said,) if said else ()


def compared_planes(image: Image) -> list[int]:
    """Return the planes of an image that are looked at: up to `_COMPARED`, from the first to the last."""
    last = len(image) - 1
    return list(dict.fromkeys(round(k * last / (_COMPARED - 1)) for k in range(_COMPARED)))
