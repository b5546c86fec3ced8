"""An enhanced image by itself, against its widefield image, and its uncertainty map against a reference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from ...base.errors import InputError
from ...images.registration import translated
from ...measure.resolution import (
    HALF,
    ONE_SEVENTH,
    SMALLEST,
    fourier_ring_correlation,
    single_image_frc,
    typical_resolution,
)
from ...measure.restoration import linear_fit, rank_correlation
from ..measure import Measure, PictureRow
from ..pictures import contrast, show
from . import MEASURES
from .enhancement import ENHANCEMENT, ComparedWithReference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...base.arrays import Pixels
    from ..context import MeasureContext
    from ..enhanced import EnhancedField


@dataclass(frozen=True)
class OwnResolution:
    """Resolutions in nm that need no reference, medians over planes; None where it cannot be told.

    Parameters
    ----------
    resolution, resolution_widefield
        By decorrelation analysis.
    frc_widefield
        Of the first widefield plane, by splitting its counts.
    frc_widefield_warning
        Why that number should not be believed; "none" where its pixels are counts.
    """

    resolution: float | None
    resolution_widefield: float | None
    frc_widefield: float | None
    frc_widefield_warning: str


@dataclass(frozen=True)
class Agreement:
    """The periods in nm at which the Fourier ring correlation with the reference falls below 1/7 and below one half.

    Both images are laid exactly on each other. None where it cannot be told.
    """

    frc_with_reference: float | None
    frc_half_with_reference: float | None


@dataclass(frozen=True)
class Intervals:
    """How often the reference lies within the uncertainty map.

    Parameters
    ----------
    stated
        Share of the pixels that is stated to lie within it; None where the map does not say.
    coverage
        Share that does.
    coverage_bright, coverage_structure
        The same where the enhanced image, and where the reference, is brighter than on average.
    rank_correlation
        Of the map and the error; None where one of them is constant.
    """

    stated: float | None
    coverage: float
    coverage_bright: float | None
    coverage_structure: float | None
    rank_correlation: float | None


@dataclass(frozen=True)
class Enhanced:
    """What is computed of an enhanced image.

    Parameters
    ----------
    rse, rsp
        Means over its error maps, see `error_map`.
    part
        A sentence where a part of the field was judged.
    resolution
        Or a sentence why there is none.
    agreement
        None without a reference or a pixel size.
    uncertainty
        None without a reference or an uncertainty map.
    """

    rse: float
    rsp: float
    part: str = ""
    resolution: OwnResolution | str = ""
    agreement: Agreement | None = None
    uncertainty: Intervals | None = None


def _compute(context: MeasureContext) -> Enhanced | None:
    field, maps = context.enhanced, context.error_maps
    if field is None:
        return None
    compared = context.once(ENHANCEMENT.compute)
    agreement = uncertainty = None
    if isinstance(compared, ComparedWithReference):
        offset, pixel_size = compared.registered.offset, field.enhanced.pixel_size
        if pixel_size is not None:
            periods = (_agreement(field, offset, pixel_size, threshold) for threshold in (ONE_SEVENTH, HALF))
            agreement = Agreement(*periods)
        if field.uncertainty is not None:
            uncertainty = _intervals(field, offset)
    rse, rsp = (float(np.mean(values)) for values in ([one.rse for one in maps], [one.rsp for one in maps]))
    return Enhanced(rse, rsp, field.part, _own_resolution(field), agreement, uncertainty)


def _own_resolution(field: EnhancedField) -> OwnResolution | str:
    pixel_size = field.enhanced.pixel_size
    if pixel_size is None:
        return "The enhanced image has no pixel size: a resolution is told in nm."
    camera, coarse = field.widefield.pixels, pixel_size * field.factor
    try:
        split = single_image_frc(camera[0], coarse)
        frc, warning = split.resolution, split.warning or "none"
    except ValueError as error:  # too small, or nothing in it
        frc, warning = None, str(error)
    resolutions = (typical_resolution(field.enhanced.pixels, pixel_size), typical_resolution(camera, coarse))
    return OwnResolution(*resolutions, frc, warning)


def _agreement(field: EnhancedField, offset: tuple[float, float], pixel_size: float, threshold: float) -> float | None:
    """Return down to which period in nm the planes agree with the reference: the median over those that show anything.

    Where they agree to the end it is that of two pixels; None where most hardly agree at all, or are too small to tell.
    """
    if min(field.enhanced.size) < SMALLEST:
        return None
    agreed = []
    for plane, truth in _planes_with_structure(field):
        laid = translated(plane, offset)
        if not np.ptp(laid) > 0:
            agreed.append(np.inf)  # an empty plane agrees with nothing
            continue
        curve = fourier_ring_correlation(laid, truth, pixel_size, threshold)
        to_the_end = 2 * pixel_size if curve.curve.min() > threshold else np.inf
        agreed.append(to_the_end if curve.resolution is None else curve.resolution)
    middle = float(np.median(agreed))
    return middle if np.isfinite(middle) else None


def _planes_with_structure(field: EnhancedField) -> list[tuple[Pixels, Pixels]]:
    """Return the enhanced planes with those of the reference that show anything."""
    if field.reference is None:
        raise InputError("There is no reference to compare with: give the super-resolution image of the field.")
    pairs = zip(field.enhanced.pixels, field.reference.pixels, strict=True)
    return [(plane, truth) for plane, truth in pairs if np.ptp(truth) > 0]


def _intervals(field: EnhancedField, offset: tuple[float, float]) -> Intervals:
    """Compute how often the reference lies in the intervals of the uncertainty map, and whether errors have wide ones.

    Intensities are fitted first, and the widths with them, for enhancers do not promise units.
    """
    if field.reference is None or field.uncertainty is None:
        raise InputError("Intervals are judged by a reference: give one, and the uncertainty map.")
    rows = []
    planes = zip(field.enhanced.pixels, field.uncertainty.pixels, field.reference.pixels, strict=True)
    for plane, width, truth in planes:
        laid, half = (translated(image, offset) for image in (plane, width))
        fitted = linear_fit(laid, truth)
        scale = float(np.std(fitted)) / (float(np.std(laid)) or 1.0)
        row = np.abs(fitted - truth), scale * half, laid > laid.mean(), truth > truth.mean()
        rows.append([values.ravel() for values in row])
    error, width, bright, structure = (np.concatenate(column) for column in zip(*rows, strict=True))
    stated = field.uncertainty.provenance.settings.get("confidence")
    inside = error <= width
    return Intervals(
        stated=float(stated) if isinstance(stated, (int, float)) else None,
        coverage=float(np.mean(inside)),
        coverage_bright=float(np.mean(inside[bright])) if bright.any() else None,
        coverage_structure=float(np.mean(inside[structure])) if structure.any() else None,
        rank_correlation=rank_correlation(width, error),
    )


def _sentences(result: Enhanced) -> Iterator[str]:
    if result.part:
        yield result.part
    if isinstance(result.resolution, OwnResolution) and (finest := result.resolution.resolution):
        yield f"Resolution of the enhanced image: {finest:.0f} nm by decorrelation analysis of it alone."
    if result.agreement is not None:
        yield _agreement_sentence(result.agreement)
    yield f"Blurred again, it correlates by {result.rsp:.3f} with the widefield image (1 is ideal, haze lowers it)."
    if (intervals := result.uncertainty) is not None:
        stated = f"; {100 * intervals.stated:.0f} % are stated" if intervals.stated else ""
        share = intervals.coverage_structure
        structure = "" if share is None else f" ({100 * share:.0f} % where there is structure)"
        covered = f"{100 * intervals.coverage:.1f} % of the pixels{structure}"
        yield f"In {covered} the truth lies within the uncertainty map{stated}."


def _agreement_sentence(agreement: Agreement) -> str:
    well, traces = agreement.frc_half_with_reference, agreement.frc_with_reference
    if well and traces:
        return (
            f"It agrees with the super-resolution image down to {well:.0f} nm, and in traces down to {traces:.0f} nm."
        )
    if traces:
        return f"It agrees with the super-resolution image in traces only, down to {traces:.0f} nm."
    return (
        "It hardly agrees with the super-resolution image at any period, or the two are too small to tell: how "
        "sharp it looks says nothing of what is true."
    )


def _encode(result: Enhanced) -> dict[str, Any]:
    own = result.resolution
    return {
        **({"part": result.part} if result.part else {}),
        **({"resolution_left_out": own} if isinstance(own, str) else asdict(own)),
        "rse": result.rse,
        "rsp": result.rsp,
        **({} if result.agreement is None else asdict(result.agreement)),
        **({} if result.uncertainty is None else {"uncertainty": asdict(result.uncertainty)}),
    }


def _decode(value: Mapping[str, Any]) -> Enhanced:
    left_out, agreement, uncertainty = value.get("resolution_left_out"), None, None
    if "frc_with_reference" in value:
        agreement = TypeAdapter(Agreement).validate_python(value)
    if "uncertainty" in value:
        uncertainty = TypeAdapter(Intervals).validate_python(value["uncertainty"])
    own = TypeAdapter(OwnResolution).validate_python(value) if left_out is None else str(left_out)
    return Enhanced(float(value["rse"]), float(value["rsp"]), value.get("part", ""), own, agreement, uncertainty)


def _row(_result: Enhanced, context: MeasureContext) -> PictureRow | None:
    """Return a row of the first planes: widefield, enhanced, reference, error map and uncertainty, as far as there."""
    field = context.enhanced
    if field is None:
        return None
    pixel_size = field.enhanced.pixel_size
    coarse = pixel_size * field.factor if pixel_size else None
    reference, uncertainty = (None if one is None else one.pixels[0] for one in (field.reference, field.uncertainty))
    planes = [
        ("Widefield", field.widefield.pixels[0], coarse),
        (f"Enhanced ×{field.factor}", field.enhanced.pixels[0], pixel_size),
        ("Super-resolution", reference, pixel_size),
        ("Error map", context.error_maps[0].error, coarse),
        ("Uncertainty", uncertainty, pixel_size),
    ]
    shown = [(title, plane, size) for title, plane, size in planes if plane is not None]

    def draw(figure: Any) -> None:
        for axes, (title, plane, size) in zip(figure.subplots(1, len(shown)), shown, strict=True):
            # Of a camera's plane few pixels are bright.
            bright = 99.9 if plane.shape == field.widefield.size else 99.7
            show(axes, plane, contrast([plane], bright), title, size)

    return PictureRow(12.6 / len(shown) + 0.5, draw)


_MEANINGS = {
    "part": "Which part of the widefield image is judged: the one that the super-resolution image shows.",
    "resolution": (
        "Finest detail of the enhanced image in nm, by decorrelation analysis of it alone: it says how sharp it looks, "
        "not whether what it shows is true. Good where it is not finer than frc_half_with_reference, and below the "
        "widefield image's."
    ),
    "resolution_widefield": "The same of the widefield image: about the width of its point spread function.",
    "frc_widefield": (
        "Resolution of the widefield image in nm by Fourier ring correlation of two halves of its counts (1/7): what "
        "the noise leaves of what the optics show; None where it is finer than the pixels, or lost in noise."
    ),
    "frc_widefield_warning": "Why this number should not be believed; none where the pixels are counts.",
    "frc_with_reference": (
        "The period in nm at which the Fourier ring correlation with the super-resolution image falls below 1/7: what "
        "is finer is made up, or the chance of single localizations. Two pixels where it never does, and None where "
        "they hardly agree at all, or are too small to tell."
    ),
    "frc_half_with_reference": (
        "The same at one half: what resolution the enhanced image really has, or better, for the super-resolution "
        "image has noise of its own, which lowers the correlation."
    ),
    "rse": (
        "Root mean square difference of the enhanced image, blurred again, and the widefield image, in its units: the "
        "smaller, the better; where the error map is hotter than places of the same brightness, something was made up "
        "or lost; bright and hazy places are hot by themselves."
    ),
    "rsp": (
        "Correlation of the two: near 1 where the enhanced image explains the widefield image. Haze, which it leaves "
        "out, lowers it; then look where the error map is hot rather than at this number."
    ),
    "uncertainty.stated": "The share of the pixels that should lie within the uncertainty map.",
    "uncertainty.coverage": (
        "The share of the pixels of the super-resolution image that do, after a linear fit of intensities: good where "
        "it is what was stated."
    ),
    "uncertainty.coverage_bright": (
        "The same where the enhanced image is brighter than on the average, rather than in the background, which is "
        "the easier part; structure that it misses is not among these."
    ),
    "uncertainty.coverage_structure": (
        "The same where the super-resolution image is brighter than on the average: of structure that is there, with "
        "the chance of single localizations in it, which no enhancer can know."
    ),
    "uncertainty.rank_correlation": (
        "Whether the map is large where the error is (Spearman): 1 is ideal, 0 means that it tells nothing."
    ),
}

_LENGTHS = (
    "resolution",
    "resolution_widefield",
    "frc_widefield",
    "frc_with_reference",
    "frc_half_with_reference",
)

ENHANCED = Measure(
    "enhanced",
    Enhanced,
    _compute,
    _MEANINGS,
    units=dict.fromkeys(_LENGTHS, "nm"),
    sentences=_sentences,
    row=_row,
    encode=_encode,
    decode=_decode,
    order=90,
)
MEASURES.register("enhanced")(ENHANCED)
