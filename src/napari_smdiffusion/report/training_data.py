"""Which experimental images of a comparison, or which parts of them, the model was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..images.parts import shared_parts
from ..store.catalogue import find_model
from ..store.facts import ModelSummary
from ..store.folder import ModelFolderError, read_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..images.image import Image
    from ..images.provenance import TrainingImage


def known_training_images(generated: Image) -> tuple[TrainingImage, ...]:
    """Return the training images that a generated image states; empty if it states none.

    The folder of the model has more marks of their parts than a generated image, and images of earlier versions have
    none. It is read if it is there and states the same training images.
    """
    stated = generated.provenance.training_data or ()
    if not stated or not generated.provenance.model:
        return stated
    try:
        facts = read_facts(find_model(generated.provenance.model, "diffusion"), "diffusion", ModelSummary)
    except (ModelFolderError, OSError):
        return stated
    same = [image.sha256 for image in facts.training_data] == [image.sha256 for image in stated]
    return facts.training_data if same else stated


def partly_trained_on(images: Iterable[Image], training: tuple[TrainingImage, ...]) -> dict[str, str]:
    """Return the names of the images that share a part with a training image, and the name of the training image.

    Images that are training images as a whole are left out.
    """
    whole = {image.sha256 for image in training}
    shared = {}
    for image in images:
        if image.digest in whole:
            continue
        sharing = sorted(shared_parts(image.pixels, [trained.parts for trained in training]))
        if sharing:
            shared[Path(image.name).name] = training[sharing[0]].name
    return shared
