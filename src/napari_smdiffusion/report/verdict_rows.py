"""The five rows below a verdict, in words for a biologist: a value, and what is normal."""

from __future__ import annotations

from ..measure.copies import CopyReport
from ..measure.realism import Realism
from .differences import SKELETON_WORDS, lies_outside, recognized_limit
from .limits import Level, Limits, Results, VerdictRow, result_of
from .measure import LeftOut
from .measures.classifier import TwoSampleResult
from .measures.enhanced import Enhanced, Intervals, OwnResolution
from .measures.enhancement import ComparedWithReference
from .measures.resolution import Resolution
from .measures.skeletons import Skeletons

_NEEDS_REFERENCE = "it needs a super-resolution image of the same field of view"
_NOT_REGISTERED = "the shift between the two images was not found"


def generated_rows(results: Results, limits: Limits) -> tuple[VerdictRow, ...]:
    """Return the rows on generated images."""
    return (
        _texture(results, limits),
        _recognized(results, limits),
        _shape(results),
        _sharpness(results, limits),
        _new_images(results, limits),
    )


def enhanced_rows(results: Results, limits: Limits) -> tuple[VerdictRow, ...]:
    """Return the rows on an enhanced image."""
    enhanced = result_of(results, "enhanced", Enhanced)
    if enhanced is None:
        return ()
    compared = result_of(results, "enhancement", ComparedWithReference)
    return (
        _explains(enhanced, limits),
        _own_sharpness(enhanced),
        _likeness(compared, limits),
        _true_detail(enhanced, compared),
        _uncertainty(enhanced.uncertainty, compared, limits),
    )


def _not_measured(name: str, reason: str) -> VerdictRow:
    """Return the row of a measure without a result; the reason is a sentence or a part of one."""
    text = reason.rstrip(".")
    return VerdictRow(name, f"not measured: {text[:1].lower()}{text[1:]}", "unknown")


def _left_out(results: Results, key: str, name: str, otherwise: str) -> VerdictRow:
    """Return the row of a measure that the report has no result of."""
    result = results.get(key)
    return _not_measured(name, result.sentence if isinstance(result, LeftOut) else otherwise)


def _texture(results: Results, limits: Limits) -> VerdictRow:
    name, realism = "Texture", result_of(results, "realism", Realism)
    if realism is None or realism.score is None or realism.score_low is None or realism.score_high is None:
        return _not_measured(name, "it needs more patches, or an experiment unlike the mathematical models")
    value = f"{realism.score:.2f} ({realism.score_low:.2f} to {realism.score_high:.2f})"
    limit = limits.texture_limit(realism)
    chance = "" if limit == limits.texture else ", which so few real fields reach by chance"
    normal = f"up to {limit:.2g}{chance}; 0 is another part of the experiment, 1 a mathematical model"
    level: Level = "unknown"
    if limits.is_other_texture(realism):
        level = "differs"
    elif realism.score <= limits.texture and realism.score_high <= limits.uncertain:
        level = "good"
    return VerdictRow(name, value, level, normal)


def _recognized(results: Results, limits: Limits) -> VerdictRow:
    name, result = "Recognized by a network", result_of(results, "two_sample", TwoSampleResult)
    if result is None:
        return _left_out(results, "two_sample", name, "it needs more patches")
    limit, halves = recognized_limit(result, limits), 100 * result.auc_two_halves
    normal = f"up to {100 * limit:.0f}; 50 is guessing, two halves of the experiment give {halves:.0f}"
    level: Level = "differs" if result.auc > limit else "good"
    return VerdictRow(name, f"{100 * result.auc:.0f} times in 100", level, normal)


def _shape(results: Results) -> VerdictRow:
    name, skeletons = "Shape of the structure", result_of(results, "filaments", Skeletons)
    if skeletons is None:
        return _left_out(results, "filaments", name, "it needs a structure with branches")
    outside = [
        SKELETON_WORDS.get(statistic, statistic.replace("_", " "))
        for statistic, difference in skeletons.differences.items()
        if lies_outside(difference)
    ]
    value = f"different in {', '.join(outside)}" if outside else "within the spread of the experiment"
    return VerdictRow(
        name, value, "differs" if outside else "good", "within the middle 90 % of the experimental patches"
    )


def _sharpness(results: Results, limits: Limits) -> VerdictRow:
    name, resolution = "Sharpness", result_of(results, "resolution", Resolution)
    if resolution is None:
        return _left_out(results, "resolution", name, "it needs larger images")
    low, high = resolution.experimental / limits.sharpness, resolution.experimental * limits.sharpness
    level: Level = "good" if low <= resolution.generated <= high else "differs"
    value = f"{resolution.generated:.0f} nm, experiment {resolution.experimental:.0f} nm"
    return VerdictRow(name, value, level, f"{low:.0f} to {high:.0f} nm")


