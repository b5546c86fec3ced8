"""An enhanced image with its widefield image and reference, and its error maps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, Stopped
from ..base.events import Countdown, Progress, Steps, Stop, never, run
from ..images.provenance import ERROR_MAP, Provenance
from ..images.regions import in_words, within
from ..images.registration import check_pixel_sizes, crop_to_common_field
from ..measure.error_map import ErrorMap, error_map
from .measures.enhancement import ENHANCEMENT, similarity_to_reference

if TYPE_CHECKING:
    from ..images.image import Image
    from ..images.regions import Rectangle


@dataclass(frozen=True)
class EnhancedField:
    """An enhanced image, its widefield image, and a super-resolution image of the field as the reference.

    Parameters
    ----------
    enhanced, widefield
        Images of one field.
    reference, uncertainty
        Super-resolution image and uncertainty map on the pixels of `enhanced`; None if missing.
    part
        A sentence on the part of a larger field that the images show (see `cropped_to_reference`).
    placed
        Whether the origins of the images are their places. False if a part was cut to the reference and none of them
        has a place: all origins are then 0.

    Raises
    ------
    InputError
        If the shape of a finer image is not a whole multiple of the shape of `widefield`, or the pixel sizes disagree.
    """

    enhanced: Image
    widefield: Image
    reference: Image | None = None
    uncertainty: Image | None = None
    part: str = ""
    placed: bool = True

    def __post_init__(self) -> None:
        for image in (self.enhanced, self.reference, self.uncertainty):
            check_field(self.widefield, image, self.factor)

    @classmethod
    def cropped_to_reference(
        cls,
        enhanced: Image,
        widefield: Image,
        reference: Image | None = None,
        uncertainty: Image | None = None,
        region: Rectangle | None = None,
    ) -> EnhancedField:
        """Return the field, cropped to the part that the reference shows; the part is found by correlation.

        With `region`, a rectangle in pixels of the widefield image, it is cropped to that too.

        Raises
        ------
        InputError
            If the reference is larger than the field or is not found in it, or as `EnhancedField` and `inside`.
        """
        whole = cls(enhanced, widefield, None, uncertainty)
        if reference is None:
            return whole if region is None else whole.inside(region)
        truth, camera, (y, x) = crop_to_common_field(reference, widefield, whole.factor)
        if camera is widefield:
            field = replace(whole, reference=truth)
            return field if region is None else field.inside(region)
        (rows, columns), f = camera.size, whole.factor
        fine = slice(y * f, (y + rows) * f), slice(x * f, (x + columns) * f)
        # Reports have the name of a file without its folder.
        whole_name, part_name = (Path(image.name).name for image in (widefield, reference))
        place = f"rows {y} to {y + rows - 1} and columns {x} to {x + columns - 1}"
        part = f"Only {place} of {whole_name} are compared: the field of {part_name}."
        cropped_uncertainty = None if uncertainty is None else uncertainty.crop(*fine)
        placed = _has_place(widefield) or _has_place(reference)
        field = cls(enhanced.crop(*fine), camera, truth, cropped_uncertainty, part, placed)
        return field if region is None else field.inside(region, (y, x))

    def inside(self, region: Rectangle, corner: tuple[int, int] = (0, 0)) -> EnhancedField:
        """Return a part of the field.

        Parameters
        ----------
        region
            Rectangle in pixels of the widefield image.
        corner
            The first pixel (row, column) of `self.widefield` in that image.

        Raises
        ------
        InputError
            If the field has fewer than 16 widefield pixels of the region along a side.
        """
        top, bottom, left, right = region
        y, x = corner
        rows, columns = within(
            self.widefield, (max(0, top - y), max(0, bottom - y), max(0, left - x), max(0, right - x))
        )
        f = self.factor
        fine = slice(rows.start * f, rows.stop * f), slice(columns.start * f, columns.stop * f)
        place = (y + rows.start, y + rows.stop, x + columns.start, x + columns.stop)
        part = f"Only {in_words(place)} of {Path(self.widefield.name).name} are compared: the chosen region."
        reference, uncertainty = (
            None if image is None else image.crop(*fine) for image in (self.reference, self.uncertainty)
        )
        return EnhancedField(
            self.enhanced.crop(*fine), self.widefield.crop(rows, columns), reference, uncertainty, part, self.placed
        )

    @property
    def factor(self) -> int:
        """Enhanced pixels per widefield pixel, along each axis."""
        return self.enhanced.size[0] // self.widefield.size[0]


def _has_place(image: Image) -> bool:
    """Return whether an image has another place than the start.

    A layer without a place has its corner half a pixel before the start: napari places the centre of the first pixel.
    """
    half = (image.pixel_size or 0.0) / 2
    return any(abs(corner) > 1e-6 and abs(corner + half) > 1e-6 for corner in image.origin)


def check_field(widefield: Image, fine: Image | None, factor: int) -> None:
    """Raise an InputError if a finer image cannot show the field of a widefield image."""
    if fine is None:
        return
    size = widefield.size
    if not factor or fine.pixels.shape != (len(widefield), size[0] * factor, size[1] * factor):
        raise InputError(
            f"{fine.name} has shape {fine.pixels.shape}, which is not a whole multiple of the shape of "
            f"{widefield.name}, {widefield.pixels.shape}: give images of the same field."
        )
    check_pixel_sizes(widefield, fine, factor)


def error_map_steps(field: EnhancedField, stop: Stop = never) -> Steps[list[ErrorMap]]:
    """Return the error map of each plane; yields Progress, and raises Stopped if `stop` is true."""
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
    """Return the error maps as an image on the pixels of the widefield image, with `rse` and `rsp` of each plane.

    Yields Progress at every plane, and raises Stopped if `stop` is true.
    """
    maps = yield from error_map_steps(field, stop)
    provenance = Provenance(ERROR_MAP, rse=tuple(m.rse for m in maps), rsp=tuple(m.rsp for m in maps))
    return replace(field.widefield, pixels=np.stack([m.error for m in maps]), provenance=provenance)


def mapped_error(field: EnhancedField) -> Image:
    """Return the error maps as an image; see `mapped_error_steps`."""
    return run(mapped_error_steps(field))


def compare_with_reference(
    field: EnhancedField, columns: slice = slice(None), rows: slice = slice(None)
) -> dict[str, Any]:
    """Return the result of `similarity_to_reference` as plain values, as in report.json."""
    values: dict[str, Any] = ENHANCEMENT.to_json(similarity_to_reference(field, columns, rows))[ENHANCEMENT.key]
    return values
