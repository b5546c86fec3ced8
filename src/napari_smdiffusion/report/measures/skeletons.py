"""What the skeletons of both kinds of patches say."""

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
    """The differences that `measure.filaments.compare_filaments` returns, by the name of each summary."""

    differences: dict[str, FilamentDifference]


def _compute(context: MeasureContext) -> Skeletons | None:
    patches = context.patches
    if patches is None:
        return None
    differences = compare_filaments(patches.generated, patches.experimental, context.pixel_size)
    return Skeletons(differences) if differences else None


def _outside(result: Skeletons) -> list[str]:
    return [name for name, one in result.differences.items() if not one.inside]


def _sentences(result: Skeletons) -> Iterator[str]:
    # Any structure has a skeleton, and not every structure is made of filaments.
    def named(names: Iterable[str]) -> str:
        return ", ".join(name.replace("_", " ") for name in names)

    if outside := _outside(result):
        yield f"Skeletons lie outside the spread of experimental patches in: {named(outside)}."
    else:
        yield f"Skeletons lie within the spread of experimental patches in: {named(result.differences)}."
    differ = [name for name, one in result.differences.items() if one.inside and one.difference > one.by_chance]
    if differ:
        yield f"Within it, they are distributed otherwise than by chance in: {named(differ)}."


def _draw(axes: Axes, result: Skeletons) -> None:
    """Show the medians of both kinds, and within what 90 % of the experimental patches lie, over their median."""
    names = list(result.differences)[::-1]
    for place, name in enumerate(names):
        one = result.differences[name]
        scale = abs(one.experimental) or 1.0
        axes.plot(
            [one.low / scale, one.high / scale], [place, place], color=KIND_COLORS["experimental"], lw=6, alpha=0.3
        )
        medians = {"experimental": one.experimental, "generated": one.generated}
        for kind, color in KIND_COLORS.items():
            axes.plot(medians[kind] / scale, place, "o", color=color)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set(title="Skeletons", xlabel="relative to the experimental median")


def _shown(result: Skeletons) -> dict[str, str]:
    return {
        name: with_unit(compared_text(one.generated, one.experimental, (one.low, one.high)), one.unit)
        for name, one in result.differences.items()
    }


def _decode(value: Any) -> Skeletons:
    return Skeletons(TypeAdapter(dict[str, FilamentDifference]).validate_python(value))


_LIES = "good where the generated median lies between the 5 % and 95 % marks of the experimental patches"

_MARKS = {
    "generated": "Median over the generated patches.",
    "experimental": "Median over the experimental patches.",
    "low": "5 % of the experimental patches lie below.",
    "high": "5 % of the experimental patches lie above.",
    "inside": "Whether the generated median lies between these two: it should.",
    "difference": (
        "Kolmogorov-Smirnov statistic of both kinds: good below `by_chance`, as where they are of one distribution; 1 "
        "is no overlap."
    ),
    "by_chance": "What that statistic stays below with 95 % confidence where both kinds are of one distribution.",
    "unit": "Of the medians and of the marks.",
}

_MEANINGS = {
    "length_density": f"Length of the skeleton per area: {_LIES}.",
    "branch_length": (
        f"Length of the skeleton's branches between crossings, ends and gaps (median): {_LIES}; short means broken "
        "filaments, where the structure has some."
    ),
    "curvature": (
        f"How bent the skeleton is, one over the radius (median): {_LIES}; more means wavy or crooked branches."
    ),
    "curvature_90": f"How bent the most bent tenth of the skeleton is: {_LIES}; more means kinks.",
    "order": f"How parallel its branches are, 0 for all directions alike and 1 for parallel: {_LIES}.",
    "intensity_variation": (
        f"How uneven the light along a branch is, standard deviation over mean (median): {_LIES}; more means dashes."
    ),
    "free_ends": f"How many ends the skeleton has per length, two for each gap: {_LIES}; more means dashes.",
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
    encode=lambda result: {name: asdict(one) for name, one in result.differences.items()},
    decode=_decode,
    shown=_shown,
    order=50,
)
MEASURES.register("filaments")(SKELETONS)
