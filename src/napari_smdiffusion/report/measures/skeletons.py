"""The skeletons of both kinds of patches."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ...measure.filaments import SUMMARIES, FilamentDifference, compare_filaments
from ..measure import Measure, compared_text, with_unit
from ..pictures import KIND_COLORS
from . import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from matplotlib.axes import Axes

    from ..context import MeasureContext


@dataclass(frozen=True)
class Skeletons:
    """The result of `measure.filaments.compare_filaments`: a difference for each statistic, by name."""

    differences: dict[str, FilamentDifference]


def _compute(context: MeasureContext) -> Skeletons | None:
    patches = context.patches
    if patches is None:
        return None
    differences = compare_filaments(patches.generated, patches.experimental, context.pixel_size)
    return Skeletons(differences) if differences else None


def _outside(result: Skeletons) -> list[str]:
    return [name for name, difference in result.differences.items() if not difference.inside]


def _sentences(result: Skeletons) -> Iterator[str]:
    # "Skeletons" rather than "filaments", because the structure may have none.
    def named(names: Iterable[str]) -> str:
        return ", ".join(name.replace("_", " ") for name in names)

    if outside := _outside(result):
        yield f"Skeletons lie outside the spread of experimental patches in: {named(outside)}."
    else:
        yield f"Skeletons lie within the spread of experimental patches in: {named(result.differences)}."
    differ = [name for name, d in result.differences.items() if d.inside and d.difference > d.by_chance]
    if differ:
        yield f"Within it, their distributions differ more than by chance in: {named(differ)}."


def _draw(axes: Axes, result: Skeletons) -> None:
    """Show the medians of both kinds and the 5 % to 95 % range, relative to the experimental median."""
    names = list(result.differences)[::-1]
    for place, name in enumerate(names):
        difference = result.differences[name]
        scale = abs(difference.experimental) or 1.0
        marks = [difference.low / scale, difference.high / scale]
        axes.plot(marks, [place, place], color=KIND_COLORS["experimental"], lw=6, alpha=0.3)
        medians = {"experimental": difference.experimental, "generated": difference.generated}
        for kind, color in KIND_COLORS.items():
            axes.plot(medians[kind] / scale, place, "o", color=color)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set(title="Skeletons", xlabel="relative to the experimental median")


def _shown(result: Skeletons) -> dict[str, str]:
    return {
        name: with_unit(compared_text(d.generated, d.experimental, (d.low, d.high)), d.unit)
        for name, d in result.differences.items()
    }


def _decode(value: Any) -> Skeletons:
    return Skeletons(TypeAdapter(dict[str, FilamentDifference]).validate_python(value))


_GOOD = "good if the generated median is between the 5 % and 95 % marks of the experimental patches"

_MARKS = {
    "generated": "Median over the generated patches.",
    "experimental": "Median over the experimental patches.",
    "low": "5 % of the experimental patches are below.",
    "high": "5 % of the experimental patches are above.",
    "inside": "Whether the generated median is between these marks: it should be.",
    "difference": "Kolmogorov-Smirnov statistic of both kinds: good below `by_chance`; 1 is no overlap.",
    "by_chance": "With 95 % confidence, that statistic is below this if both kinds have the same distribution.",
    "unit": "Unit of the medians and the marks.",
}

_MEANINGS = {
    "length_density": f"Length of the skeleton per area: {_GOOD}.",
    "branch_length": (
        f"Length of the branches between crossings, ends and gaps (median): {_GOOD}. Short branches mean broken "
        "filaments, if the structure has filaments."
    ),
    "curvature": (
        f"Curvature of the skeleton, one over the radius (median): {_GOOD}. More means wavy or crooked branches."
    ),
    "curvature_90": f"Curvature of the most curved tenth of the skeleton: {_GOOD}. More means kinks.",
    "order": f"Alignment of the branches, 0 for all directions, 1 for parallel: {_GOOD}.",
    "intensity_variation": (
        f"Variation of intensity along a branch, standard deviation over mean (median): {_GOOD}. More means dashes."
    ),
    "free_ends": f"Ends per length of the skeleton, two for each gap: {_GOOD}. More means dashes.",
    **{f"{name}.{key}": text for name in SUMMARIES for key, text in _MARKS.items()},
}

SKELETONS = Measure(
    "filaments",
    Skeletons,
    _compute,
    _MEANINGS,
    sentences=_sentences,
    verdict=lambda result: not _outside(result),
    panel=_draw,
    encode=lambda result: {name: asdict(difference) for name, difference in result.differences.items()},
    decode=_decode,
    shown=_shown,
    order=50,
)
MEASURES.register("filaments")(SKELETONS)
