"""Pairs of widefield and super-resolution images, cut to the field that both show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Note, Steps
from ..images.registration import crop_to_common_field, registration_shift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..images.image import Image


def cut_to_shared_field(pairs: Sequence[tuple[Image, Image]], upscale: int) -> Steps[list[tuple[Image, Image]]]:
    """Cut each pair to the field that both show, where the super-resolution image shows a part of the other's."""
    found = []
    for coarse, fine in pairs:
        if len(coarse) != len(fine):
            raise InputError(
                f"{coarse.name} has {len(coarse)} planes and {fine.name} {len(fine)}: give as many of one as of the "
                "other, of the same fields."
            )
        truth, camera, (y, x) = crop_to_common_field(fine, coarse, upscale)
        if camera is not coarse:
            rows, columns = camera.size
            yield Note(
                f"{fine.name} lies in rows {y} to {y + rows - 1} and columns {x} to {x + columns - 1} of {coarse.name}."
            )
        found.append((camera, truth))
    return found


def registered_pairs(pairs: Sequence[tuple[Image, Image]], upscale: int) -> Steps[list[tuple[Image, Image]]]:
    """Cut each pair to where both images show the same field, to a pixel; the pixels themselves stay as they are."""
    found = []
    for coarse, fine in pairs:
        by = registration_shift(list(coarse.pixels), list(fine.pixels), upscale)
        if by is None:
            yield Note(
                f"{fine.name} was not found in {coarse.name} within two widefield pixels: the two are taken as they "
                "lie. Look whether they show one field."
            )
            by = 0.0, 0.0
        whole = round(by[0]), round(by[1])
        if any(whole):
            yield Note(
                f"{fine.name} is shifted by ({by[0]:.1f}, {by[1]:.1f}) pixels (y, x) against {coarse.name}: both are "
                "cut to what they share."
            )
            coarse, fine = _shared(coarse, fine, whole, upscale)
        found.append((coarse, fine))
    return found


def _shared(coarse: Image, fine: Image, shift: tuple[int, int], upscale: int) -> tuple[Image, Image]:
    """Return the pair without the widefield pixels at the border whose field the shifted image does not hold."""
    inner = []
    for by, length in zip(shift, coarse.size, strict=True):
        cut = -(-abs(by) // upscale)
        inner.append((slice(cut, length - cut), slice(cut * upscale + by, (length - cut) * upscale + by)))
    (rows, fine_rows), (columns, fine_columns) = inner
    return coarse.crop(rows, columns), fine.crop(fine_rows, fine_columns)
