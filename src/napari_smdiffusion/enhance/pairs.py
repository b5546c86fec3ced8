"""Pairs of widefield and super-resolution images, cropped to their common field of view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Note, Steps
from ..images.registration import crop_to_common_field, registration_shift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..images.image import Image


def cut_to_shared_field(pairs: Sequence[tuple[Image, Image]], upscale: int) -> Steps[list[tuple[Image, Image]]]:
    """Crop each widefield image to the field of its super-resolution image, which may show a part of it.

    Parameters
    ----------
    pairs
        (widefield, super-resolution) images. The super-resolution pixels are `upscale` times finer.
    upscale
        Super-resolution pixels per widefield pixel, along each axis.

    Yields
    ------
    A Note with the position of each part.
    """
    cropped = []
    for coarse, fine in pairs:
        if len(coarse) != len(fine):
            raise InputError(
                f"{coarse.name} has {len(coarse)} planes and {fine.name} {len(fine)}: give the same number of planes, "
                "of the same fields."
            )
        truth, camera, (y, x) = crop_to_common_field(fine, coarse, upscale)
        if camera is not coarse:
            rows, columns = camera.size
            yield Note(
                f"{fine.name} shows rows {y} to {y + rows - 1} and columns {x} to {x + columns - 1} of {coarse.name}."
            )
        cropped.append((camera, truth))
    return cropped


def registered_pairs(pairs: Sequence[tuple[Image, Image]], upscale: int) -> Steps[list[tuple[Image, Image]]]:
    """Register each pair to whole super-resolution pixels and crop it to the overlap; pixel values do not change.

    Shifts of up to two widefield pixels are found. Yields a Note for each pair with a shift or without a match.
    """
    registered = []
    for coarse, fine in pairs:
        shift = registration_shift(list(coarse.pixels), list(fine.pixels), upscale)
        if shift is None:
            yield Note(
                f"{fine.name} was not found in {coarse.name} within two widefield pixels: the pair is used without "
                "registration. Check that both show one field."
            )
            shift = 0.0, 0.0
        whole = round(shift[0]), round(shift[1])
        if any(whole):
            yield Note(
                f"{fine.name} is shifted by ({shift[0]:.1f}, {shift[1]:.1f}) pixels (y, x) against {coarse.name}: both "
                "are cropped to their overlap."
            )
            coarse, fine = crop_to_overlap(coarse, fine, whole, upscale)
        registered.append((coarse, fine))
    return registered


def crop_to_overlap(coarse: Image, fine: Image, shift: tuple[int, int], upscale: int) -> tuple[Image, Image]:
    """Crop both images to the widefield pixels that the shifted super-resolution image covers."""
    windows = []
    for by, length in zip(shift, coarse.size, strict=True):
        cut = -(-abs(by) // upscale)
        windows.append((slice(cut, length - cut), slice(cut * upscale + by, (length - cut) * upscale + by)))
    (rows, fine_rows), (columns, fine_columns) = windows
    return coarse.crop(rows, columns), fine.crop(fine_rows, fine_columns)
