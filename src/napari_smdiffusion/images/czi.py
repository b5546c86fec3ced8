"""Reads files of ZEN (.czi) by the package pylibCZIrw: the tiles of a scene are stitched."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ..base.errors import InputError
from .axes import CHANNEL
from .microscope_files import MicroscopeFile, Scene, distinct_names, imported, known_steps, microscope_reader
from .readers import READERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

_METRES = 1e9  # nm per m
_ENTRY, _SPARSE = 32, 2**25  # bytes of a plane in the directory of a file, at least; planes may be missing
_DIMENSIONS = "./Metadata/Information/Image/Dimensions"


class _Czi:
    """An open file."""

    def __init__(self, reader: Any, path: Path) -> None:
        self._reader = reader
        self._bounds = {
            letter: bounds for letter, bounds in reader.total_bounding_box_no_pyramid.items() if letter not in "YX"
        }
        planes = math.prod(end - start for start, end in self._bounds.values())
        if planes * _ENTRY > path.stat().st_size + _SPARSE:  # the library makes a list with an entry for each channel
            raise InputError(f"{path} states {planes} planes, far more than it holds: copy it again.")
        # A file without scenes is one image.
        places = reader.scenes_bounding_rectangle_no_pyramid or {None: reader.total_bounding_rectangle_no_pyramid}
        self._places = list(places.items())
        facts = ElementTree.fromstring(reader.raw_metadata)
        names = {scene.get("Index"): scene.get("Name") for scene in facts.findall(f"{_DIMENSIONS}/S/Scenes/Scene")}
        color = any(str(kind).startswith("Bgr") for kind in reader.pixel_types.values())
        self.scenes = [
            Scene(
                names.get(str(number)) or "",
                "".join(self._bounds),
                tuple(end - start for start, end in self._bounds.values()),
                (place.h, place.w),
                _steps(facts),
                _channels(facts, self._bounds),
                "is a color (RGB) image: convert it to grayscale first." if color else "",
            )
            for number, place in self._places
        ]

    def plane(self, scene: int, index: Mapping[str, int]) -> npt.NDArray[Any]:
        """Return a plane (Y, X)."""
        number, place = self._places[scene]
        first = {letter: start for letter, (start, _) in self._bounds.items()}
        where = {letter: first[letter] + k for letter, k in index.items()}
        try:
            # A copy: the array belongs to the library.
            return self._reader.read(roi=place, plane=where, scene=number)[..., 0].copy()  # type: ignore[no-any-return]
        except MemoryError as error:  # the size of the plane itself is checked before
            raise ValueError("A tile states more bytes than there is memory.") from error


@READERS.register("microscope: ZEN")
@microscope_reader(".czi", (b"ZISRAWFILE",))
@contextmanager
def open_czi(path: Path) -> Iterator[MicroscopeFile]:
    """Open a file of ZEN."""
    with imported("pylibCZIrw.czi", path).open_czi(str(path)) as reader:
        yield _Czi(reader, path)


def _steps(facts: ElementTree.Element) -> dict[str, float]:
    """Return the sides of a pixel and the distance of planes in nm, and of times in s."""
    values = {item.get("Id", ""): item.findtext("Value") for item in facts.findall("./Metadata/Scaling/Items/Distance")}
    steps = {letter: _number(values.get(letter)) * _METRES for letter in "XYZ"}
    return known_steps({**steps, "T": _number(facts.findtext(f"{_DIMENSIONS}/T/Positions/Interval/Increment"))})


def _channels(facts: ElementTree.Element, bounds: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    start, end = bounds.get(CHANNEL, (0, 1))
    return distinct_names(
        [channel.get("Name") for channel in facts.findall(f"{_DIMENSIONS}/Channels/Channel")][start:end]
    )


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
