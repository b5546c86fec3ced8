"""Settings of the labels of simulated structures."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Unit

from ..base.settings import Checked, Help, NotNegative

BLINKS = 10 / 3  # localizations of a label, if the user does not state them
BACKGROUND = 20.5  # localizations per µm² that do not belong to the structure


@dataclass(frozen=True)
class LabellingConfig(Checked):
    """The labels of a simulated structure, and how well they are localized."""

    labelling: Annotated[
        float | None,
        Gt(0),
        Le(100),
        Help(
            "mean share of the molecules that carry a label; it varies along filaments, which leaves gaps, and at 3 "
            "and above there are hardly any gaps (default: that of the structure)"
        ),
    ] = None
    linkage_error: Annotated[
        float | None,
        Ge(0),
        Le(200),
        Unit("nm"),
        Help(
            "distance from a molecule to the fluorophore of its label, in a random direction: about 15 nm with two "
            "antibodies, 3 nm with a small tag (default: that of the structure)"
        ),
    ] = None
    blinks: Annotated[
        float | None,
        Ge(1),
        Le(1000),
        Help("mean number of localizations of a label, which is geometrically distributed (default: 3.33)"),
    ] = None
    localization_precision: Annotated[
        float,
        Gt(0),
        Le(200),
        Unit("nm"),
        Help("standard deviation of a localization in each direction; the image is blurred by it too"),
    ] = 9.0
    unspecific_background: Annotated[
        NotNegative,
        Le(10_000),
        Unit("/µm²"),
        Help("localizations that do not belong to the structure, single ones and spots, per µm²"),
    ] = BACKGROUND


@dataclass(frozen=True)
class MicrotubuleConfig(Checked):
    """How simulated microtubules lie in their field."""

    organisation: Annotated[
        Literal["cell", "random"],
        Help("cell: filaments radiate from an organising centre, in bundles; random: independent curves"),
    ] = "cell"
    density: Annotated[float, Gt(0), Le(30), Unit("µm/µm²"), Help("length of all filaments per area of the cell")] = (
        2.15
    )
    persistence_length: Annotated[
        float, Ge(2), Le(10_000), Unit("µm"), Help("length over which a filament keeps its direction")
    ] = 30.0
    undulation: Annotated[
        float, Ge(0), Le(200), Unit("nm"), Help("standard deviation of the waves of a filament, 1.5 to 2 µm long")
    ] = 32.0
    buckling: Annotated[
        float, Ge(0), Le(10), Unit("/µm"), Help("scale of the curvature where a filament is buckled; 0: nowhere")
    ] = 2.3
    bundled: Annotated[float, Ge(0), Le(0.9), Help("share of the filaments that run beside another one")] = 0.2
    crossing: Annotated[
        float, Ge(0), Le(1), Help("share of the filaments that do not follow the others, and cross them")
    ] = 0.1
    centre_distance: Annotated[
        float | None,
        Ge(0),
        Le(100),
        Unit("µm"),
        Help("distance of the organising centre from the middle of the field (default: drawn from 2 to 24 µm)"),
    ] = None
    edges: Annotated[float, Ge(0), Le(1), Help("share of the fields that the border of the cell crosses")] = 0.25
