"""The realism score that fields of view of the experiment itself reach by chance.

Patches of one field of view are alike. So a few fields may differ from the rest of the experiment, for example because
one of them is empty. Therefore, the score of a few generated fields is judged beside that of equally many real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..base.arrays import Indices, Values

_DRAWS = 40  # draws of real fields
_DIVISIONS = 4  # divisions of the experimental patches into halves, for each draw
_QUANTILE = 0.95  # of the scores of the draws
_LEAST = 8  # patches of a half that are left beside those of a draw


@dataclass(frozen=True)
class FieldLayout:
    """Where the experimental patches are, and what fields of view the generated patches are cut from.

    Parameters
    ----------
    places
        (N, 3) plane, row and column of each experimental patch in the grid of its plane.
    rows, columns
        Patches along the sides of a generated field.
    fields
        Number of generated fields.
    """

    places: Indices
    rows: int
    columns: int
    fields: int

    def draw(self, rng: np.random.Generator) -> Indices:
        """Return the indices of the experimental patches in as many fields of this size, at random places.

        At most half as many patches as there are in the experiment are drawn, but at least one field.
        """
        count = min(self.fields, max(1, len(self.places) // (2 * self.rows * self.columns)))
        return np.concatenate([self._field(rng) for _ in range(count)])

    def _field(self, rng: np.random.Generator) -> Indices:
        plane = self.places[rng.integers(len(self.places)), 0]
        inside = self.places[:, 0] == plane
        for axis, side in ((1, self.rows), (2, self.columns)):
            last = int(self.places[self.places[:, 0] == plane, axis].max())
            start = int(rng.integers(max(0, last - side + 1) + 1))
            inside = inside & (self.places[:, axis] >= start) & (self.places[:, axis] < start + side)
        return np.flatnonzero(inside)


def chance_score(
    features: Values,
    layout: FieldLayout,
    halves: Sequence[tuple[Indices, Indices]],
    scale: float,
    distance: Callable[[Values, Values], float],
    rng: np.random.Generator,
) -> float | None:
    """Return the score that 95 % of the draws of real fields stay below.

    Parameters
    ----------
    features
        Features of the experimental patches (N, F).
    layout
        Their places, and the fields.
    halves
        Indices of two halves of the experimental patches, for each division. Drawn patches are left out of them.
    scale
        Distance that a score of 1 is above one of 0.
    distance
        Distance of two sets of features.
    rng
        Random generator of the draws.

    Returns
    -------
    The score; None if the experiment is too small for such fields.
    """
    scores = []
    for _ in range(_DRAWS):
        drawn, differences = layout.draw(rng), []
        for half, other_half in halves[:_DIVISIONS]:
            first, second = (part[~np.isin(part, drawn)] for part in (half, other_half))
            count = min(len(first), len(second), len(drawn))
            if count < _LEAST:
                return None
            near = features[first[:count]]
            chosen = features[rng.permutation(drawn)[:count]]
            differences.append(distance(near, chosen) - distance(near, features[second[:count]]))
        scores.append(float(np.mean(differences)) / scale)
    return float(np.quantile(scores, _QUANTILE))
