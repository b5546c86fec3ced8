"""A measure as anybody may add one: less than 30 lines."""

from dataclasses import dataclass

from napari_smdiffusion.report.measure import Measure


@dataclass(frozen=True)
class MeanIntensity:
    generated: float
    experimental: float


def _compute(context):
    if context.patches is None:
        return None
    return MeanIntensity(float(context.patches.generated.mean()), float(context.patches.experimental.mean()))


def _draw(axes, result):
    axes.bar(["experimental", "generated"], [result.experimental, result.generated])
    axes.set_title("Mean intensity")


MEAN_INTENSITY = Measure(
    "mean_intensity",
    MeanIntensity,
    _compute,
    {"generated": "Mean of the generated patches: good near the experimental one.", "experimental": "Mean of those."},
    units={"generated": "photons", "experimental": "photons"},
    sentences=lambda result: [f"Mean intensity: {result.generated:.2f} photons, {result.experimental:.2f} expected."],
    verdict=lambda result: abs(result.generated - result.experimental) < 0.1 * result.experimental,
    panel=_draw,
)
