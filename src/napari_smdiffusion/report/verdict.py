"""The verdict of a report in one line: a good result, a difference, a warning, or why none of them can be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..measure.copies import CopyReport
from ..measure.realism import Realism
from .differences import differences_of
from .limits import LIMITS, Level, Limits, Results, VerdictRow, result_of
from .measure import LeftOut
from .measures.classifier import TwoSampleResult
from .measures.enhanced import Enhanced
from .measures.enhancement import ComparedWithReference
from .measures.trained_on import TrainedOn
from .verdict_rows import enhanced_rows, generated_rows, less_like_reference, true_detail_level

Subject: TypeAlias = Literal["generated", "enhanced"]

_NAMED = 2  # measures that a verdict names


@dataclass(frozen=True)
class Verdict:
    """The verdict on generated images, or on an enhanced image.

    Parameters
    ----------
    subject
        What was compared: "generated" or "enhanced".
    level
        "good", "differs", "warning" (copies, or an enhanced image that does not explain its input or is doubted), or
        "unknown".
    text
        The verdict, which begins with the level in words.
    rows
        The five most important results.
    """

    subject: Subject
    level: Level
    text: str
    rows: tuple[VerdictRow, ...] = ()


def verdicts_of(results: Results, provenance: Mapping[str, Any], limits: Limits = LIMITS) -> tuple[Verdict, ...]:
    """Return the verdict on the generated images and that on the enhanced image, if a report has them.

    A sign of copies comes first, then differences, then what is missing for a verdict. So images resemble the
    experiment only if nothing is known against it, and nothing is missing.

    Parameters
    ----------
    results
        Results of the measures by their keys, as in `Report.results`.
    provenance
        That of the report; it has the number of patches.
    limits
        The limits of all measures.
    """
    verdicts = []
    if (realism := result_of(results, "realism", Realism)) is not None:
        level, text = _generated(results, realism, _fewest_patches(provenance), limits)
        verdicts.append(Verdict("generated", level, text, generated_rows(results, limits)))
    if (enhanced := result_of(results, "enhanced", Enhanced)) is not None:
        level, text = _enhanced(enhanced, result_of(results, "enhancement", ComparedWithReference), limits)
        verdicts.append(Verdict("enhanced", level, text, enhanced_rows(results, limits)))
    return tuple(verdicts)


def _generated(results: Results, realism: Realism, fewest: int, limits: Limits) -> tuple[Level, str]:
    """Return the level and the text of the verdict on generated images."""
    copies = result_of(results, "memorization", CopyReport)
    if copies is not None and copies.copies:
        patches = "1 patch" if copies.copies == 1 else f"{copies.copies} patches"
        return "warning", f"Warning: the generated images may contain copies of training images ({patches})."
    if differences := differences_of(results, fewest, limits):
        names = " and in ".join(difference.name for difference in differences[:_NAMED])
        return "differs", f"Different: the generated images differ from the experimental images in {names}."
    if reason := _missing(results, realism, limits):
        return (
            "unknown",
            f"Cannot say whether the generated images resemble the experimental images. {reason}",
        )
    known = ", on which the model was trained" if result_of(results, "realism_of_training_images", TrainedOn) else ""
    searched = "" if copies is not None else "; copies were not looked for"
    return "good", f"Good: the generated images resemble the experimental images{known}{searched}."


def _missing(results: Results, realism: Realism, limits: Limits) -> str:
    """Return a sentence on what is missing for a verdict; "" if nothing is."""
    # This sentence comes first, because it has the number of patches.
    if result_of(results, "two_sample", TwoSampleResult) is None:
        left_out = results.get("two_sample")
        return left_out.sentence if isinstance(left_out, LeftOut) else "The report has no result of the classifier."
    if realism.score is None or realism.score_low is None or realism.score_high is None:
        return (
            "The experimental patches differ from each other nearly as much as from a mathematical model, or there are "
            "too few: give more or larger images."
        )
    if limits.texture < realism.score <= limits.texture_limit(realism):
        return (
            f"The realism score is {realism.score:.2f}, and so few fields of the experiment itself reach up to "
            f"{limits.texture_limit(realism):.2f} by chance: generate more or larger images."
        )
    if realism.score > limits.texture or realism.score_high > limits.uncertain:
        return (
            f"The realism score lies between {realism.score_low:.2f} and {realism.score_high:.2f}, which is not exact "
            "enough: give more or larger images."
        )
    return ""


def _fewest_patches(provenance: Mapping[str, Any]) -> int:
    """Return the number of patches of the rarer kind; 0 if the report does not state it."""
    # A file that was edited may state anything.
    patches = provenance.get("patches") if isinstance(provenance, Mapping) else None
    counts = patches.values() if isinstance(patches, Mapping) else ()
    return min((count for count in counts if isinstance(count, int)), default=0)


def _enhanced(enhanced: Enhanced, compared: ComparedWithReference | None, limits: Limits) -> tuple[Level, str]:
    """Return the level and the text of the verdict on an enhanced image."""
    if enhanced.explained is None:
        return (
            "unknown",
            "Cannot say whether the enhanced image explains its widefield image. The widefield image is constant or "
            "too small, or the report is of an earlier version.",
        )
    if enhanced.explained < limits.explained:
        return (
            "warning",
            "Warning: the enhanced image does not explain its widefield image. Blurred again, it agrees with it by "
            f"{enhanced.explained:.2f}, a good result by {limits.explained:g} or more.",
        )
    if enhanced.doubts:
        return "warning", f"Warning: the enhanced image is in doubt. {enhanced.doubts[0]}"
    explains = "the enhanced image explains its widefield image"
    if compared is None:
        return "good", f"Good: {explains}."
    if not compared.registered.found:
        return "good", f"Good: {explains}. It could not be registered with the super-resolution image."
    if less_like_reference(compared, limits):
        return (
            "differs",
            f"Different: {explains}, but is less like the super-resolution image than the interpolated one.",
        )
    if enhanced.agreement is not None and enhanced.agreement.frc_half_with_reference is None:
        return "differs", f"Different: {explains}, but its detail hardly agrees with the super-resolution image."
    likeness = f"Good: {explains}, and is more like the super-resolution image than the interpolated one."
    if true_detail_level(enhanced) == "differs" and enhanced.agreement is not None:
        period = enhanced.agreement.frc_half_with_reference
        likeness += f" But its detail agrees with it down to {period:.0f} nm only, no finer than the widefield image."
    return "good", likeness
