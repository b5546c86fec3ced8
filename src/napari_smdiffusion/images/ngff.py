"""The metadata of OME-Zarr stores (OME-NGFF 0.4 and 0.5): axes, units, scale and place of the levels of a pyramid.

The place of a level is that of the centre of its first pixel, as viewers take it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.printable import printable
from .axes import CHANNEL, DEPTH, PLANE, TIME
from .pixel_size import nanometres, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = "0.5"
_MOST_AXES = 5
_FARTHEST = 1e12  # nm or s


class NgffError(ValueError):
    """Metadata are not in the form of OME-NGFF; the message names the part."""


@dataclass(frozen=True)
class StoreAxis:
    """An axis of the arrays of a store.

    Parameters
    ----------
    name
        Its name in the store.
    letter
        "T" for times, "C" for channels, "Z" for depths, "N" for planes of one kind, "Y" or "X".
    unit
        Unit of the scale; "" if none is stated.
    """

    name: str
    letter: str
    unit: str = ""

    def in_own_unit(self, value: float) -> float | None:
        """Return a length in nm, or a duration in s; None if the unit is not known."""
        if not self.unit:
            return None
        return seconds(value, self.unit) if self.letter == TIME else nanometres(value, self.unit)

    def to_json(self) -> dict[str, str]:
        """Return the axis in the form of the store."""
        kind = {TIME: "time", CHANNEL: "channel", PLANE: "plane"}.get(self.letter, "space")
        return {"name": self.name, "type": kind, **({"unit": self.unit} if self.unit else {})}


@dataclass(frozen=True)
class Level:
    """An array of the pyramid: its path in the store, and scale and place along each axis, in the unit of the axis."""

    path: str
    scale: tuple[float, ...]
    place: tuple[float, ...]


@dataclass(frozen=True)
class Multiscale:
    """A pyramid; the first level has the finest pixels."""

    axes: tuple[StoreAxis, ...]
    levels: tuple[Level, ...]
    channels: tuple[str, ...] = ()

    @property
    def letters(self) -> str:
        """The letters of all axes."""
        return "".join(axis.letter for axis in self.axes)

    def side(self, letter: str) -> float | None:
        """Return the distance of two pixels of the finest level in nm, or two planes in nm or s; None if unknown."""
        if letter not in self.letters:
            return None
        k = self.letters.index(letter)
        value = self.axes[k].in_own_unit(self.levels[0].scale[k])
        return value if value is not None and 0 < value < _FARTHEST else None

    def place(self, letter: str) -> float | None:
        """Return the place of the first pixel's centre in nm; None if unknown."""
        k = self.letters.index(letter)
        value = self.axes[k].in_own_unit(self.levels[0].place[k])
        return value if value is not None and abs(value) < _FARTHEST else None

    def to_json(self, name: str) -> dict[str, Any]:
        """Return the attribute `ome` of a store of version 0.5."""
        datasets = [
            {
                "path": level.path,
                "coordinateTransformations": [
                    {"type": "scale", "scale": list(level.scale)},
                    {"type": "translation", "translation": list(level.place)},
                ],
            }
            for level in self.levels
        ]
        pyramid = {"name": name, "axes": [axis.to_json() for axis in self.axes], "datasets": datasets, "type": "mean"}
        return {"version": VERSION, "multiscales": [pyramid]}


def multiscale_of(attributes: Mapping[str, Any], where: str) -> Multiscale:
    """Return the first pyramid that the attributes of a group describe.

    Raises
    ------
    InputError
        If they describe none, or not in the form of OME-NGFF 0.4 or 0.5. The message names `where`.
    """
    ome = attributes.get("ome") if isinstance(attributes.get("ome"), dict) else attributes
    pyramids = ome.get("multiscales") if isinstance(ome, dict) else None
    if not isinstance(ome, dict) or not isinstance(pyramids, list) or not pyramids:
        raise InputError(f"{where} states no image (multiscales): name the folder of an image in it.")
    try:
        return _pyramid(pyramids[0], ome)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"{where} has metadata that are not in the form of OME-NGFF 0.4 or 0.5 ({printable(str(error), 60)}): "
            "save it again with another program."
        ) from error


def _pyramid(values: Mapping[str, Any], ome: Mapping[str, Any]) -> Multiscale:
    axes = _axes(values["axes"])
    whole = values.get("coordinateTransformations")
    levels = tuple(_level(dataset, whole, len(axes)) for dataset in values["datasets"])
    if not levels:
        raise NgffError("no datasets")
    omero = ome.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    labels = [str(channel.get("label", "")) for channel in channels or () if isinstance(channel, dict)]
    return Multiscale(axes, levels, tuple(labels))


def _axes(values: Sequence[Any]) -> tuple[StoreAxis, ...]:
    if not 2 <= len(values) <= _MOST_AXES:
        raise NgffError(f"{len(values)} axes")
    space = [k for k, value in enumerate(values) if isinstance(value, dict) and _kind(value) == "space"]
    if len(space) < 2 or space[-2:] != [len(values) - 2, len(values) - 1]:
        raise NgffError("the last two axes are not Y and X")
    letters = {space[-1]: "X", space[-2]: "Y", **({space[-3]: DEPTH} if len(space) > 2 else {})}
    others = {"time": TIME, "channel": CHANNEL, "plane": PLANE}
    return tuple(
        # An axis of another kind holds images of different kinds, of which one is chosen.
        StoreAxis(str(value["name"]), letters.get(k) or others.get(_kind(value), CHANNEL), str(value.get("unit") or ""))
        for k, value in enumerate(values)
    )


def _kind(value: Mapping[str, Any]) -> str:
    named = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
    return str(value.get("type") or named.get(str(value["name"]).lower(), ""))


def _level(dataset: Mapping[str, Any], whole: Any, count: int) -> Level:
    path = str(dataset["path"])
    if path.startswith("/") or ".." in path.split("/"):
        raise NgffError(f"path {path}")
    scale, place = [1.0] * count, [0.0] * count
    for step in [*dataset["coordinateTransformations"], *(whole or ())]:
        kind = step["type"]
        if kind == "identity":
            continue
        if kind not in ("scale", "translation"):
            raise NgffError(f"transformation {kind}")
        values = [float(value) for value in step[kind]]
        if len(values) != count or not all(map(math.isfinite, values)):
            raise NgffError(f"{kind} {values}")
        if kind == "scale":
            scale = [a * b for a, b in zip(scale, values, strict=True)]
            place = [a * b for a, b in zip(place, values, strict=True)]
        else:
            place = [a + b for a, b in zip(place, values, strict=True)]
    if min(scale) <= 0:
        raise NgffError(f"scale {scale}")
    return Level(path, tuple(scale), tuple(place))
