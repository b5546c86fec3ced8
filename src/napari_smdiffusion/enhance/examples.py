"""Training pairs of widefield and super-resolution patches: simulated, or from registered images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base.devices import autocast, generator
from ..base.errors import InputError
from ..images.patches import draw_patches, symmetry
from ..microscope.camera import camera_counts, light_through_optics
from ..training.task import Batch
from .held_out import LEAST_HELD_OUT, Region
from .levels import BRIGHT, DARK, Levels, sharp_levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from ..base.arrays import Pixels
    from ..images.image import Image
    from ..microscope.optics import Optics
    from ..microscope.settings import MicroscopeConfig
    from .settings import EnhancerConfig

_LEVEL_PATCHES = 64  # simulated patches that the levels of the widefield images are measured on
_PREVIEW_STEP = 2**31  # training never reaches this step, so that its examples are new


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


@dataclass(frozen=True)
class TrainingPairs(ABC):
    """The training task of an enhancer: pairs of super-resolution and widefield patches, in network units.

    Parameters
    ----------
    source
        Source of the super-resolution patches, scaled to network units.
    config
        Settings of the training.
    sharp_levels
        Intensity levels of the super-resolution images.
    """

    source: PatchSource
    config: EnhancerConfig
    sharp_levels: Levels

    @property
    def stage(self) -> str:
        """The name of the task in progress events."""
        return "training the enhancer"

    @abstractmethod
    def draw(self, step: int) -> Batch:
        """Return the widefield patches (B, 1, Y/f, X/f) and super-resolution patches (B, 1, Y, X) of a step."""

    def of(self, regions: Sequence[Region]) -> Self:
        """Return the task with patches from other regions of the planes."""
        return replace(self, source=PatchSource.of(self.source.planes, regions, self.config))

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the mean squared error of each patch, (B,)."""
        coarse, sharp = tensors
        with autocast(coarse.device):
            enhanced = network(coarse)
        losses: torch.Tensor = (enhanced.float() - sharp).square().mean((1, 2, 3))
        return losses

    @torch.no_grad()
    def preview(self, network: torch.nn.Module) -> Pixels | None:
        """Return the same examples enhanced, in intensities of the result, or None without previews."""
        if not self.config.previews:
            return None
        coarse = self.draw(_PREVIEW_STEP).tensors[0][: self.config.previews]
        enhanced = network(coarse.to(next(network.parameters()).device))
        return self.sharp_levels.unscale(enhanced[:, 0].float().cpu().numpy())


def simulation_task(
    images: Sequence[Image],
    regions: Sequence[Region],
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    pixel_size: float,
) -> TrainingPairs:
    """Return the task with simulated widefield images of `regions` of super-resolution images.

    Each image is scaled by its own levels, so that images in different units can be mixed. Results have the units of
    the first image.
    """
    levels = [sharp_levels(list(image.pixels)) for image in images]
    scaled = [level.scale(plane) for level, image in zip(levels, images, strict=True) for plane in image.pixels]
    source = PatchSource.of(scaled, regions, config)
    # The levels of a whole simulated field, measured on many patches.
    scenes = _Scenes(source, config, microscope, pixel_size)
    light = scenes.draw(_LEVEL_PATCHES, np.random.default_rng([config.seed, 4]), generator(config.seed, 5))[1]
    dark, bright = (float(v) for v in np.percentile(light.numpy(), (DARK, BRIGHT)))
    if not 0 <= dark < bright:
        raise InputError("The super-resolution images are nearly empty: give images with more structure.")
    return SimulatedPairs(source, config, levels[0], microscope, pixel_size, Levels(dark, bright))


