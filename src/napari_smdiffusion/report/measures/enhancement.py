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


_SHIFTED = 0.5  # pixels of the reference: smaller shifts are not mentioned


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
    None if all were compared. `misplaced` is how far the widefield image lies from where it belongs, by the places
    (origins) of the images: (y, x) in pixels of the reference, positive down and to the right. It is None if there are
    no places, if the registration failed, and in reports of an earlier version.
    """

    registered: Registered
    enhanced: Similarity
    interpolated: Similarity
    columns: tuple[int, int] | None = None
    misplaced: tuple[float, float] | None = None


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
        misplaced=None if shift is None else _misplaced(field, shift),
    )


def _misplaced(field: EnhancedField, offset: tuple[float, float]) -> tuple[float, float] | None:
    """Return how far the widefield image lies from the place to which the registration by `offset` moves it.

    Its place in the reference is that of its origin. Cutting to whole widefield pixels moves pixels and origin alike,
    so that it does not count.
    """
    widefield, reference = field.widefield, field.reference
    if reference is None or not field.placed:
        return None
    if not widefield.pixel_size:  # without places, whole images begin at one corner
        return None if field.part else (-offset[0], -offset[1])
    pixel = widefield.pixel_size / field.factor
    y, x = (
        float(w - r) / pixel - moved for w, r, moved in zip(widefield.origin, reference.origin, offset, strict=True)
    )
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
    registered, start = result.registered, "Correlation with the super-resolution image"
    if not registered.found:
        yield f"{start} (blurred by 2 px): {_correlations(result.enhanced, result.interpolated)}."
        yield "The shift between the two images was not found: they are compared without registration."
        return
    correlations = _correlations(registered.enhanced, registered.interpolated)
    if max(map(abs, registered.offset)) < _SHIFTED:
        yield f"{start} (blurred by 2 px): {_correlations(result.enhanced, result.interpolated)}."
    else:
        yield f"{start} (blurred by 2 px) after registration: {correlations}."
    if result.misplaced is not None and max(map(abs, result.misplaced)) >= _SHIFTED:
        down, right = result.misplaced
        yield (
            "By the places of both, the widefield image lies off the super-resolution image by "
            f"{abs(down):.1f} pixels {'down' if down > 0 else 'up'} and {abs(right):.1f} to the "
            f"{'right' if right > 0 else 'left'}. The registration accounts for that."
        )


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
    for name in ("columns", "misplaced"):
        if values[name] is None:
            del values[name]
    return values


def _shown(result: ComparedWithReference) -> dict[str, Any]:
    values = _encode(result)
    values["registered"]["offset"] = _pair(result.registered.offset)
    if result.misplaced is not None:
        values["misplaced"] = _pair(result.misplaced)
    return values


def _pair(shift: tuple[float, float]) -> str:
    return ", ".join(f"{value:.2f}" for value in shift)


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
    "misplaced": (
        "How far the widefield image lies off the super-resolution image by the places of both: down and to the right, "
        "in pixels of the super-resolution image. 0 is ideal."
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
    units={**{f"{images}.psnr": "dB" for images in _COMPARED}, "registered.offset": "pixels", "misplaced": "pixels"},
    sentences=_sentences,
    verdict=_verdict,
    left_out="The comparison with the super-resolution image was left out.",
    encode=_encode,
    shown=_shown,
    order=100,
)
MEASURES.register("enhancement")(ENHANCEMENT)
