"""The linear map between intensities and network units."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .arrays import Pixels


class LinearScale(ABC):
    """A linear map from intensities to network units, and its inverse."""

    @property
    @abstractmethod
    def zero(self) -> float:
        """Intensity that maps to 0 in network units."""

    @property
    @abstractmethod
    def unit(self) -> float:
        """Difference in intensity that maps to 1 in network units; positive."""

    def scale(self, pixels: Pixels) -> Pixels:
        """Return intensities in network units, in float32 and of the same shape."""
        return ((pixels - self.zero) / self.unit).astype(np.float32)

    def unscale(self, values: Pixels) -> Pixels:
        """Return values in network units as intensities, in float32 and of the same shape."""
        return (values * self.unit + self.zero).astype(np.float32)
