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
    """Finest detail of both kinds in nm, by decorrelation analysis: medians over the largest possible patches."""

    generated: float
    experimental: float


def _compute(context: MeasureContext) -> Resolution | LeftOut | None:
    if context.generated is None:
        return None
    if context.pixel_size is None:
        return LeftOut("The images have no pixel size: give it to get a resolution in nm.")
    patches = context.cut(SIZES, 1)
    kinds = (patches.generated, patches.experimental)
    generated, experimental = (typical_resolution(kind, context.pixel_size) for kind in kinds)
    if generated is None or experimental is None:
        return LeftOut("There is no resolution: no frequency stands out, or the images are too small.")
    return Resolution(generated, experimental)


_MEANINGS = {
    "": (
        "Finest detail in nm by decorrelation analysis (median over patches): both kinds should agree. A larger value "
        "of generated patches means blur; a smaller one means noise that the experiment does not have."
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
