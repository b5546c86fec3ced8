"""Super-resolution patches that an enhancer learns from, and their light through the simulated optics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from ..base.errors import InputError
from ..images.patches import draw_patches
from ..microscope.camera import light_through_optics
from ..microscope.lighting import uneven_gain
from ..microscope.optics import binned
from .held_out import LEAST_HELD_OUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ..base.arrays import Pixels
    from ..microscope.optics import Optics
    from ..microscope.settings import MicroscopeConfig
    from .held_out import Region
    from .settings import EnhancerConfig


@dataclass(frozen=True)
class PatchSource:
    """Draws patches of `size`² pixels from regions of the planes (Y, X) of super-resolution images."""

    planes: Sequence[Pixels]
    regions: Sequence[Region]
    size: int

    @classmethod
    def of(cls, planes: Sequence[Pixels], regions: Sequence[Region], config: EnhancerConfig) -> PatchSource:
        """Return a source with the largest patches that fit into all regions."""
        windows = [planes[region.plane][region.window] for region in regions]
        return cls(planes, regions, _patch_size(windows, config))

    def draw(self, count: int, rng: np.random.Generator) -> Pixels:
        """Draw patches, (N, size, size)."""
        windows = [self.planes[region.plane][region.window] for region in self.regions]
        return draw_patches(windows, self.size, count, rng, [region.weight for region in self.regions])


def _patch_size(planes: Sequence[Pixels], config: EnhancerConfig) -> int:
    """Return the largest multiple of `upscale` up to `config.patch` that fits into all planes."""
    largest = min(config.patch, *(min(plane.shape) for plane in planes))
    size: int = largest // config.upscale * config.upscale
    if size < LEAST_HELD_OUT * config.upscale:
        raise InputError(
            f"Patches of {largest} pixels hold fewer than {LEAST_HELD_OUT} widefield pixels at factor "
            f"{config.upscale}: give larger images or a larger patch, or choose a smaller factor."
        )
    return size


class Scene(NamedTuple):
    """Super-resolution patches and their light.

    Parameters
    ----------
    sharp
        (B, 1, Y, X) patches.
    light
        (B, 1, Y/f, X/f) noise-free light on the camera.
    optics
        The optics that were drawn.
    weight
        (B, 1, Y/f, X/f) weight in the loss.
    """

    sharp: torch.Tensor
    light: torch.Tensor
    optics: Optics
    weight: torch.Tensor


@dataclass(frozen=True)
class Scenes:
    """Super-resolution patches and their noise-free images through the simulated optics."""

    source: PatchSource
    config: EnhancerConfig
    microscope: MicroscopeConfig
    pixel_size: float

    def draw(
        self, count: int, rng: np.random.Generator, random: torch.Generator, uneven: torch.Generator | None = None
    ) -> Scene:
        """Draw patches and their light, which is uneven if there is a generator for it."""
        side = max(1, self.config.patch // self.source.size)
        sharp = torch.from_numpy(_mosaics(self.source.draw(count * side**2, rng), side))[:, None]
        size, factor = self.pixel_size, self.config.upscale
        shown = sharp.clamp(min=0)
        gain = None if uneven is None else uneven_gain(sharp.shape, self.microscope, size, factor, uneven)
        emitted = shown if gain is None else shown * gain
        light, optics = light_through_optics(emitted, self.microscope, size, factor, random)
        # The truth is in units of the local light. Where that is dim, errors are large numbers; weights make them as
        # large as under even light, so that the training does not diverge.
        weight = torch.ones_like(light) if gain is None else binned(gain, factor).clamp(max=1.0).square()
        return Scene(sharp, light, optics, weight)


def _mosaics(patches: Pixels, side: int) -> Pixels:
    """Tile each `side`² of (N, Y, X) patches into one mosaic, (N / side², Y·side, X·side).

    A network that trains on small patches alone learns that a border is always near. In a mosaic, patches also receive
    light from their neighbours, as in a real field.
    """
    n, y, x = len(patches) // side**2, *patches.shape[1:]
    return patches.reshape(n, side, side, y, x).transpose(0, 1, 3, 2, 4).reshape(n, side * y, side * x)
