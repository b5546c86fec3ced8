"""The images of a training: read, and refused if a model computed them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Stop, never
from .job import ImageSource, read_sources

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ..images.axes import Channel
    from ..images.image import Image


def read_training_images(
    sources: Sequence[ImageSource],
    pixel_size: float | None,
    computed: Collection[str],
    allow_computed: bool,
    channel: Channel = None,
    stop: Stop = never,
) -> list[Image]:
    """Read the images of a training; see `read_sources`.

    Parameters
    ----------
    sources, pixel_size, channel, stop
        As in `read_sources`.
    computed
        Kinds of computed images (`images.provenance`) that are not trained on: skipped in folders, otherwise refused.
    allow_computed
        Whether they are trained on nevertheless.

    Raises
    ------
    InputError
        If an image is of one of these kinds, or as `read_sources`.
    """
    images = read_sources(sources, pixel_size, () if allow_computed else computed, stop, channel)
    if not allow_computed:
        check_measured(images, computed)
    return images


def check_measured(images: Iterable[Image], computed: Collection[str]) -> None:
    """Raise an InputError for the first image whose provenance is one of the kinds `computed`."""
    for image in images:
        kind, model = image.provenance.kind, image.provenance.model
        if kind in computed:
            made_by = f", made by {model}" if model else ""
            raise InputError(
                f"{Path(image.name).name} is no measurement ({kind}{made_by}): a model trained on it learns the errors "
                "of another model. Leave it out, or allow computed images (--allow-computed, "
                "allow_computed=True, or the box of the training)."
            )
