"""Radial power spectra of both kinds of patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...measure.spectrum import Spectrum, spectra
from ..measure import Measure
from ..pictures import KIND_COLORS
from . import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..context import MeasureContext

MOST_DOUBLINGS = 1.0  # doublings of power; beyond, images are blurred, noisy or of another brightness


def _compute(context: MeasureContext) -> Spectrum | None:
    patches = context.patches
    if patches is None:
        return None
    return spectra(patches.experimental, patches.generated, context.pixel_size)


def _draw(axes: Axes, result: Spectrum) -> None:
    curves = {
        "experimental": (result.experimental_low, result.experimental_median, result.experimental_high),
        "generated": (result.generated_low, result.generated_median, result.generated_high),
    }
    for kind, color in KIND_COLORS.items():
        low, middle, high = curves[kind]
        axes.plot(result.frequency, middle, label=kind, color=color)
        axes.fill_between(result.frequency, low, high, color=color, alpha=0.2, lw=0)
    title = "Radial power spectrum (middle half of the patches)"
    axes.set(yscale="log", xlabel=result.unit, ylabel="power", title=title)


_MEANINGS = {
    "unit": "Unit of the frequencies.",
    "frequency": "Frequency in the middle of each ring of the radial power spectrum.",
    **{
        f"{kind}_{part}": f"Power of the {kind} patches in each ring: {word}."
        for kind in ("experimental", "generated")
        for part, word in (("low", "lower quartile"), ("median", "median"), ("high", "upper quartile"))
    },
    "log2_ratio": (
        "Difference of the powers of both kinds in doublings (log2), as a mean over the rings: 0 is ideal. From 1 on, "
        "generated patches are blurred, noisy or of another brightness."
    ),
}

SPECTRUM = Measure(
    "spectrum",
    Spectrum,
    _compute,
    _MEANINGS,
    verdict=lambda result: result.log2_ratio < MOST_DOUBLINGS,
    panel=_draw,
    order=30,
)
MEASURES.register("spectrum")(SPECTRUM)
