"""An enhanced image with what it is judged by, and what is to be said of it: resolution, truth, contradictions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import zoom

from ..base.errors import InputError, Stopped
from ..base.events import Countdown, Progress, Steps, Stop, never, run
from ..images.provenance import ERROR_MAP, Provenance
from ..images.registration import check_pixel_sizes, crop_to_common_field, registration_shift, translated
from ..measure.error_map import ErrorMap, error_map
from ..measure.resolution import (
    HALF,
    ONE_SEVENTH,
    SMALLEST,
    fourier_ring_correlation,
    single_image_frc,
    typical_resolution,
)
from ..measure.restoration import image_similarity, linear_fit, rank_correlation

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def enhanced_report(field: EnhancedField, maps: Sequence[ErrorMap]) -> dict[str, Any]:
    """Judge an enhanced image by itself, against its widefield image, and against a reference if there is one.

    Parameters
    ----------
    field
        The enhanced image, and what it is judged by.
    maps
        Its error maps, one for each plane (see `error_map_steps`).

    Returns
    -------
    `enhanced`: `part`, a sentence where a part of the field was judged; `resolution` and `resolution_widefield` in nm
    by decorrelation analysis, and of the first widefield plane `frc_widefield`, in nm by splitting its counts, with
    `frc_widefield_warning`, a sentence where they are none; or `resolution_left_out`, a sentence; `rse` and `rsp` (see
    `error_map`). With a reference also `frc_half_with_reference` and `frc_with_reference`, the period in nm at which
    the Fourier ring correlation of both, laid exactly on each other, falls below one half and below 1/7, None where it
    cannot be told; and of an uncertainty map `uncertainty`: the share of pixels that is `stated` to lie within it, the
    `coverage`, which does, `coverage_bright` and `coverage_structure`, the same where the enhanced image and where the
    reference is brighter than on the average, and the `rank_correlation` of the map and the error; and `enhancement`,
    what `compare_with_reference` says, or `enhancement_left_out`, a sentence. Means over the planes of a stack, and
    medians of resolutions.
    """
    image, widefield, pixel_size = field.enhanced, field.widefield, field.enhanced.pixel_size
    said: dict[str, Any] = {"part": field.part} if field.part else {}
    if pixel_size is None:
        said["resolution_left_out"] = "The enhanced image has no pixel size: a resolution is told in nm."
    else:
        said["resolution"] = typical_resolution(image.pixels, pixel_size)
        said["resolution_widefield"] = typical_resolution(widefield.pixels, pixel_size * field.factor)
        said |= _split_counts(widefield.pixels[0], pixel_size * field.factor)
    said |= {"rse": float(np.mean([m.rse for m in maps])), "rsp": float(np.mean([m.rsp for m in maps]))}
    if field.reference is None:
        return {"enhanced": said}
    try:
        enhancement = compare_with_reference(field)
    except ValueError as error:  # too small, or nothing in it
        return {"enhanced": said, "enhancement_left_out": str(error)}
    by = enhancement["registered"]["offset"]
    if pixel_size is not None:
        said["frc_with_reference"] = _agreement(field, by, pixel_size, ONE_SEVENTH)
        said["frc_half_with_reference"] = _agreement(field, by, pixel_size, HALF)
    if field.uncertainty is not None:
        said["uncertainty"] = _intervals(field, by)
    return {"enhanced": said, "enhancement": enhancement}


def _split_counts(plane: Any, pixel_size: float) -> dict[str, Any]:
    """Tell the resolution of a widefield plane by splitting its counts, and why it should not be believed, if so."""
    try:
        found = single_image_frc(plane, pixel_size)
    except ValueError as error:  # too small, or nothing in it
        return {"frc_widefield": None, "frc_widefield_warning": str(error)}
    return {"frc_widefield": found.resolution, "frc_widefield_warning": found.warning or "none"}


def _agreement(field: EnhancedField, by: Sequence[float], pixel_size: float, threshold: float) -> float | None:
    """Return down to which period in nm the planes agree with the reference: the median over those that show anything.

    Where they agree to the end it is that of two pixels; None where most hardly agree at all, or are too small to tell.
    """
    if min(field.enhanced.size) < SMALLEST:
        return None
    agreed = []
    for plane, truth in _telling(field):
        laid = translated(plane, (by[0], by[1]))
        if not np.ptp(laid) > 0:
            agreed.append(np.inf)  # an empty plane agrees with nothing
            continue
        found = fourier_ring_correlation(laid, truth, pixel_size, threshold)
        to_the_end = 2 * pixel_size if found.curve.min() > threshold else np.inf
        agreed.append(to_the_end if found.resolution is None else found.resolution)
    middle = float(np.median(agreed))
    return middle if np.isfinite(middle) else None


def _intervals(field: EnhancedField, by: Sequence[float]) -> dict[str, Any]:
    """Tell how often the reference lies in the intervals of the uncertainty map, and whether they are wide at errors.

    Intensities are fitted first, and the widths with them, for enhancers do not promise units.
    """
    if field.reference is None or field.uncertainty is None:
        raise InputError("Intervals are judged by a reference: give one, and the uncertainty map.")
    rows = []
    planes = zip(field.enhanced.pixels, field.uncertainty.pixels, field.reference.pixels, strict=True)
    for plane, width, truth in planes:
        laid, half = (translated(one, (by[0], by[1])) for one in (plane, width))
        fitted = linear_fit(laid, truth)
        scale = float(np.std(fitted)) / (float(np.std(laid)) or 1.0)
        row = np.abs(fitted - truth), scale * half, laid > laid.mean(), truth > truth.mean()
        rows.append([one.ravel() for one in row])
    error, width, bright, structure = (np.concatenate(column) for column in zip(*rows, strict=True))
    inside = error <= width
    return {
        "stated": field.uncertainty.provenance.settings.get("confidence"),
        "coverage": float(np.mean(inside)),
        "coverage_bright": float(np.mean(inside[bright])) if bright.any() else None,
        "coverage_structure": float(np.mean(inside[structure])) if structure.any() else None,
        "rank_correlation": rank_correlation(width, error),
    }


def _telling(field: EnhancedField) -> list[tuple[Any, Any]]:
    """Return the enhanced planes with those of the reference that show anything."""
    if field.reference is None:
        raise InputError("There is no reference to compare with: give the super-resolution image of the field.")
    pairs = zip(field.enhanced.pixels, field.reference.pixels, strict=True)
    found = [(plane, truth) for plane, truth in pairs if np.ptp(truth) > 0]
    if not found:
        raise InputError("The super-resolution image is constant: there is nothing to compare with.")
    return found


def compare_with_reference(
    field: EnhancedField, columns: slice = slice(None), rows: slice = slice(None)
) -> dict[str, Any]:
    """Compare the enhanced image with the reference (see `image_similarity`), as they lie and after registration.

    Parameters
    ----------
    field
        With a reference; what is said are means over those of its planes that show anything.
    columns, rows
        Of the reference that are compared.

    Returns
    -------
    What `image_similarity` says of the image `enhanced`, and of the widefield image `interpolated`; and `registered`,
    the same after both were
    translated by `offset`, the `registration_shift` of the widefield image, (y, x) in pixels of
    the reference: it does not depend on what was made of that image. Where none was `found`, it is (0, 0).
    """
    if field.reference is None:
        raise InputError("There is no reference to compare with: give the super-resolution image of the field.")
    truth = field.reference.pixels
    shift = registration_shift(list(field.widefield.pixels), list(truth), field.factor)
    by = shift or (0.0, 0.0)
    there = [bool(np.ptp(plane[rows, columns]) > 0) for plane in truth]
    if not any(there):
        raise InputError("The super-resolution image is constant: there is nothing to compare with.")
    found: dict[str, Any] = {"registered": {"offset": list(by), "found": shift is not None}}
    as_is: dict[str, list[dict[str, float]]] = {"enhanced": [], "interpolated": []}
    laid: dict[str, list[dict[str, float]]] = {"enhanced": [], "interpolated": []}
    # Plane by plane: a stack may be large.
    for sharp, camera, plane, shown in zip(field.enhanced.pixels, field.widefield.pixels, truth, there, strict=True):
        if not shown:
            continue
        plain = zoom(camera, field.factor, order=3, grid_mode=True, mode="nearest")
        for kind, image in (("enhanced", sharp), ("interpolated", plain)):
            as_is[kind].append(image_similarity(image[rows, columns], plane[rows, columns]))
            laid[kind].append(image_similarity(translated(image, by)[rows, columns], plane[rows, columns]))
    for kind in as_is:
        found[kind], found["registered"][kind] = _means(as_is[kind]), _means(laid[kind])
    return found


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
