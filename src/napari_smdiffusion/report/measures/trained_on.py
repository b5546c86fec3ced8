"""A note where the experimental images are those that the model was trained on."""

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
    """What a reader has to know of the other measures, as a sentence."""

    sentence: str


def _compute(context: MeasureContext) -> TrainedOn | None:
    if not context.trained_on:
        return None
    return TrainedOn(
        f"The model was trained on the experimental images ({join_names(context.trained_on)}): realism, spectra, "
        "skeletons and the classifier tell how well it has learned them, not how it does on others."
    )


TRAINED_ON = Measure(
    "realism_of_training_images",
    TrainedOn,
    _compute,
    {"": "What is to be known where the experimental images were trained on."},
    sentences=lambda result: [result.sentence],
    encode=lambda result: result.sentence,
    decode=lambda value: TrainedOn(str(value)),
    order=60,
)
MEASURES.register("realism_of_training_images")(TRAINED_ON)
