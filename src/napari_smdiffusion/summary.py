"""What a report says, in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def summary(report: Mapping[str, Any]) -> list[str]:
    """Return what a report says as sentences; what it does not hold is left out."""
    return [*_of_generated(report), *_of_enhanced(report)]


def _of_generated(report: Mapping[str, Any]) -> Iterator[str]:
    if "memorization_left_out" in report:
        yield f"Memorization was left out. {report['memorization_left_out']}"
    if "realism" in report:
        r = report["realism"]
        yield (
            "Realism has no scale here: the experimental patches are hardly nearer to each other than to the "
            "mathematical model, or too few to tell. The report holds the distances themselves."
            if r["score"] is None
            else f"Realism {r['score']:.3f} ({r['score_low']:.3f} to {r['score_high']:.3f} with 90 % confidence): 0 is "
            "as near to experimental patches as they are to each other, 1 as far as a mathematical model."
        )
    if "two_sample" in report:
        two_sample = report["two_sample"]
        yield f"{two_sample['meaning']} Two halves of the experiment: {two_sample['auc_two_halves']:.2f}."
    if "filaments" in report:
        outside = [name.replace("_", " ") for name, one in report["filaments"].items() if not one["inside"]]
        yield (
            f"Filaments lie outside the spread of experimental patches in: {', '.join(outside)}."
            if outside
            else "Length, curvature and direction of filaments lie within the spread of experimental patches."
        )
    if "memorization" in report:
        m = report["memorization"]
        yield m["verdict"]
        yield (
            f"Nearest training patch: correlation {m['generated_median']:.2f} for generated patches, "
            f"{m['held_out_median']:.2f} for experimental ones that were held out (higher would mean copying)."
        )


def _of_enhanced(report: Mapping[str, Any]) -> Iterator[str]:
    if "enhanced" in report:
        e = report["enhanced"]
        if e.get("resolution"):
            yield f"Resolution of the enhanced image: {e['resolution']:.0f} nm by decorrelation analysis of it alone."
        if e.get("frc_with_reference"):
            yield f"It agrees with the super-resolution image down to {e['frc_with_reference']:.0f} nm."
        yield f"Blurred again, it correlates by {e['rsp']:.3f} with the widefield image (1 is ideal, haze lowers it)."
        if "uncertainty" in e:
            u = e["uncertainty"]
            stated = f"; {100 * u['stated']:.0f} % are stated" if u["stated"] else ""
            bright = f" ({100 * u['coverage_bright']:.0f} % of the bright ones)" if u["coverage_bright"] else ""
            share = f"{100 * u['coverage']:.1f} % of the pixels{bright}"
            yield f"In {share} the truth lies within the uncertainty map{stated}."
    if "enhancement_left_out" in report:
        yield f"The comparison with the super-resolution image was left out. {report['enhancement_left_out']}"
    if "enhancement" in report:
        e = report["enhancement"]
        yield f"Correlation with the super-resolution image (blurred by 2 px): {_correlations(e)}."
        down, right = e["registered"]["offset"]
        if max(abs(down), abs(right)) >= 0.5:
            yield (
                f"The widefield image lies off it by {-down:.1f} pixels down and {-right:.1f} to the right; laid "
                f"exactly on each other: {_correlations(e['registered'])}."
            )


def _correlations(enhancement: Mapping[str, Any]) -> str:
    kinds = ("enhanced", "interpolated")
    return ", ".join(f"{enhancement[kind]['correlation_blurred']:.2f} {kind}" for kind in kinds)
