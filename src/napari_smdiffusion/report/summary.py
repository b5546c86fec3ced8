"""What a report says, in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Beyond these it is told that images repeat themselves or leave much out; see `assess.realism` for what each is.
_REPEATED, _ALIKE, _COVERED = 0.05, 0.55, 0.4


def summary(report: Mapping[str, Any]) -> list[str]:
    """Return what a report says as sentences; what it does not hold is left out."""
    return [*_of_generated(report), *_of_enhanced(report)]


def _of_generated(report: Mapping[str, Any]) -> Iterator[str]:
    if "realism" in report:
        yield from _of_realism(report["realism"])
    for key, of in (("two_sample", ""), ("two_sample_large", "Of larger patches: ")):
        if key in report:
            yield of + report[key]["meaning"]
    if report.get("filaments"):
        yield from _of_filaments(report["filaments"])
    if "realism_of_training_images" in report:
        yield report["realism_of_training_images"]
    if "memorization" in report:
        m = report["memorization"]
        yield m["verdict"]
        yield (
            f"Nearest training patch: correlation {m['generated_median']:.2f} for generated patches, "
            f"{m['held_out_median']:.2f} for experimental ones that were held out. "
            "Fewer structures or less noise raise it as copying does; the sentence before tells which."
        )
    if "memorization_left_out" in report:
        yield f"Copies were not looked for. {report['memorization_left_out']}"


def _of_realism(realism: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Realism has no scale here: the experimental patches are hardly nearer to each other than to the mathematical "
        "model, or too few to tell. The report holds the distances themselves."
        if realism["score"] is None
        else f"Realism {realism['score']:.3f} ({realism['score_low']:.3f} to {realism['score_high']:.3f} with 90 % "
        "confidence): 0 is as near to experimental patches as they are to each other, 1 as far as a mathematical model."
    )
    if realism["repeated"] > _REPEATED:
        yield f"{100 * realism['repeated']:.0f} % of the generated patches come more than once: they repeat themselves."
    if realism["diversity"] is not None and realism["diversity"] < _ALIKE:
        yield (
            f"Generated patches are too much alike: they differ {realism['diversity']:.2f} times as much from each "
            "other as experimental ones."
        )
    if realism["coverage"] < _COVERED:
        yield (
            f"Of what the experiment shows much is missing: generated patches cover {100 * realism['coverage']:.0f} % "
            "of what other experimental patches do."
        )


def _of_filaments(filaments: Mapping[str, Any]) -> Iterator[str]:
    # Any structure has a skeleton, and not every structure is made of filaments.
    def named(names: list[str]) -> str:
        return ", ".join(name.replace("_", " ") for name in names)

    outside = [name for name, one in filaments.items() if not one["inside"]]
    differ = [name for name, one in filaments.items() if one["inside"] and one["difference"] > one["by_chance"]]
    if outside:
        yield f"Skeletons lie outside the spread of experimental patches in: {named(outside)}."
    else:
        yield f"Skeletons lie within the spread of experimental patches in: {named(list(filaments))}."
    if differ:
        yield f"Within it, they are distributed otherwise than by chance in: {named(differ)}."


def _of_enhanced(report: Mapping[str, Any]) -> Iterator[str]:
    if "enhanced" in report:
        e = report["enhanced"]
        if "part" in e:
            yield e["part"]
        if e.get("resolution"):
            yield f"Resolution of the enhanced image: {e['resolution']:.0f} nm by decorrelation analysis of it alone."
        yield from _of_agreement(e)
        yield f"Blurred again, it correlates by {e['rsp']:.3f} with the widefield image (1 is ideal, haze lowers it)."
        if "uncertainty" in e:
            u = e["uncertainty"]
            stated = f"; {100 * u['stated']:.0f} % are stated" if u["stated"] else ""
            there = u["coverage_structure"]
            structure = "" if there is None else f" ({100 * there:.0f} % where there is structure)"
            share = f"{100 * u['coverage']:.1f} % of the pixels{structure}"
            yield f"In {share} the truth lies within the uncertainty map{stated}."
    if "enhancement_left_out" in report:
        yield f"The comparison with the super-resolution image was left out. {report['enhancement_left_out']}"
    if "enhancement" in report:
        e = report["enhancement"]
        yield f"Correlation with the super-resolution image (blurred by 2 px): {_correlations(e)}."
        if not e["registered"]["found"]:
            yield "How the two lie on each other was not found: they are compared as they lie."
        down, right = e["registered"]["offset"]
        if max(abs(down), abs(right)) >= 0.5:
            yield (
                f"The widefield image lies off it by {-down:.1f} pixels down and {-right:.1f} to the right; laid "
                f"exactly on each other: {_correlations(e['registered'])}."
            )


def _of_agreement(enhanced: Mapping[str, Any]) -> Iterator[str]:
    well, traces = (enhanced.get(key) for key in ("frc_half_with_reference", "frc_with_reference"))
    if well and traces:
        yield f"It agrees with the super-resolution image down to {well:.0f} nm, and in traces down to {traces:.0f} nm."
    elif traces:
        yield f"It agrees with the super-resolution image in traces only, down to {traces:.0f} nm."
    elif "frc_with_reference" in enhanced:
        yield (
            "It hardly agrees with the super-resolution image at any period, or the two are too small to tell: how "
            "sharp it looks says nothing of what is true."
        )


def _correlations(enhancement: Mapping[str, Any]) -> str:
    kinds = ("enhanced", "interpolated")
    return ", ".join(f"{enhancement[kind]['correlation_blurred']:.2f} {kind}" for kind in kinds)
