"""The linear map between intensities and what a network sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .arrays import Pixels


class LinearScale(ABC):
    """A linear map of intensities onto network units, and back."""

    @property
    @abstractmethod
    def zero(self) -> float:
        """The intensity that is 0 in network units."""

    @property
    @abstractmethod
    def unit(self) -> float:
        """The difference of intensities that is 1 in network units; positive."""

    def scale(self, pixels: Pixels) -> Pixels:
        """Intensities → network units."""
        return ((pixels - self.zero) / self.unit).astype(np.float32)

    def unscale(self, values: Pixels) -> Pixels:
        """Network units → intensities."""
        return (values * self.unit + self.zero).astype(np.float32)
