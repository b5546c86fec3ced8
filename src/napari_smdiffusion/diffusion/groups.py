"""Groups of training images: one for each structure of a conditional model, by the name of the structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from ..base.errors import InputError
from ..base.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..images.image import Image

_Item = TypeVar("_Item")

ONLY = ""  # the name of the group of a model of one structure, which has no class
MOST = 64  # structures of one model
LONGEST = 60  # characters of a name


def as_groups(images: Sequence[_Item] | Mapping[str, Sequence[_Item]]) -> dict[str, list[_Item]]:
    """Return training images by the name of their structure, in the given order.

    Parameters
    ----------
    images
        Images of one structure, which get the name `ONLY`; or the images of each structure, by its name.

    Raises
    ------
    InputError
        If a name is empty, too long or used twice, there is one name alone, or a structure has no image.
    """
    if not isinstance(images, Mapping):
        return {ONLY: list(images)}
    names = checked_names(images)
    groups = dict(zip(names, map(list, images.values()), strict=True))
    for name, own in groups.items():
        if not own:
            raise InputError(f"No image was given for {name}: name at least one.")
    if len(names) == 1:
        raise InputError(
            f"{names[0]} is the only structure: name at least two structures, or give the images without a name."
        )
    return groups


def structure_names(groups: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the structures of a conditional model; () for a model of one structure."""
    return tuple(name for name in groups if name != ONLY)


def checked_names(names: Iterable[str]) -> list[str]:
    """Return the names of structures without outer blanks.

    Raises
    ------
    InputError
        If a name is empty, too long or used twice, or there are too many.
    """
    stripped = [str(name).strip() for name in names]
    for name in stripped:
        if not name or len(name) > LONGEST or not name.isprintable():
            raise InputError(
                f"{printable(repr(name), 80)} cannot be the name of a structure: use 1 to {LONGEST} letters, digits, "
                "blanks and signs."
            )
        if stripped.count(name) > 1:
            raise InputError(f"Two groups have the name {name}: give each structure its own name.")
    if len(stripped) > MOST:
        raise InputError(f"There are {len(stripped)} structures: one model can learn at most {MOST}.")
    return stripped


def check_no_image_twice(groups: Mapping[str, Sequence[Image]]) -> None:
    """Raise an InputError if two structures have the same image: its structure would not be known."""
    shown: dict[str, str] = {}
    for name, images in groups.items():
        for image in images:
            other = shown.setdefault(image.digest, name)
            if other != name:
                raise InputError(f"{image.name} is given for {other} and for {name}: give it for one structure.")
