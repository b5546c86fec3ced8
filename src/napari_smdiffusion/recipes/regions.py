"""The parts of images that a training draws from: inside of a region, or outside of what is held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..images.regions import cut, in_words, window_of, windows_to_train_on, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..images.regions import Rectangle, Whole, WholeT, Window

    Division = Sequence[Sequence[Window]]  # for each image, the windows to train on


def division(
    images: Sequence[Whole],
    region: Sequence[Rectangle],
    held_out: Sequence[Rectangle],
    patch: int,
    multiple: int = 1,
) -> Division:
    """Return the windows of each image that are trained on.

    Parameters
    ----------
    images
        The training images.
    region, held_out
        Rectangles in pixels of each image: trained on, or not trained on.
    patch, multiple
        See `windows_to_train_on`.

    Raises
    ------
    InputError
        If `region` lies outside of an image, `held_out` outside of all, or no patch fits into the rest of an image.
    """
    for rectangle in held_out:
        top, _, left, _ = rectangle
        if images and not any(top < image.size[0] and left < image.size[1] for image in images):
            raise InputError(f"The region to hold out, {in_words(rectangle)}, lies outside of all images.", "held_out")
    windows = [window_of(rectangle) for rectangle in held_out]
    return [
        windows_to_train_on(image, [within(image, part) for part in region], windows, patch, multiple)
        for image in images
    ]


def divided(images: Sequence[WholeT], windows: Division) -> list[WholeT]:
    """Return the parts of the images, in their order."""
    return [cut(image, window) for image, own in zip(images, windows, strict=True) for window in own]


def divided_widefield(
    widefield: Sequence[WholeT], images: Sequence[Whole], windows: Division, factor: int
) -> list[WholeT]:
    """Return the widefield image of each part of the super-resolution images.

    Of a widefield image of the same field of view it is the same part. A larger one stays whole: the part is then
    found in it.
    """
    found = []
    for coarse, fine, own in zip(widefield, images, windows, strict=True):
        same = fine.size == (coarse.size[0] * factor, coarse.size[1] * factor)
        for rows, columns in own:
            part = (
                slice(rows.start // factor, rows.stop // factor),
                slice(columns.start // factor, columns.stop // factor),
            )
            found.append(cut(coarse, part) if same else coarse)
    return found


def divided_weights(weights: Sequence[float] | None, windows: Division) -> list[float] | None:
    """Return the weight of each part: that of its image, in proportion to its share of the pixels trained on."""
    if weights is None or len(weights) != len(windows):
        return None if weights is None else list(weights)  # a wrong number is refused later
    shared: list[float] = []
    for weight, own in zip(weights, windows, strict=True):
        areas = [(rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in own]
        shared += [weight * area / sum(areas) for area in areas]
    return shared
