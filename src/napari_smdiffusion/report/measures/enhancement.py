"""An enhanced image beside the super-resolution image of its field."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import zoom

from ...base.errors import InputError
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
    """What is found after registration of the widefield image to the reference.

    Parameters
    ----------
    offset
        Translation of the widefield image and of the enhanced one, (y, x) in pixels of the reference.
    found
        Whether it was found; where not, it is (0, 0).
    enhanced, interpolated
        The translated images beside the reference.
    """

    offset: tuple[float, float]
    found: bool
    enhanced: Similarity
    interpolated: Similarity


@dataclass(frozen=True)
class ComparedWithReference:
    """The enhanced image and the interpolated widefield image beside the reference, as they lie and registered.

    `columns` are the first and the end of the columns that were compared, where these are not all.
    """

    registered: Registered
    enhanced: Similarity
    interpolated: Similarity
    columns: tuple[int, int] | None = None


def similarity_to_reference(
    field: EnhancedField, columns: slice = slice(None), rows: slice = slice(None)
) -> ComparedWithReference:
    """Compare the enhanced image with the reference (see `image_similarity`), as they lie and after registration.

    The offset is the `registration_shift` of the widefield image: it does not depend on the enhanced image.

    Parameters
    ----------
    field
        With a reference. The result holds means over those planes of the reference that show anything.
    columns, rows
        Of the reference that are compared.

    Raises
    ------
    InputError
        If there is no reference, or it is constant or too small.
    """
    if field.reference is None:
        raise InputError("There is no reference to compare with: give the super-resolution image of the field.")
    truth = field.reference.pixels
    shift = registration_shift(list(field.widefield.pixels), list(truth), field.factor)
    by = shift or (0.0, 0.0)
    not_empty = [bool(np.ptp(plane[rows, columns]) > 0) for plane in truth]
    if not any(not_empty):
        raise InputError("The super-resolution image is constant: there is nothing to compare with.")
    as_is: dict[str, list[Similarity]] = {"enhanced": [], "interpolated": []}
    laid: dict[str, list[Similarity]] = {"enhanced": [], "interpolated": []}
    # Plane by plane: a stack may be large.
    for sharp, camera, plane, shown in zip(
        field.enhanced.pixels, field.widefield.pixels, truth, not_empty, strict=True
    ):
        if not shown:
            continue
        plain = zoom(camera, field.factor, order=3, grid_mode=True, mode="nearest")
        for kind, image in (("enhanced", sharp), ("interpolated", plain)):
            as_is[kind].append(image_similarity(image[rows, columns], plane[rows, columns]))
            laid[kind].append(image_similarity(translated(image, by)[rows, columns], plane[rows, columns]))
    registered = Registered((by[0], by[1]), shift is not None, _mean(laid["enhanced"]), _mean(laid["interpolated"]))
    return ComparedWithReference(registered, _mean(as_is["enhanced"]), _mean(as_is["interpolated"]))


def _mean(planes: Sequence[Similarity]) -> Similarity:
    return Similarity(*(float(values) for values in np.mean([astuple(plane) for plane in planes], axis=0)))


def _compute(context: MeasureContext) -> ComparedWithReference | LeftOut | None:
    field = context.enhanced
    if field is None or field.reference is None:
        return None
    try:
        return similarity_to_reference(field)
    except ValueError as error:  # too small, or nothing in it
        return LeftOut(str(error))


def _sentences(result: ComparedWithReference) -> Iterator[str]:
    registered = result.registered
    yield (
        "Correlation with the super-resolution image (blurred by 2 px): "
        f"{_correlations(result.enhanced, result.interpolated)}."
    )
    if not registered.found:
        yield "How the two lie on each other was not found: they are compared as they lie."
    down, right = registered.offset
    if max(abs(down), abs(right)) >= 0.5:
        yield (
            f"The widefield image lies off it by {-down:.1f} pixels down and {-right:.1f} to the right; laid "
            f"exactly on each other: {_correlations(registered.enhanced, registered.interpolated)}."
        )


def _correlations(enhanced: Similarity, interpolated: Similarity) -> str:
    return f"{enhanced.correlation_blurred:.2f} enhanced, {interpolated.correlation_blurred:.2f} interpolated"


def _verdict(result: ComparedWithReference) -> bool | None:
    """Return whether enhanced is nearer to the reference than interpolated; None where they are not registered."""
    registered = result.registered
    if not registered.found:
        return None
    return registered.enhanced.correlation_blurred > registered.interpolated.correlation_blurred


def _encode(result: ComparedWithReference) -> dict[str, Any]:
    values = asdict(result)
    if result.columns is None:
        del values["columns"]
    return values


def _shown(result: ComparedWithReference) -> dict[str, Any]:
    values = _encode(result)
    values["registered"]["offset"] = ", ".join(f"{shift:.2f}" for shift in result.registered.offset)
    return values


_SIMILARITY = {
    "correlation": "Correlation with the super-resolution image: 1 is the same.",
    "correlation_blurred": (
        "Correlation with the super-resolution image blurred by 2 pixels, which takes out the chance of single "
        "localizations: 1 is the same structure."
    ),
    "psnr": "Peak signal-to-noise ratio in dB after a linear fit of intensities: more is better.",
    "ssim": "Structural similarity after that fit: 1 is the same.",
    "ms_ssim": "Structural similarity over several scales after that fit: 1 is the same.",
}

# What is compared with the super-resolution image.
_COMPARED = {
    "enhanced": "",
    "interpolated": " Of the widefield image, interpolated: what the enhanced one should exceed.",
    "registered.enhanced": " The two are laid exactly on each other.",
    "registered.interpolated": (
        " Of the widefield image, interpolated, laid exactly on it: what the enhanced one should exceed."
    ),
}

_MEANINGS = {
    **{
        f"{images}.{key}": text + addition
        for images, addition in _COMPARED.items()
        for key, text in _SIMILARITY.items()
    },
    "registered.offset": (
        "By how many pixels of the super-resolution image the widefield image was moved, down and to the right, to lie "
        "exactly on it: half a widefield pixel is common."
    ),
    "registered.found": (
        "Whether that was found, within two widefield pixels: false where they are off by more, or show other fields."
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
