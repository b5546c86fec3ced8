"""An enhanced image with what it is judged by, and its error maps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, Stopped
from ..base.events import Countdown, Progress, Steps, Stop, never, run
from ..images.provenance import ERROR_MAP, Provenance
from ..images.registration import check_pixel_sizes, crop_to_common_field
from ..measure.error_map import ErrorMap, error_map
from .measures.enhancement import ENHANCEMENT, similarity_to_reference

if TYPE_CHECKING:
    from ..images.image import Image


@dataclass(frozen=True)
class EnhancedField:
    """An enhanced image, the widefield image it was made of, and a super-resolution image of the field if there is one.

    `uncertainty` is the map that came with the enhanced image, and `part` says in a sentence which part of a larger
    field they are of (see `cropped_to_reference`).

    Raises
    ------
    InputError
        If they cannot be images of one field: the enhanced one must have a whole number of times as many pixels, of
        sizes that agree where they are known.
    """

    enhanced: Image
    widefield: Image
    reference: Image | None = None
    uncertainty: Image | None = None
    part: str = ""

    def __post_init__(self) -> None:
        for image in (self.enhanced, self.reference, self.uncertainty):
            check_field(self.widefield, image, self.factor)

    @classmethod
    def cropped_to_reference(
        cls, enhanced: Image, widefield: Image, reference: Image | None = None, uncertainty: Image | None = None
    ) -> EnhancedField:
        """Return the field; where the reference shows a part of it, that part, which is looked for.

        Raises
        ------
        InputError
            If the reference is larger than the field or was not found in it, and as `EnhancedField` does.
        """
        whole = cls(enhanced, widefield, None, uncertainty)
        if reference is None:
            return whole
        truth, camera, (y, x) = crop_to_common_field(reference, widefield, whole.factor)
        if camera is widefield:
            return replace(whole, reference=truth)
        (rows, columns), f = camera.size, whole.factor
        fine = slice(y * f, (y + rows) * f), slice(x * f, (x + columns) * f)
        # Of a file the report tells the name, and not where it lay.
        of, there = (Path(image.name).name for image in (widefield, reference))
        place = f"rows {y} to {y + rows - 1} and columns {x} to {x + columns - 1}"
        part = f"Of {of}, {place} are judged, where {there} lies."
        width = None if uncertainty is None else uncertainty.crop(*fine)
        return cls(enhanced.crop(*fine), camera, truth, width, part)

    @property
    def factor(self) -> int:
        """Enhanced pixels per widefield pixel, along each axis."""
        return self.enhanced.size[0] // self.widefield.size[0]


def check_field(widefield: Image, fine: Image | None, factor: int) -> None:
    """Raise a ValueError if a finer image cannot be one of the field of a widefield image."""
    if fine is None:
        return
    size = widefield.size
    if not factor or fine.pixels.shape != (len(widefield), size[0] * factor, size[1] * factor):
        raise InputError(
            f"{fine.name} has shape {fine.pixels.shape}, which is no whole number of times that of "
            f"{widefield.name}, {widefield.pixels.shape}: give images of the same field."
        )
    check_pixel_sizes(widefield, fine, factor)


def error_map_steps(field: EnhancedField, stop: Stop = never) -> Steps[list[ErrorMap]]:
    """Return the error map of each plane; yields Progress, and raises Stopped where `stop` says so."""
    maps: list[ErrorMap] = []
    total = len(field.widefield)
    countdown = Countdown(0, total)
    for sharp, camera in zip(field.enhanced.pixels, field.widefield.pixels, strict=True):
        if stop():
            raise Stopped("Stopped: there is no error map.")
        maps.append(error_map(sharp, camera, field.factor))
        yield Progress("mapping errors", len(maps), total, countdown.left(len(maps)))
    return maps


def mapped_error_steps(field: EnhancedField, stop: Stop = never) -> Steps[Image]:
    """Return the error maps as an image that lies on the widefield image, with each plane's `rse` and `rsp`.

    Yields Progress at every plane, and raises Stopped where `stop` says so.
    """
    maps = yield from error_map_steps(field, stop)
    made = Provenance(ERROR_MAP, rse=tuple(m.rse for m in maps), rsp=tuple(m.rsp for m in maps))
    return replace(field.widefield, pixels=np.stack([m.error for m in maps]), provenance=made)


def mapped_error(field: EnhancedField) -> Image:
    """Do what `mapped_error_steps` does, at once."""
    return run(mapped_error_steps(field))


def compare_with_reference(
    field: EnhancedField, columns: slice = slice(None), rows: slice = slice(None)
) -> dict[str, Any]:
    """Return what `similarity_to_reference` computes as plain values, as they stand in a report."""
    values: dict[str, Any] = ENHANCEMENT.to_json(similarity_to_reference(field, columns, rows))[ENHANCEMENT.key]
    return values
