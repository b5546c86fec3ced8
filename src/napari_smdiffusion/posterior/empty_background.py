"""The background of samples: as empty as that of the sharp images that the sampler learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..diffusion.specks import smallest_structure, without_specks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..base.arrays import Pixels
    from .facts import SamplerFacts

_EMPTY = 0.2  # least share of pixels without light in images with an empty background
_FAINTEST = 2.0  # percentile of the pixels with light: fainter ones are rare in the training images


def faintest(planes: Iterable[Pixels]) -> float:
    """Return the intensity below which sharp images (Y, X) show nothing; 0 if their background is not empty."""
    values = np.concatenate([plane.ravel() for plane in planes])
    light = values[values > 0]
    if not light.size or light.size > (1 - _EMPTY) * values.size:
        return 0.0
    return float(np.percentile(light, _FAINTEST)) / 2


def smallest(planes: Iterable[Pixels]) -> int | None:
    """Return the area in pixels of the smallest structure in planes (Y, X); None if they show single pixels."""
    return smallest_structure(planes, 0.0)


def with_empty_background(samples: Pixels, facts: SamplerFacts) -> Pixels:
    """Return samples (N, Y, X) in local units without what no sharp image of the training shows.

    A denoiser leaves faint remains in an empty background: pixels fainter than any with light in the training images,
    and structures smaller than any there.
    """
    if not facts.faintest:
        return samples
    clean = np.where(samples < facts.faintest, np.float32(0), samples)
    return clean if facts.smallest is None else without_specks(clean, 0.0, facts.smallest)
