"""A note if the experimental images are training images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...images.provenance import join_names
from ..measure import Measure
from . import MEASURES

if TYPE_CHECKING:
    from ..context import MeasureContext


@dataclass(frozen=True)
class TrainedOn:
    """A sentence on what the other measures mean in this case."""

    sentence: str


def _compute(context: MeasureContext) -> TrainedOn | None:
    if not context.trained_on:
        return None
    return TrainedOn(
        f"The model was trained on the experimental images ({join_names(context.trained_on)}): realism, spectra, "
        "skeletons and the classifier measure how well it learned them, not new images."
    )


TRAINED_ON = Measure(
    "realism_of_training_images",
    TrainedOn,
    _compute,
    {"": "A note if the experimental images are training images."},
    sentences=lambda result: [result.sentence],
    encode=lambda result: result.sentence,
    decode=lambda value: TrainedOn(str(value)),
    order=60,
)
MEASURES.register("realism_of_training_images")(TRAINED_ON)
