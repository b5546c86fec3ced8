"""Classifier-free guidance: a denoiser that shows a structure more clearly than the network alone does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from .denoiser import Denoiser, Sigma

LABELS = "class_labels"  # the condition that guidance makes stronger: the class of each image, (B,)


@dataclass(frozen=True, eq=False)
class Guided:
    """A denoiser of one structure, moved away from the mean over all structures (Ho and Salimans 2022).

    D(x) + w (D(x | structure) - D(x)), where D(x) is the clean image without a class.

    Parameters
    ----------
    denoiser
        The denoiser of a network with classes. Without the condition "class_labels", it shows any structure.
    strength
        w: 1 is the denoiser of the structure alone, and larger values follow the structure more strictly.
    """

    denoiser: Denoiser
    strength: float

    def __call__(self, x: torch.Tensor, sigma: Sigma, /, **condition: Any) -> torch.Tensor:
        """Return the clean image, (B, C, Y, X); see `Denoiser`."""
        clean = self.denoiser(x, sigma, **condition)
        if self.strength == 1 or LABELS not in condition:
            return clean
        others = {name: value for name, value in condition.items() if name != LABELS}
        without = self.denoiser(x, sigma, **others)
        return without + self.strength * (clean - without)
