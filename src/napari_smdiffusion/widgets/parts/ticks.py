"""Which layers of a list are ticked by themselves, and when the user's own ticks decide. Without Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image as ImageLayer

MANY = 8  # likely layers; with more of them, one is ticked by itself and not all


def likely_few(fitting: Sequence[ImageLayer]) -> list[ImageLayer]:
    """Return the layers to tick by themselves, of those that fit, topmost first.

    All of a few, as one opens the images of one experiment together. Of many, the topmost one, which is the newest: to
    work on fifty layers must be meant.
    """
    return list(fitting if len(fitting) <= MANY else fitting[:1])


class HandTicks:
    """Remembers what the user ticked. It decides as long as one of these layers exists."""

    def __init__(self) -> None:
        self._meant: WeakSet[ImageLayer] = WeakSet()  # layers whose existence keeps the decision
        self._refused: WeakSet[ImageLayer] = WeakSet()  # layers without the user's tick

    def decide(self, listed: Sequence[ImageLayer], ticked: Sequence[ImageLayer]) -> None:
        """Take the user's ticks among the listed layers. If nothing is ticked, that is meant for all of them."""
        self._meant = WeakSet(ticked or listed)
        self._refused = WeakSet(layer for layer in listed if layer not in set(ticked))

    def decides(self, listed: Sequence[ImageLayer]) -> bool:
        """Return whether the user's ticks still hold: one of the layers is there."""
        return any(layer in self._meant for layer in listed)

    def without_refused(self, layers: Sequence[ImageLayer]) -> list[ImageLayer]:
        """Return the layers that the user did not leave without a tick."""
        return [layer for layer in layers if layer not in self._refused]
