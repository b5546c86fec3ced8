"""The resolution of an enhanced image, its agreement with the widefield image, and its uncertainty map."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter
from scipy.ndimage import gaussian_filter

from ...base.errors import InputError, sentence_of
from ...images.axes import positive_number
from ...images.provenance import BLURRED_BY
from ...images.registration import translated
from ...measure.explained import DOUBTED, explained
from ...measure.resolution import (
    HALF,
    ONE_SEVENTH,
    SMALLEST,
    fourier_ring_correlation,
    single_image_frc,
    typical_resolution,
)
from ...measure.restoration import linear_fit, rank_correlation
from ..doubts import stated_doubts
from ..measure import Measure, PictureRow
from ..pictures import contrast, show
from . import MEASURES
from .enhancement import ENHANCEMENT, ComparedWithReference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...base.arrays import Pixels
    from ...images.image import Image
    from ..context import MeasureContext
    from ..enhanced import EnhancedField

_LARGEST_BLUR = 20.0  # pixels; the blur that a file states is not used beyond it


@dataclass(frozen=True)
class OwnResolution:
    """Resolutions in nm without a reference, medians over planes; None if undetermined.

    Parameters
    ----------
    resolution, resolution_widefield
        By decorrelation analysis.
    frc_widefield
        Of the first widefield plane, by Fourier ring correlation of two halves of its counts.
    frc_widefield_warning
        Why that number is unreliable; "none" if its pixels are counts.
    """

    resolution: float | None
    resolution_widefield: float | None
    frc_widefield: float | None
    frc_widefield_warning: str


@dataclass(frozen=True)
class Agreement:
    """The periods in nm at which the Fourier ring correlation with the reference falls below 1/7 and below 1/2.

    Both images are registered. None if undetermined.
    """

    frc_with_reference: float | None
    frc_half_with_reference: float | None


@dataclass(frozen=True)
class Intervals:
    """The coverage of the uncertainty map, measured with the reference.

    Parameters
    ----------
    stated
        Nominal coverage; None if the provenance of the map has none.
    coverage
        Share of the pixels whose error is within the map.
    coverage_bright, coverage_structure
        Coverage of the pixels where the enhanced image, or the reference, is above its mean.
    rank_correlation
        Spearman correlation of the map and the error; None if one of them is constant.
    """

    stated: float | None
    coverage: float
    coverage_bright: float | None
    coverage_structure: float | None
    rank_correlation: float | None


@dataclass(frozen=True)
class Enhanced:
    """The results for an enhanced image.

    Parameters
    ----------
    rse, rsp
        Means over the error maps, see `error_map`.
    part
        A sentence if only a part of the field was compared.
    resolution
        The resolutions, or a sentence on why there are none.
    agreement
        None without a reference or a pixel size.
    uncertainty
        None without a reference or an uncertainty map.
    explained
        Correlation with the widefield image, see `measure.explained` (median over the planes); None if the widefield
        image is too small or constant, or the report is of an earlier version.
    doubts
        Sentences on why the enhanced image may be wrong: those that it states, or that its structure is another one.
    """

    rse: float
    rsp: float
    part: str = ""
    resolution: OwnResolution | str = ""
    agreement: Agreement | None = None
    uncertainty: Intervals | None = None
    explained: float | None = None
    doubts: tuple[str, ...] = ()


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
    rse, rsp = (float(np.mean(values)) for values in ([m.rse for m in maps], [m.rsp for m in maps]))
    own = _own_resolution(field)
    return Enhanced(rse, rsp, field.part, own, agreement, uncertainty, _explained(field), stated_doubts(field))


def _explained(field: EnhancedField) -> float | None:
    """Return how well the enhanced image explains its widefield image, without constant planes of the latter."""
    if min(field.widefield.size) < SMALLEST:
        return None
    values = [
        explained(sharp, camera, field.factor)
        for sharp, camera in zip(field.enhanced.pixels, field.widefield.pixels, strict=True)
        if np.ptp(camera) > 0
    ]
    return float(np.median(values)) if values else None


def _own_resolution(field: EnhancedField) -> OwnResolution | str:
    pixel_size = field.enhanced.pixel_size
    if pixel_size is None:
        return "The enhanced image has no pixel size: give it to get a resolution in nm."
    camera, coarse = field.widefield.pixels, pixel_size * field.factor
    try:
        split = single_image_frc(camera[0], coarse)
        frc, warning = split.resolution, split.warning or "none"
    except ValueError as error:  # too small, or empty
        frc, warning = None, sentence_of(error)
    resolutions = (typical_resolution(field.enhanced.pixels, pixel_size), typical_resolution(camera, coarse))
    return OwnResolution(*resolutions, frc, warning)


def _agreement(field: EnhancedField, offset: tuple[float, float], pixel_size: float, threshold: float) -> float | None:
    """Return the smallest period in nm at which the planes agree with the reference, as a median over planes.

    Empty planes of the reference are left out. The period is two pixels if the correlation never falls below the
    threshold. It is None if most planes hardly agree, or are too small.
    """
    if min(field.enhanced.size) < SMALLEST:
        return None
    periods = []
    for plane, truth in _planes_with_structure(field):
        registered = translated(plane, offset)
        if not np.ptp(registered) > 0:
            periods.append(np.inf)  # an empty plane does not agree
            continue
        frc = fourier_ring_correlation(registered, truth, pixel_size, threshold)
        without_crossing = 2 * pixel_size if frc.curve.min() > threshold else np.inf
        periods.append(without_crossing if frc.resolution is None else frc.resolution)
    median = float(np.median(periods))
    return median if np.isfinite(median) else None


def _planes_with_structure(field: EnhancedField) -> list[tuple[Pixels, Pixels]]:
    """Return pairs of enhanced and reference planes; empty planes of the reference are left out."""
    if field.reference is None:
        raise InputError("There is no reference to compare with: give the super-resolution image of the field.")
    pairs = zip(field.enhanced.pixels, field.reference.pixels, strict=True)
    return [(plane, truth) for plane, truth in pairs if np.ptp(truth) > 0]


def _intervals(field: EnhancedField, offset: tuple[float, float]) -> Intervals:
    """Compute the coverage of the uncertainty map, and its rank correlation with the error.

    Intensities and widths are fitted to the reference first, because the units of an enhancer may differ. Where the map
    is about blurred images, both are blurred alike.
    """
    if field.reference is None or field.uncertainty is None:
        raise InputError("The coverage needs a reference and an uncertainty map: give both.")
    rows = []
    planes = zip(field.enhanced.pixels, field.uncertainty.pixels, field.reference.pixels, strict=True)
    for plane, width, truth in planes:
        registered, half_width = (translated(image, offset) for image in (plane, width))
        fitted = linear_fit(registered, truth)
        scale = float(np.std(fitted)) / (float(np.std(registered)) or 1.0)
        row = (
            np.abs(_blurred(fitted - truth, field.uncertainty)),
            scale * half_width,
            registered > registered.mean(),
            truth > truth.mean(),
        )
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


def _blurred(error: Pixels, uncertainty: Image) -> Pixels:
    """Return the error (Y, X) of images that are blurred as the uncertainty map states, or `error` itself."""
    blur = positive_number(uncertainty.provenance.get(BLURRED_BY))
    if blur is None or blur > _LARGEST_BLUR:
        return error
    return np.asarray(gaussian_filter(error, blur, mode="nearest"), np.float32)


def _sentences(result: Enhanced) -> Iterator[str]:
    yield from result.doubts
    if result.part:
        yield result.part
    if isinstance(result.resolution, OwnResolution) and (finest := result.resolution.resolution):
        yield f"Resolution of the enhanced image: {finest:.0f} nm by decorrelation analysis, without a reference."
    if result.agreement is not None:
        yield _agreement_sentence(result.agreement)
    yield f"Blurred, it has a correlation of {result.rsp:.3f} with the widefield image: 1 is ideal, haze lowers it."
    if (intervals := result.uncertainty) is not None:
        expected = f"; {100 * intervals.stated:.0f} % are expected" if intervals.stated else ""
        share = intervals.coverage_structure
        structure = "" if share is None else f" ({100 * share:.0f} % on structure)"
        covered = f"{100 * intervals.coverage:.1f} % of the pixels{structure}"
        yield f"The uncertainty map covers the truth in {covered}{expected}."


def _agreement_sentence(agreement: Agreement) -> str:
    half, traces = agreement.frc_half_with_reference, agreement.frc_with_reference
    if half and traces:
        return (
            f"It agrees with the super-resolution image down to {half:.0f} nm, and in traces down to {traces:.0f} nm."
        )
    if traces:
        return f"It agrees with the super-resolution image in traces only, down to {traces:.0f} nm."
    return (
        "It hardly agrees with the super-resolution image at any period, or both images are too small for this test. "
        "A sharp image may still be wrong."
    )


def _encode(result: Enhanced) -> dict[str, Any]:
    own = result.resolution
    return {
        **({"part": result.part} if result.part else {}),
        **({"resolution_left_out": own} if isinstance(own, str) else asdict(own)),
        "rse": result.rse,
        "rsp": result.rsp,
        **({} if result.explained is None else {"explained": result.explained}),
        **({"doubts": list(result.doubts)} if result.doubts else {}),
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
    agrees = None if value.get("explained") is None else float(value["explained"])
    doubts = TypeAdapter(tuple[str, ...]).validate_python(value.get("doubts", ()))
    rse, rsp = float(value["rse"]), float(value["rsp"])
    return Enhanced(rse, rsp, value.get("part", ""), own, agreement, uncertainty, agrees, doubts)


def _row(_result: Enhanced, context: MeasureContext) -> PictureRow | None:
    """Return a row of the first planes: widefield, enhanced, reference, error map and uncertainty map."""
    field = context.enhanced
    if field is None:
        return None
    pixel_size = field.enhanced.pixel_size
    coarse = pixel_size * field.factor if pixel_size else None
    reference, uncertainty = (
        None if image is None else image.pixels[0] for image in (field.reference, field.uncertainty)
    )
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
            # Planes of the camera have few bright pixels.
            bright = 99.9 if plane.shape == field.widefield.size else 99.7
            show(axes, plane, contrast([plane], bright), title, size)

    return PictureRow(12.6 / len(shown) + 0.5, draw)


_MEANINGS = {
    "part": "The compared part of the widefield image: the field of the super-resolution image.",
    "resolution": (
        "Finest detail of the enhanced image in nm, by decorrelation analysis without a reference. It measures "
        "sharpness, not truth. Good if it is below resolution_widefield, but not below frc_half_with_reference."
    ),
    "resolution_widefield": "The same for the widefield image: about the width of its point spread function.",
    "frc_widefield": (
        "Resolution of the widefield image in nm, by Fourier ring correlation (1/7) of two halves of its counts: the "
        "optical resolution, limited by noise. None if it is finer than the pixels, or lost in noise."
    ),
    "frc_widefield_warning": "Why frc_widefield is unreliable; none if the pixels are counts.",
    "frc_with_reference": (
        "Period in nm at which the Fourier ring correlation with the super-resolution image falls below 1/7. Finer "
        "details are made up, or random positions of single localizations. Two pixels if it never falls below. None if "
        "the images hardly agree, or are too small."
    ),
    "frc_half_with_reference": (
        "The same at one half: the real resolution of the enhanced image. It may be better, because noise in the "
        "super-resolution image lowers the correlation."
    ),
    "rse": (
        "Root mean square difference of the blurred enhanced image and the widefield image, in units of the widefield "
        "image: smaller is better. Bright and hazy places always have larger errors. If the error map is hotter than "
        "at other places of the same brightness, structure was made up or lost."
    ),
    "rsp": (
        "Correlation of the blurred enhanced image and the widefield image: near 1 if the enhanced image explains it. "
        "Haze lowers it, because the enhanced image has none; the error map is then more useful than this number."
    ),
    "explained": (
        "Correlation of the blurred enhanced image and the widefield image without smooth light: 1 is ideal. Below "
        f"{DOUBTED:g}, the enhanced image does not explain the widefield image."
    ),
    "doubts": "Why the enhanced image may show what is not there: what was noticed when it was made, or its structure.",
    "uncertainty.stated": "Share of the pixels that should be within the uncertainty map.",
    "uncertainty.coverage": (
        "Share of the pixels of the super-resolution image that are within the map, after a linear fit of intensities: "
        "good if it equals the stated share."
    ),
    "uncertainty.coverage_bright": (
        "The same where the enhanced image is brighter than its mean. This leaves out the background, which is easier, "
        "and structure that the enhanced image misses."
    ),
    "uncertainty.coverage_structure": (
        "The same where the super-resolution image is brighter than its mean: real structure. It includes the random "
        "positions of single localizations, which no enhancer can predict."
    ),
    "uncertainty.rank_correlation": (
        "Spearman correlation of the map and the error: 1 is ideal, 0 means that the map has no relation to the error."
    ),
}

_AGREED = ("frc_with_reference", "frc_half_with_reference")
_LENGTHS = ("resolution", "resolution_widefield", "frc_widefield", *_AGREED)

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
