"""Reads files of LAS X (.lif) by the package liffile."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .axes import TIME
from .microscope_files import MicroscopeFile, Scene, distinct_names, imported, known_steps, microscope_reader
from .pixel_size import nanometres, seconds
from .readers import READERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

_DESCRIPTION = "./Data/Image/ImageDescription"
_LETTERS = {"1": "X", "2": "Y", "3": "Z", "4": "T"}  # by the identity of a dimension


class _Lif:
    """An open file. Each series is a scene."""

    def __init__(self, file: Any) -> None:
        self._images = list(file.images)
        self.scenes = [_scene(image) for image in self._images]

    def plane(self, scene: int, index: Mapping[str, int]) -> npt.NDArray[Any]:
        """Return a plane (Y, X)."""
        return self._images[scene].frame(**index)  # type: ignore[no-any-return]


@READERS.register("microscope: LAS X")
@microscope_reader(".lif", (b"\x70\0\0\0",))
@contextmanager
def open_lif(path: Path) -> Iterator[MicroscopeFile]:
    """Open a file of LAS X."""
    with imported("liffile", path).LifFile(path) as file:
        yield _Lif(file)


def _scene(image: Any) -> Scene:
    """Return a series. One that is no image of Y and X has a problem, so that others of the file can be read."""
    try:
        sizes = dict(image.sizes)
    except (ValueError, AssertionError) as error:
        return Scene(image.path, "", (), (0, 0), problem=f"has a series that is not read ({error}): save it as TIFF.")
    size = sizes.pop("Y", 1), sizes.pop("X", 1)
    problem = ""
    if tuple(image.dims[-1:]) == ("S",):
        problem = "is a color (RGB) image: convert it to grayscale first."
    elif tuple(image.dims[-2:]) != ("Y", "X"):
        problem = f"has axes {', '.join(image.dims)}, and is no image of Y and X: save it as TIFF."
    elif any(len(letter) > 1 for letter in sizes):
        problem = "has channels of several kinds: save one of them as TIFF."
    names = [
        channel.get("LUTName") for channel in image.xml_element.findall(f"{_DESCRIPTION}/Channels/ChannelDescription")
    ]
    letters = "" if problem else "".join(sizes)
    lengths = () if problem else tuple(sizes.values())
    return Scene(image.path, letters, lengths, size, _steps(image), distinct_names(names), problem)


def _steps(image: Any) -> dict[str, float]:
    """Return the sides of a pixel and the distance of planes in nm, and of times in s."""
    steps: dict[str, float | None] = {}
    for dimension in image.xml_element.findall(f"{_DESCRIPTION}/Dimensions/DimensionDescription"):
        letter, count = _LETTERS.get(dimension.get("DimID", "")), int(dimension.get("NumberOfElements", "1"))
        if letter is None or count < 2:
            continue
        # The length is from the middle of the first pixel to that of the last.
        step, unit = abs(float(dimension.get("Length", "0"))) / (count - 1), dimension.get("Unit", "")
        steps[letter] = seconds(step, unit) if letter == TIME else nanometres(step, unit)
    return known_steps(steps)
