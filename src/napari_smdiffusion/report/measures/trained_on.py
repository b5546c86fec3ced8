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
    """A sentence on the meaning of the other measures in this case."""

    sentence: str


def _compute(context: MeasureContext) -> TrainedOn | None:
    whole, parts = context.trained_on, context.partly_trained_on
    images = [f"the experimental images ({join_names(whole)})"] if whole else []
    if parts:
        names = join_names(f"{name}: {training}" for name, training in parts.items())
        images.append(f"parts of the experimental images ({names})")
    if not images:
        return None
    return TrainedOn(
        f"The model was trained on {' and on '.join(images)}: realism, spectra, skeletons and the classifier measure "
        "how well it learned them, not new images."
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
