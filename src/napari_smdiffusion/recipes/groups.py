"""Sources of training images by the structure that they show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ..diffusion.groups import ONLY, as_groups, structure_names
from .job import ImageSource, as_sources, optional_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    GroupedSources: TypeAlias = ImageSource | Sequence[ImageSource] | Mapping[str, ImageSource | Sequence[ImageSource]]

_Item = TypeVar("_Item")


def checked_sources(images: GroupedSources) -> tuple[ImageSource, ...] | dict[str, tuple[ImageSource, ...]]:
    """Return the sources of one structure as a tuple; those of several structures as tuples by name.

    Raises
    ------
    InputError
        If there is no image, or the names cannot be those of several structures.
    """
    if not isinstance(images, Mapping):
        return as_sources(images)
    groups = as_groups({name: optional_sources(own) for name, own in images.items()})
    return {name: tuple(own) for name, own in groups.items()}


def groups_of(images: GroupedSources) -> dict[str, tuple[ImageSource, ...]]:
    """Return sources by the name of their structure; those of one structure have the name `ONLY`."""
    return (
        {ONLY: as_sources(images)}
        if not isinstance(images, Mapping)
        else {name: as_sources(own) for name, own in images.items()}
    )


def ungrouped(groups: Mapping[str, list[_Item]]) -> list[_Item] | dict[str, list[_Item]]:
    """Return the images of one structure as a list, and those of several structures by name."""
    return dict(groups) if structure_names(groups) else groups[ONLY]
