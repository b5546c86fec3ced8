"""Super-resolution patches that an enhancer learns from, and their light through the simulated optics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, zoom

from ..base.errors import InputError
from ..images.patches import draw_patches
from ..microscope.camera import light_through_optics
from ..microscope.lighting import uneven_gain, uneven_haze
from ..microscope.optics import binned
from .held_out import LEAST_HELD_OUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from ..microscope.optics import Optics
    from ..microscope.settings import MicroscopeConfig
    from .held_out import Region
    from .settings import EnhancerConfig

_WITH_EMPTY_PARTS = 0.4  # share of the patches
_EMPTY = (0.15, 1.2)  # empty share of such a patch; 1 and more for the whole patch
_COARSE = 8  # pixels of a patch per pixel of the drawn shapes
_EDGES = (0.1, 0.4)  # blur of the shapes of empty parts, relative to the side of a patch
_EDGE_PIXELS = 16  # width of an edge


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
    """Super-resolution patches and their noise-free images through the simulated optics.

    With `empty_parts`, some patches end at the edge of a cell or are empty; see `with_empty_parts`.
    """

    source: PatchSource
    config: EnhancerConfig
    microscope: MicroscopeConfig
    pixel_size: float
    empty_parts: bool = False

    def draw(
        self, count: int, rng: np.random.Generator, random: torch.Generator, uneven: torch.Generator | None = None
    ) -> Scene:
        """Draw patches and their light, which and whose haze are uneven if there is a generator for them."""
        side = max(1, self.config.patch // self.source.size)
        sharp = torch.from_numpy(_mosaics(self.source.draw(count * side**2, rng), side))[:, None]
        if self.empty_parts:
            sharp = with_empty_parts(sharp, rng)
        size, factor = self.pixel_size, self.config.upscale
        shown = sharp.clamp(min=0)
        haze = None if uneven is None else uneven_haze(sharp.shape, self.microscope, size, factor, uneven)
        gain = None if uneven is None else uneven_gain(sharp.shape, self.microscope, size, factor, uneven)
        emitted = shown if gain is None else shown * gain
        light, optics = light_through_optics(emitted, self.microscope, size, factor, random, haze)
        # The truth is in units of the local light. Where that is dim, errors are large numbers; weights make them as
        # large as under even light, so that the training does not diverge.
        weight = torch.ones_like(light) if gain is None else binned(gain, factor).clamp(max=1.0).square()
        return Scene(sharp, light, optics, weight)


def with_empty_parts(sharp: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Empty parts of some patches (B, 1, Y, X), and a few patches as a whole.

    Generated fields are full of structure. A network that learns from them alone expects structure everywhere, and
    draws it into the empty field beside a cell.
    """
    height, width = sharp.shape[2:]
    masks = np.ones(sharp.shape, np.float32)
    # Shapes so smooth are drawn on fewer pixels.
    coarse = (-(-height // _COARSE) + 1, -(-width // _COARSE) + 1)
    for mask in masks[:, 0]:
        if rng.random() >= _WITH_EMPTY_PARTS:
            continue
        shape = gaussian_filter(rng.standard_normal(coarse, np.float32), rng.uniform(*_EDGES) * coarse[1])
        level = np.quantile(shape, min(1.0, rng.uniform(*_EMPTY)))
        # The edge is not sharp: otherwise all filaments would end on one line.
        slope = float(np.abs(np.diff(shape, axis=0)).mean()) / _COARSE * _EDGE_PIXELS
        full = np.clip((shape - level) / max(slope, 1e-12), 0, 1)
        mask[:] = zoom(full, _COARSE, order=1, grid_mode=True, mode="nearest")[:height, :width]
    return sharp * torch.from_numpy(masks)


def _mosaics(patches: Pixels, side: int) -> Pixels:
    """Tile each `side`² of (N, Y, X) patches into one mosaic, (N / side², Y·side, X·side).

    A network that trains on small patches alone learns that a border is always near. In a mosaic, patches also receive
    light from their neighbours, as in a real field.
    """
    n, y, x = len(patches) // side**2, *patches.shape[1:]
    return patches.reshape(n, side, side, y, x).transpose(0, 1, 3, 2, 4).reshape(n, side * y, side * x)
