"""Which experimental images of a comparison, or which parts of them, the model was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..images.parts import places_of_part, shared_parts
from ..images.regions import stated_window
from ..store.catalogue import find_model
from ..store.facts import ModelSummary
from ..store.folder import ModelFolderError, read_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..images.image import Image
    from ..images.provenance import TrainingImage
    from ..images.regions import Window


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
    """Return the image if it is a training image, the parts of it that are, or an empty list.

    A training image that states no window, as one that was cropped before it was given, is found by its content.
    """
    if image.digest in {known.sha256 for known in training}:
        return [image]
    return [
        part
        for known in training
        for window in _possible_windows(image, known)
        if (part := image.crop(*window)).digest == known.sha256
    ]


def _possible_windows(image: Image, known: TrainingImage) -> list[Window]:
    """Return where an image may hold a training image: the stated window, or where the marks of its parts say."""
    if known.window:
        window = stated_window(known.window, image.size)
        return [] if window is None else [window]
    if len(known.shape) != 3 or known.shape[0] != len(image):
        return []
    _, height, width = known.shape
    windows = [
        stated_window((row, row + height, column, column + width), image.size)
        for row, column in sorted(places_of_part(image.pixels, known.parts))
    ]
    return [window for window in windows if window is not None]


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
