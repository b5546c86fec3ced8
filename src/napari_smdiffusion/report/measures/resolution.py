"""The resolution of both kinds of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...measure.resolution import typical_resolution
from ..context import SIZES
from ..measure import LeftOut, Measure, compared_text
from . import MEASURES

if TYPE_CHECKING:
    from ..context import MeasureContext


@dataclass(frozen=True)
class Resolution:
    """Finest detail of both kinds in nm, by decorrelation analysis: medians over patches as large as they can be."""

    generated: float
    experimental: float


def _compute(context: MeasureContext) -> Resolution | LeftOut | None:
    if context.generated is None:
        return None
    if context.pixel_size is None:
        return LeftOut("The images have no pixel size: a resolution is told in nm.")
    patches = context.cut(SIZES, 1)
    made, real = (typical_resolution(kind, context.pixel_size) for kind in (patches.generated, patches.experimental))
    if made is None or real is None:
        return LeftOut("No frequency stands out, or the images are too small for it: no resolution can be told.")
    return Resolution(made, real)


_MEANINGS = {
    "": (
        "Finest detail in nm by decorrelation analysis (median over patches): generated patches should have that of "
        "the experimental ones; more nm means blurred, and fewer means noise that the experiment has not."
    )
}

RESOLUTION = Measure(
    "resolution",
    Resolution,
    _compute,
    _MEANINGS,
    units={"": "nm"},
    shown=lambda result: compared_text(result.generated, result.experimental),
    order=80,
)
MEASURES.register("resolution")(RESOLUTION)