@dataclass(frozen=True)
class _Scenes:
    """Super-resolution patches and their noise-free images through the simulated optics."""

    source: PatchSource
    config: EnhancerConfig
    microscope: MicroscopeConfig
    pixel_size: float

    def draw(
        self, count: int, rng: np.random.Generator, random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, Optics]:
        """Draw patches (B, 1, Y, X), their light on the camera (B, 1, Y/f, X/f), and the optics."""
        side = max(1, self.config.patch // self.source.size)
        sharp = torch.from_numpy(_mosaics(self.source.draw(count * side**2, rng), side))[:, None]
        light, optics = light_through_optics(
            sharp.clamp(min=0), self.microscope, self.pixel_size, self.config.upscale, random
        )
        return sharp, light, optics


@dataclass(frozen=True)
class SimulatedPairs(TrainingPairs):
    """Super-resolution patches with simulated widefield images; every step simulates new ones."""

    microscope: MicroscopeConfig
    pixel_size: float
    widefield_levels: Levels

    def imaged(
        self, count: int, rng: np.random.Generator, random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw patches (B, 1, Y, X) and their widefield images (B, 1, Y/f, X/f), dark about 0 and bright about 1."""
        scenes = _Scenes(self.source, self.config, self.microscope, self.pixel_size)
        sharp, mean, optics = scenes.draw(count, rng, random)
        levels = self.widefield_levels
        counts = camera_counts(mean / levels.bright, optics, self.microscope, random)
        # The simulation knows the photons and the background; for a real image, its levels replace them.
        photons = (counts - self.microscope.offset) / self.microscope.gain / optics.photons[:, None, None, None]
        light = (photons - optics.background[:, None, None, None]) * levels.bright
        return sharp, (light - levels.zero) / levels.unit

    def draw(self, step: int) -> Batch:
        """Return the widefield and super-resolution patches of a step."""
        rng = np.random.default_rng([self.config.seed, 2, step])
        sharp, camera = self.imaged(self.config.batch, rng, generator(self.config.seed, 3, step))
        return Batch((_with_varied_levels(camera, rng), sharp))


def _mosaics(patches: Pixels, side: int) -> Pixels:
    """Tile each `side`² of (N, Y, X) patches into one mosaic, (N / side², Y·side, X·side).

    A network that trains on small patches alone learns that a border is always near. In a mosaic, patches also receive
    light from their neighbours, as in a real field.
    """
    n, y, x = len(patches) // side**2, *patches.shape[1:]
    return patches.reshape(n, side, side, y, x).transpose(0, 1, 3, 2, 4).reshape(n, side * y, side * x)


def _with_varied_levels(camera: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Vary the levels of (B, 1, Y, X) widefield images, because those of real images differ from the simulated ones."""
    gain = torch.from_numpy(rng.uniform(0.75, 1.33, (len(camera), 1, 1, 1))).float()
    shift = torch.from_numpy(rng.uniform(-0.03, 0.03, (len(camera), 1, 1, 1))).float()
    return camera * gain + shift


@dataclass(frozen=True)
class RegisteredPairs(TrainingPairs):
    """Patches of registered images: the same window of both. `coarse` holds the scaled widefield planes."""

    coarse: Sequence[Pixels]

    def draw(self, step: int) -> Batch:
        """Return the widefield and super-resolution patches of a step."""
        rng = np.random.default_rng([self.config.seed, 2, step])
        count, f = self.config.batch, self.config.upscale
        planes, regions, size = self.source.planes, self.source.regions, self.source.size
        side = size // f
        coarse = np.empty((count, 1, side, side), np.float32)
        fine = np.empty((count, 1, size, size), np.float32)
        weights = np.array([region.weight for region in regions])
        for i, index in enumerate(rng.choice(len(regions), count, p=weights / weights.sum())):
            region = regions[index]
            y, x = (int(rng.integers(s.start // f, s.stop // f - side + 1)) for s in region.window)
            k = int(rng.integers(8))
            coarse[i, 0] = symmetry(self.coarse[region.plane][y : y + side, x : x + side], k)
            fine[i, 0] = symmetry(planes[region.plane][y * f : (y + side) * f, x * f : (x + side) * f], k)
        return Batch((torch.from_numpy(coarse), torch.from_numpy(fine)))


def pairs_task(
    pairs: Sequence[tuple[Image, Image]],
    widefield_levels: Sequence[Levels],
    regions: Sequence[Region],
    config: EnhancerConfig,
) -> TrainingPairs:
    """Return the task with `regions` of registered (widefield, super-resolution) images.

    `widefield_levels` are the levels of the uncropped widefield images, because whole images are enhanced later.
    """
    fine = [plane for _, image in pairs for plane in image.pixels]
    levels = sharp_levels(fine)
    coarse = [
        level.scale(plane) for level, (image, _) in zip(widefield_levels, pairs, strict=True) for plane in image.pixels
    ]
    source = PatchSource.of([levels.scale(plane) for plane in fine], regions, config)
    return RegisteredPairs(source, config, levels, coarse)
