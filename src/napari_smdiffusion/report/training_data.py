"""Which experimental images of a comparison, or which parts of them, the model was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..images.parts import shared_parts
from ..images.regions import stated_window
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


def parts_trained_on(images: Iterable[Image], training: tuple[TrainingImage, ...]) -> list[Image]:
    """Return the images; of one of which the model was trained on parts alone, these parts.

    Parameters
    ----------
    images
        Images that hold the training images, as the user gave them.
    training
        What the model states of its training images.
    """
    return [part for image in images for part in known_parts(image, training) or [image]]


def known_parts(image: Image, training: tuple[TrainingImage, ...]) -> list[Image]:
    """Return the image if it is a training image, the parts of it that are, or an empty list."""
    if image.digest in {known.sha256 for known in training}:
        return [image]
    windows = [(known.sha256, stated_window(known.window, image.size)) for known in training]
    parts = [(digest, image.crop(*window)) for digest, window in windows if window is not None]
    return [part for digest, part in parts if part.digest == digest]


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
