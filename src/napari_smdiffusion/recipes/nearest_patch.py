"""The search for the window that a generated patch resembles most, which shows whether the patch is a copy."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import InputError, Stopped
from ..base.events import Progress, Steps, Stop, never
from ..images.patches import averaged, inverse_symmetry, symmetry
from ..images.provenance import join_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from ..images.image import Image
    from ..images.provenance import TrainingImage
    from ..images.regions import Window
    from ..measure.nearest import Match
    from .job import Source


@dataclass(frozen=True, eq=False)
class NearestPatch:
    """The window of the searched images that resembles a patch most.

    Parameters
    ----------
    pixels
        (Y, X) pixels of the window, in the orientation of the patch.
    correlation
        Pearson's correlation of both, on averages of 2 × 2 pixels.
    source, plane
        Index of the image, and of its plane.
    window
        Rows and columns of the window in that image.
    unseen
        Names of the training images if none of them was searched, otherwise "".
    """

    pixels: Pixels
    correlation: float
    source: int
    plane: int
    window: Window
    unseen: str


@dataclass(frozen=True, eq=False)
class _Plane:
    """A plane to search, and where it is: its image, its index there, and its first pixel (row, column) there."""

    pixels: Pixels
    source: int
    index: int
    corner: tuple[int, int]


def nearest_patch(
    patch: Pixels, sources: Sequence[Source], training: Sequence[TrainingImage], stop: Stop = never
) -> Steps[NearestPatch]:
    """Search all planes for the window that resembles a patch most, in any of the 8 symmetries.

    Averages of 2 × 2 pixels are compared: they keep the structure, and have half of the noise.

    Parameters
    ----------
    patch
        (Y, X) pixels.
    sources
        Images to search. If images of the training, or images that hold them, are among them, only these are searched,
        and of each only what was trained on.
    training
        Training images that the model states.
    stop
        Called before each plane. If it returns True, the result is that of the planes before.

    Raises
    ------
    InputError
        If no image can be searched.
    Stopped
        If the search was stopped before its first plane.
    """
    from ..measure.nearest import nearest_matches

    planes, known = _planes(patch, sources, tuple(training), stop)
    if not planes:
        names = join_names(source.name for source in sources)
        raise InputError(f"{names} cannot be searched: check for NaN pixels.")
    best: tuple[Match, _Plane] | None = None
    for i, plane in enumerate(planes):
        yield Progress("searching", i, len(planes), float("inf"))
        if stop():
            break
        match = nearest_matches(averaged(patch[np.newaxis], 2), [averaged(plane.pixels, 2)])[0]
        if best is None or match.correlation > best[0].correlation:
            best = _refined(match, symmetry(patch, match.symmetry), plane.pixels), plane
    if best is None:
        raise Stopped("Stopped before any image was searched.")
    unseen = "" if known else join_names(dict.fromkeys(image.name for image in training))
    return _cut_out(*best, (patch.shape[0], patch.shape[1]), unseen)


def _planes(
    patch: Pixels, sources: Sequence[Source], training: tuple[TrainingImage, ...], stop: Stop
) -> tuple[list[_Plane], bool]:
    """Return the planes to search, and whether they are those of training images."""
    from ..report.training_data import known_parts

    images = []
    for index, source in enumerate(sources):
        with suppress(ValueError):  # for example NaN pixels: no training image has them
            images.append((index, source.read(stop)))
    parts = [(index, image, part) for index, image in images for part in known_parts(image, training)]
    parts = [entry for entry in parts if min(entry[2].size) >= max(patch.shape)]
    searched = parts or [(index, image, image) for index, image in images]
    planes = [
        _Plane(plane, index, k, _first_pixel(image, part))
        for index, image, part in searched
        for k, plane in enumerate(part.pixels)
    ]
    return planes, bool(parts)


def _first_pixel(image: Image, part: Image) -> tuple[int, int]:
    """Return the first pixel (row, column) of a part of an image in that image."""
    whole, own = (one.provenance.window or (0, 0, 0, 0) for one in (image, part))
    return own[0] - whole[0], own[2] - whole[2]


def _cut_out(match: Match, plane: _Plane, shape: tuple[int, int], unseen: str) -> NearestPatch:
    """Return the window of a match with a patch of this shape; a quarter turn exchanges its sides."""
    height, width = shape[::-1] if match.symmetry % 2 else shape
    pixels = plane.pixels[match.y : match.y + height, match.x : match.x + width]
    top, left = plane.corner[0] + match.y, plane.corner[1] + match.x
    return NearestPatch(
        np.ascontiguousarray(inverse_symmetry(pixels, match.symmetry)),
        match.correlation,
        plane.source,
        plane.index,
        (slice(top, top + height), slice(left, left + width)),
        unseen,
    )


def _refined(match: Match, patch: Pixels, plane: Pixels) -> Match:
    """Return a match on 2 × 2 averages at the accuracy of one pixel: a copy may start at an odd pixel.

    The patch has the orientation of the plane.
    """
    (height, width), best = patch.shape, replace(match, y=2 * match.y, x=2 * match.x)
    for y, x in itertools.product((best.y - 1, best.y, best.y + 1), (best.x - 1, best.x, best.x + 1)):
        window = plane[max(y, 0) : y + height, max(x, 0) : x + width]
        if window.shape != patch.shape or not np.ptp(window):
            continue
        correlation = float(np.corrcoef(averaged(patch, 2).ravel(), averaged(window, 2).ravel())[0, 1])
        if correlation > best.correlation:
            best = replace(best, y=y, x=x, correlation=correlation)
    return best
