"""Histograms of the intensities of both kinds of patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...measure.spectrum import Histogram, histograms
from ..measure import Measure
from ..pictures import KIND_COLORS, contrast
from . import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..context import MeasureContext


def _compute(context: MeasureContext) -> Histogram | None:
    patches = context.patches
    if patches is None:
        return None
    limits = contrast([patches.experimental, patches.generated], 99.95)
    return histograms(patches.experimental, patches.generated, limits)


def _draw(axes: Axes, result: Histogram) -> None:
    shares = {"experimental": result.experimental_share, "generated": result.generated_share}
    for kind, color in KIND_COLORS.items():
        axes.stairs(shares[kind], result.edges, label=kind, color=color)
    axes.set(yscale="log", xlabel="intensity", ylabel="share of the pixels", title="Intensities")
    axes.legend()


_MEANINGS = {
    "edges": "Edges of the intensity bins.",
    "experimental_share": "Share of the pixels of experimental patches in each bin.",
    "generated_share": "Share of the pixels of generated patches in each bin.",
    "overlap": (
        "Overlap of both histograms: 1 is ideal. Most pixels may be background, so that a black image can reach 0.9: "
        "check the curves as well."
    ),
}

HISTOGRAM = Measure("histogram", Histogram, _compute, _MEANINGS, panel=_draw, order=20)
MEASURES.register("histogram")(HISTOGRAM)
