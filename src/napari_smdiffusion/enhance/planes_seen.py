"""The facts about the planes of a widefield image, which are collected while its tiles are enhanced."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_dilation

from ..images.unmeasured import PlaneFacts, scan

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Pixels
    from ..images.image import Image
    from .resampling import Grid
    from .tile_work import Prepared

    Mask = npt.NDArray[np.bool_]

_LEAST_SIGNIFICANT = 5e-4  # share of blocks above the noise, below which an image is called empty
_NAMED = 5  # constant planes that are named


@dataclass(frozen=True, eq=False)
class PlaneSeen:
    """The facts of a plane, and its measured pixels on the grid of the network.

    Parameters
    ----------
    facts
        The facts of the plane as it was recorded.
    resampled
        (Y, X) measured pixels of a resampled plane; None without resampling, or if all pixels are measured.
    """

    facts: PlaneFacts
    resampled: Mask | None = None

    def measured(self, plane: Pixels, rows: slice, columns: slice) -> Mask | None:
        """Return the measured pixels in a window of the plane on the grid of the network; None if all are."""
        if self.resampled is not None:
            return self.resampled[rows, columns]
        return self.facts.measured(plane[rows, columns])


@dataclass(frozen=True)
class SeenSummary:
    """What was seen of the planes of an image.

    Parameters
    ----------
    constant
        Indices of planes whose pixels are all equal.
    unmeasured
        Whether there are areas without a measurement.
    blocks, significant
        Number of blocks of the tiles, and of those that are brighter than the noise explains.
    """

    constant: tuple[int, ...] = ()
    unmeasured: bool = False
    blocks: int = 0
    significant: int = 0

    def __add__(self, other: SeenSummary) -> SeenSummary:
        """Return what was seen in both."""
        return SeenSummary(
            tuple(sorted({*self.constant, *other.constant})),
            self.unmeasured or other.unmeasured,
            self.blocks + other.blocks,
            self.significant + other.significant,
        )

    def notes(self, name: str, whole: bool) -> list[str]:
        """Return the sentences that a user needs about the image `name`; `whole` if all of its tiles were seen."""
        notes = []
        if self.constant:
            which = ", ".join(map(str, self.constant[:_NAMED])) + (", …" if len(self.constant) > _NAMED else "")
            notes.append(f"{name}: all pixels of plane {which} are equal, so that the result is 0 there.")
        if self.unmeasured:
            notes.append(
                f"{name} has areas of one exact value, such as a border or a scale bar. They count as pixels without a "
                "measurement, and the result is 0 there."
            )
        if whole and self.significant <= _LEAST_SIGNIFICANT * self.blocks:
            notes.append(
                f"{name} shows hardly anything above its noise: the enhanced image may show structure that does not "
                "exist. Use an image with more light."
            )
        return notes


class PlanesSeen:
    """Scans each plane of an image when its first tile is reached, and collects the facts for the user."""

    def __init__(self, image: Image, grid: Grid) -> None:
        self._image, self._grid = image, grid
        self._index: int | None = None
        self._seen = PlaneSeen(PlaneFacts(0.0, 0.0))
        self._summary = SeenSummary()

    def plane(self, index: int) -> PlaneSeen:
        """Return the facts of a plane."""
        if index != self._index:
            plane = self._image.pixels[index]
            facts = scan(plane)
            self._index, self._seen = index, PlaneSeen(facts, _resampled_mask(plane, facts, self._grid))
            self._summary += SeenSummary((index,) if facts.shows_nothing else (), bool(facts.unmeasured))
        return self._seen

    def add(self, prepared: Prepared) -> None:
        """Count the blocks of a tile that are brighter than the noise explains."""
        self._summary += SeenSummary(blocks=prepared.blocks, significant=prepared.significant)

    def notes(self, whole: bool) -> list[str]:
        """Return the sentences that a user needs about the image; `whole` if all of its tiles were looked at."""
        return self._summary.notes(self._image.name, whole)

    def taken(self) -> SeenSummary:
        """Return what was seen since the last call."""
        summary, self._summary = self._summary, SeenSummary()
        return summary


def _resampled_mask(plane: Pixels, facts: PlaneFacts, grid: Grid) -> Mask | None:
    """Return the measured pixels of a plane on the grid of the network; None without resampling, or if all are."""
    if not grid.is_resampled or (measured := facts.measured(plane)) is None:
        return None
    rows, columns = (
        np.minimum(((np.arange(wanted) + 0.5) / ratio).astype(int), length - 1)
        for wanted, ratio, length in zip(grid.network_size, grid.ratios, grid.size, strict=True)
    )
    # Interpolation mixes the values of pixels up to this distance.
    reach = ceil(2 * max(1.0, *grid.ratios)) + 1
    missing = binary_dilation(~measured[rows][:, columns], np.ones((3, 3), bool), iterations=reach)
    return np.asarray(~missing)
