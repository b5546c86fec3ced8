"""Reads files of NIS-Elements (.nd2) by the package nd2."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError
from .axes import CHANNEL, TIME
from .microscope_files import MicroscopeFile, Scene, distinct_names, imported, known_steps, microscope_reader
from .readers import READERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

_MICROMETRES, _MILLISECONDS = 1e3, 1e-3  # nm, s
_LETTERS = {"TimeLoop": "T", "NETimeLoop": "T", "XYPosLoop": "P", "ZStackLoop": "Z"}
_OTHER = "N"  # of a loop of another kind: planes of one kind
_POSITION = "P"
_MOST_POSITIONS = 10**5


class _Nd2:
    """An open file. Each position of the stage is a scene."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file = file
        attributes = file.attributes
        self._loops = [(_LETTERS.get(loop.type, _OTHER), int(loop.count)) for loop in file.experiment]
        letters = "".join(letter for letter, _ in self._loops)
        if len(set(letters)) < len(letters):
            raise InputError(f"{path} has two loops of one kind ({letters}): save it as TIFF in NIS-Elements.")
        self._size = int(attributes.heightPx), int(attributes.widthPx or 0)
        self._channels = int(attributes.channelCount or 1)
        color = attributes.componentCount != self._channels
        described, notes = _described_channels(file, path)
        inner = [(letter, n) for letter, n in self._loops if letter != _POSITION] + [(CHANNEL, self._channels)]
        self.scenes = [
            Scene(
                name,
                "".join(letter for letter, _ in inner),
                tuple(n for _, n in inner),
                self._size,
                _steps(file, described),
                distinct_names([channel.channel.name for channel in described]),
                "is a color (RGB) image: convert it to grayscale first." if color else "",
                notes,
            )
            for name in _positions(file, path)
        ]

    def plane(self, scene: int, index: Mapping[str, int]) -> npt.NDArray[Any]:
        """Return a plane (Y, X)."""
        place = [scene if letter == _POSITION else index[letter] for letter, _ in self._loops]
        number = int(np.ravel_multi_index(place, [n for _, n in self._loops])) if self._loops else 0
        frame = self._file.read_frame(number).reshape(self._channels, *self._size)
        # A copy: the array is mapped from the file, which is closed later.
        return frame[index[CHANNEL]].copy()  # type: ignore[no-any-return]


@READERS.register("microscope: NIS-Elements")
@microscope_reader(".nd2", (b"\xda\xce\xbe\x0a", b"\0\0\0\x0cjP  "))
@contextmanager
def open_nd2(path: Path) -> Iterator[MicroscopeFile]:
    """Open a file of NIS-Elements."""
    with imported("nd2", path).ND2File(path) as file:
        yield _Nd2(file, path)


def _positions(file: Any, path: Path) -> list[str]:
    """Return the names of the positions of the stage; one without a name if there is no such loop."""
    for loop in file.experiment:
        if _LETTERS.get(loop.type) == _POSITION:
            if loop.count > _MOST_POSITIONS:
                raise InputError(f"{path} states {loop.count} positions of the stage: copy it again.")
            points = getattr(loop.parameters, "points", None) or []
            names = [str(getattr(point, "name", None) or "") for point in points]
            return names if len(names) == loop.count else [""] * int(loop.count)
    return [""]


def _described_channels(file: Any, path: Path) -> tuple[list[Any], tuple[str, ...]]:
    """Return what the file states about its channels, and notes for the user if that cannot be read."""
    try:
        return list(getattr(file.metadata, "channels", None) or ()), ()
    except Exception:  # of many kinds, for metadata in a form that the library does not know
        return [], (f"{path} has a description of its channels that is not understood. Give the pixel size.",)


def _steps(file: Any, described: list[Any]) -> dict[str, float]:
    """Return the sides of a pixel and the distance of planes in nm, and of times in s."""
    steps: dict[str, float | None] = {}
    if described:
        volume = described[0].volume
        for letter, size, known in zip("XYZ", volume.axesCalibration, volume.axesCalibrated, strict=False):
            steps[letter] = size * _MICROMETRES if known else None
    for loop in file.experiment:
        if _LETTERS.get(loop.type) == TIME:
            measured = getattr(getattr(loop.parameters, "periodDiff", None), "avg", None)
            period = measured or getattr(loop.parameters, "periodMs", None)
            steps[TIME] = period * _MILLISECONDS if period else None
    return known_steps(steps)
