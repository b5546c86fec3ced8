"""The description that SCIFIO (ImageJ2) writes into a TIFF file: axes, lengths, distances and units."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_LETTERS = {"x": "X", "y": "Y", "z": "Z", "time": "T", "channel": "C", "spectra": "E", "lifetime": "H"}


@dataclass(frozen=True)
class ScifioLayout:
    """The layout of the planes in a file of SCIFIO.

    Parameters
    ----------
    letters
        Letters of the axes as tifffile writes them, the slowest first: "TZCYX".
    lengths
        Length of each axis.
    scales
        (distance, unit) by letter.
    """

    letters: str
    lengths: tuple[int, ...]
    scales: Mapping[str, tuple[float, str]]


def scifio_layout(description: str) -> ScifioLayout | None:
    """Return the layout in a description, or None if SCIFIO did not write it, or it contradicts itself."""
    if not description.startswith("SCIFIO="):
        return None
    values = dict(line.split("=", 1) for line in description.splitlines() if "=" in line)
    names, lengths, scales, units = (
        [text.strip() for text in values.get(key, "").split(",")] for key in ("axes", "lengths", "scales", "units")
    )
    with suppress(ValueError):
        letters = [_LETTERS.get(name.lower(), "Q") for name in names]
        numbers = [int(length) for length in lengths]
        if len(letters) == len(numbers) and letters.count("Y") == letters.count("X") == 1 and min(numbers) > 0:
            pairs = zip(letters, scales, units, strict=False)
            sizes = {letter: (float(scale), unit) for letter, scale, unit in pairs if scale not in ("", "null")}
            return ScifioLayout("".join(letters[::-1]), tuple(numbers[::-1]), sizes)
    return None
