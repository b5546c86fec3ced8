"""The similarity of an enhanced image to the super-resolution image of its field."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import zoom

from ...base.errors import InputError, sentence_of
from ...images.registration import registration_shift, translated
from ...measure.restoration import Similarity, image_similarity
from ..measure import LeftOut, Measure
from . import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..context import MeasureContext
    from ..enhanced import EnhancedField


@dataclass(frozen=True)
class Registered:
    """The similarity after registration of the widefield image to the reference.

    Parameters
    ----------
    offset
        Translation of the widefield and the enhanced image, (y, x) in pixels of the reference.
    found
        Whether the registration succeeded; otherwise `offset` is (0, 0).
    enhanced, interpolated
        Similarity of the translated images to the reference.
    """

    offset: tuple[float, float]
    found: bool
    enhanced: Similarity
    interpolated: Similarity


@dataclass(frozen=True)
class ComparedWithReference:
    """The similarity of the enhanced and of the interpolated widefield image to the reference, without registration.

    `registered` has the same after registration. `columns` are the first column and the end of the compared columns;
    None if all were compared. `stated_offset` is the offset of the registration by the places (origins) of the images;
    None if they have no pixel size.
    """

    registered: Registered
    enhanced: Similarity
    interpolated: Similarity
    columns: tuple[int, int] | None = None
    stated_offset: tuple[float, float] | None = None


def similarity_to_reference(
    field: EnhancedField, columns: slice = slice(None), rows: slice = slice(None)
) -> ComparedWithReference:
    """Compare the enhanced image with the reference (see `image_similarity`), without and with registration.

    The offset is the `registration_shift` of the widefield image. It is independent of the enhanced image.

    Parameters
    ----------
    field
        A field with a reference. Empty planes of the reference are left out of the means.
    columns, rows
        The compared columns and rows of the reference.

    Raises
    ------
    InputError
        If there is no reference, or it is constant or too small.
    """
    if field.reference is None:
        raise InputError("There is no reference to compare with: give the super-resolution image of the field.")
    truth = field.reference.pixels
    shift = registration_shift(list(field.widefield.pixels), list(truth), field.factor)
    offset = shift or (0.0, 0.0)
    not_empty = [bool(np.ptp(plane[rows, columns]) > 0) for plane in truth]
    if not any(not_empty):
        raise InputError("The super-resolution image is constant: give one with structure in it.")
    unregistered: dict[str, list[Similarity]] = {"enhanced": [], "interpolated": []}
    registered: dict[str, list[Similarity]] = {"enhanced": [], "interpolated": []}
    # Plane by plane, because a stack may be large.
    for sharp, camera, plane, has_structure in zip(
        field.enhanced.pixels, field.widefield.pixels, truth, not_empty, strict=True
    ):
        if not has_structure:
            continue
        interpolated = zoom(camera, field.factor, order=3, grid_mode=True, mode="nearest")
        for kind, image in (("enhanced", sharp), ("interpolated", interpolated)):
            unregistered[kind].append(image_similarity(image[rows, columns], plane[rows, columns]))
            registered[kind].append(image_similarity(translated(image, offset)[rows, columns], plane[rows, columns]))
    after = Registered(
        (offset[0], offset[1]), shift is not None, _mean(registered["enhanced"]), _mean(registered["interpolated"])
    )
    return ComparedWithReference(
        after,
        _mean(unregistered["enhanced"]),
        _mean(unregistered["interpolated"]),
        stated_offset=_stated_offset(field),
    )


def _stated_offset(field: EnhancedField) -> tuple[float, float] | None:
    """Return the translation (y, x) of the widefield image, in pixels of the reference, that the places state."""
    widefield, reference = field.widefield, field.reference
    if reference is None or not widefield.pixel_size:
        return None
    pixel = widefield.pixel_size / field.factor
    y, x = (float(w - r) / pixel for w, r in zip(widefield.origin, reference.origin, strict=True))
    return y, x


def _mean(planes: Sequence[Similarity]) -> Similarity:
    return Similarity(*(float(values) for values in np.mean([astuple(plane) for plane in planes], axis=0)))


def _compute(context: MeasureContext) -> ComparedWithReference | LeftOut | None:
    field = context.enhanced
    if field is None or field.reference is None:
        return None
    try:
        return similarity_to_reference(field)
    except ValueError as error:  # too small, or empty
        return LeftOut(sentence_of(error))


def _sentences(result: ComparedWithReference) -> Iterator[str]:
    registered = result.registered
    yield (
        "Correlation with the super-resolution image (blurred by 2 px): "
        f"{_correlations(result.enhanced, result.interpolated)}."
    )
    if not registered.found:
        yield "The shift between the two images was not found: they are compared without registration."
    down, right = registered.offset
    if max(abs(down), abs(right)) >= 0.5:
        yield (
            f"The widefield image is shifted by {-down:.1f} pixels down and {-right:.1f} to the right"
            f"{_cause(result)}. After registration: {_correlations(registered.enhanced, registered.interpolated)}."
        )


def _cause(result: ComparedWithReference) -> str:
    """Return why the images are shifted, if their places state it: the cut to whole widefield pixels."""
    if result.stated_offset is None:
        return ""
    apart = max(abs(s - o) for s, o in zip(result.stated_offset, result.registered.offset, strict=True))
    return ", as the places of both images state: it was cut to whole pixels" if apart < 0.75 else ""


def _correlations(enhanced: Similarity, interpolated: Similarity) -> str:
    return f"{enhanced.correlation_blurred:.2f} enhanced, {interpolated.correlation_blurred:.2f} interpolated"


def _verdict(result: ComparedWithReference) -> bool | None:
    """Return whether the enhanced image is more similar than the interpolated one; None without registration."""
    registered = result.registered
    if not registered.found:
        return None
    return registered.enhanced.correlation_blurred > registered.interpolated.correlation_blurred


def _encode(result: ComparedWithReference) -> dict[str, Any]:
    values = asdict(result)
    del values["stated_offset"]  # for the sentences of a new report; the file has the offset that was found
    if result.columns is None:
        del values["columns"]
    return values


def _shown(result: ComparedWithReference) -> dict[str, Any]:
    values = _encode(result)
    values["registered"]["offset"] = ", ".join(f"{shift:.2f}" for shift in result.registered.offset)
    return values


_SIMILARITY = {
    "correlation": "Correlation with the super-resolution image: 1 is identical.",
    "correlation_blurred": (
        "Correlation with the super-resolution image blurred by 2 pixels, which removes the random positions of single "
        "localizations: 1 is the same structure."
    ),
    "psnr": "Peak signal-to-noise ratio in dB after a linear fit of intensities: higher is better.",
    "ssim": "Structural similarity after a linear fit of intensities: 1 is identical.",
    "ms_ssim": "Structural similarity over several scales after a linear fit of intensities: 1 is identical.",
}

# The compared images, and the sentence that is added to each meaning.
_COMPARED = {
    "enhanced": "",
    "interpolated": " This is the interpolated widefield image; the enhanced image should be better.",
    "registered.enhanced": " This is after registration.",
    "registered.interpolated": (
        " This is the interpolated widefield image after registration; the enhanced image should be better."
    ),
}

_MEANINGS = {
    **{
        f"{images}.{key}": text + addition
        for images, addition in _COMPARED.items()
        for key, text in _SIMILARITY.items()
    },
    "registered.offset": (
        "Translation of the widefield image by the registration, down and to the right, in pixels of the "
        "super-resolution image: half a widefield pixel is common."
    ),
    "registered.found": (
        "Whether the translation was found, within two widefield pixels: false if it is larger, or the fields differ."
    ),
}

ENHANCEMENT = Measure(
    "enhancement",
    ComparedWithReference,
    _compute,
    _MEANINGS,
    units={**{f"{images}.psnr": "dB" for images in _COMPARED}, "registered.offset": "pixels"},
    sentences=_sentences,
    verdict=_verdict,
    left_out="The comparison with the super-resolution image was left out.",
    encode=_encode,
    shown=_shown,
    order=100,
)
MEASURES.register("enhancement")(ENHANCEMENT)