def _new_images(results: Results, limits: Limits) -> VerdictRow:
    name, realism = "New and varied images", result_of(results, "realism", Realism)
    copies = result_of(results, "memorization", CopyReport)
    parts: list[str] = []
    level: Level = "unknown"
    if copies is None:
        parts.append("copies were not looked for")
    elif copies.copies:
        level = "warning"
        parts.append(f"{copies.copies} patch{'' if copies.copies == 1 else 'es'} of training images")
    else:
        level = "good"
        parts.append("no copies")
    if realism is not None and realism.diversity is not None:
        parts.append(f"variety {realism.diversity:.2f}")
        if level == "good" and realism.diversity < limits.variety:
            level = "differs"
    normal = f"no copies; variety {limits.variety:g} or more, 1 is that of the experiment"
    return VerdictRow(name, ", ".join(parts), level, normal)


def _explains(enhanced: Enhanced, limits: Limits) -> VerdictRow:
    name = "Explains the widefield image"
    if enhanced.explained is None:
        return _not_measured(name, "it needs a widefield image of at least 32 × 32 pixels that is not constant")
    level: Level = "good" if enhanced.explained >= limits.explained else "warning"
    return VerdictRow(name, f"{enhanced.explained:.2f}", level, f"{limits.explained:g} or more; 1 is ideal")


def _own_sharpness(enhanced: Enhanced) -> VerdictRow:
    name, normal, own = "Sharpness", "finer than the widefield image", enhanced.resolution
    if not isinstance(own, OwnResolution):
        return _not_measured(name, own or "it needs a pixel size")
    if own.resolution is None:
        return _not_measured(name, "it needs a larger image")
    value = f"{own.resolution:.0f} nm"
    if own.resolution_widefield is None:
        return VerdictRow(name, value, "unknown", normal)
    level: Level = "good" if own.resolution < own.resolution_widefield else "differs"
    return VerdictRow(name, f"{value}, widefield image {own.resolution_widefield:.0f} nm", level, normal)


def less_like_reference(compared: ComparedWithReference, limits: Limits) -> bool:
    """Return whether the enhanced image is less like its reference than the interpolated widefield image."""
    enhanced, interpolated = compared.registered.enhanced, compared.registered.interpolated
    return enhanced.correlation_blurred < interpolated.correlation_blurred - limits.worse


def _likeness(compared: ComparedWithReference | None, limits: Limits) -> VerdictRow:
    name = "Like the super-resolution image"
    if compared is None:
        return _not_measured(name, _NEEDS_REFERENCE)
    enhanced, interpolated = compared.registered.enhanced, compared.registered.interpolated
    if not compared.registered.found:
        return _not_measured(name, _NOT_REGISTERED)
    level: Level = "differs" if less_like_reference(compared, limits) else "good"
    normal = f"above {interpolated.correlation_blurred:.2f}, that of the interpolated widefield image; 1 is ideal"
    return VerdictRow(name, f"{enhanced.correlation_blurred:.2f}", level, normal)


def _true_detail(enhanced: Enhanced, compared: ComparedWithReference | None) -> VerdictRow:
    name, agreement = "True detail", enhanced.agreement
    if agreement is None or compared is None:
        return _not_measured(name, _NEEDS_REFERENCE)
    if not compared.registered.found:
        return _not_measured(name, _NOT_REGISTERED)
    normal, period = "finer than the widefield image", agreement.frc_half_with_reference
    if period is None:
        return VerdictRow(name, "hardly any agrees with the super-resolution image", "differs", normal)
    return VerdictRow(name, f"down to {period:.0f} nm", true_detail_level(enhanced), normal)


def true_detail_level(enhanced: Enhanced) -> Level:
    """Return whether an enhanced image agrees with its reference in detail that its widefield image does not have."""
    if enhanced.agreement is None:
        return "unknown"
    own, period = enhanced.resolution, enhanced.agreement.frc_half_with_reference
    coarse = own.resolution_widefield if isinstance(own, OwnResolution) else None
    if period is None:
        return "differs"
    return "unknown" if coarse is None else "good" if period < coarse else "differs"


def _uncertainty(intervals: Intervals | None, compared: ComparedWithReference | None, limits: Limits) -> VerdictRow:
    name = "Uncertainty map"
    if intervals is None:
        needed = f"{_NEEDS_REFERENCE}, and the map" if compared is None else "it needs the uncertainty map"
        return _not_measured(name, needed)
    value = f"holds in {100 * intervals.coverage:.0f} % of the pixels"
    if intervals.stated is None:
        return VerdictRow(name, value, "unknown")
    too_small = 1 - intervals.coverage > limits.misses * (1 - intervals.stated)
    return VerdictRow(name, value, "differs" if too_small else "good", f"{100 * intervals.stated:.0f} %")
