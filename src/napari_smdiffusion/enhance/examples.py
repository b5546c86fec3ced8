"""Training examples: simulated widefield patches, or patches of registered pairs."""

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
_SIMULATED = 64  # patches from which the levels of the simulated widefield are taken
_PREVIEW_STEP = 2**31  # its examples are never trained on


@dataclass(frozen=True)
class PatchSource:
    """Where patches of `size`² pixels come from: `parts` of the planes (Y, X) of super-resolution images."""

    planes: Sequence[Pixels]
    parts: Sequence[Region]
    size: int

    @classmethod
    def of(cls, planes: Sequence[Pixels], parts: Sequence[Region], config: EnhancerConfig) -> PatchSource:
        """Return windows with the largest patches that fit into all parts."""
        return cls(planes, parts, _whole_patch([planes[part.plane][part.window] for part in parts], config))

    def draw(self, count: int, rng: np.random.Generator) -> Pixels:
        """Draw patches, (N, size, size)."""
        windows = [self.planes[part.plane][part.window] for part in self.parts]
        return draw_patches(windows, self.size, count, rng, [part.chance for part in self.parts])


def _whole_patch(planes: Sequence[Pixels], config: EnhancerConfig) -> int:
    """Return the largest patch, at most `config.patch`, that fits all planes and is made of whole widefield pixels."""
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
    """The task of an enhancer: patches of super-resolution images and their widefield images, in network units.

    `windows` are those of the super-resolution images, `sharp_levels` their levels.
    """

    windows: PatchSource
    config: EnhancerConfig
    sharp_levels: Levels

    @property
    def stage(self) -> str:
        """What progress is reported as."""
        return "training the enhancer"

    @abstractmethod
    def draw(self, step: int) -> Batch:
        """Return widefield patches (B, 1, Y/f, X/f) and super-resolution patches (B, 1, Y, X) of a step."""

    def of(self, parts: Sequence[Region]) -> Self:
        """Return the task with patches from other parts of the planes."""
        return replace(self, windows=PatchSource.of(self.windows.planes, parts, self.config))

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the mean squared difference of each image, (B,)."""
        coarse, sharp = tensors
        with autocast(coarse.device):
            guess = network(coarse)
        losses: torch.Tensor = (guess.float() - sharp).square().mean((1, 2, 3))
        return losses

    @torch.no_grad()
    def preview(self, network: torch.nn.Module) -> Pixels | None:
        """Return the same examples enhanced, in the units of the result, or None if none are wanted."""
        if not self.config.previews:
            return None
        coarse = self.draw(_PREVIEW_STEP).tensors[0][: self.config.previews]
        guess = network(coarse.to(next(network.parameters()).device))
        return self.sharp_levels.unscale(guess[:, 0].float().cpu().numpy())


def simulation_task(
    images: Sequence[Image],
    parts: Sequence[Region],
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    pixel_size: float,
) -> TrainingPairs:
    """Return the task of learning from `parts` of super-resolution images, seen through the simulated microscope."""
    # Each image has levels of its own, so that sources in different units can be mixed; results are in the first's.
    levels = [sharp_levels(list(image.pixels)) for image in images]
    scaled = [own.scale(plane) for own, image in zip(levels, images, strict=True) for plane in image.pixels]
    windows = PatchSource.of(scaled, parts, config)
    # What a whole field of the simulated widefield has as dark and bright: many patches stand for a field.
    scenes = _Scenes(windows, config, microscope, pixel_size)
    many = scenes.draw(_SIMULATED, np.random.default_rng([config.seed, 4]), generator(config.seed, 5))[1]
    dark, bright = (float(v) for v in np.percentile(many.numpy(), (DARK, BRIGHT)))
    if not 0 <= dark < bright:
        raise InputError("There is hardly anything in the super-resolution images: give images with more in them.")
    return SimulatedPairs(windows, config, levels[0], microscope, pixel_size, Levels(dark, bright))


@dataclass(frozen=True)
class _Scenes:
    """Patches of super-resolution images, and the light of them that the simulated microscope gathers."""

    windows: PatchSource
    config: EnhancerConfig
    microscope: MicroscopeConfig
    pixel_size: float

    def draw(
        self, count: int, rng: np.random.Generator, random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, Optics]:
        """Draw patches (B, 1, Y, X), optics, and what reaches the camera through them, (B, 1, Y/f, X/f)."""
        side = max(1, self.config.patch // self.windows.size)
        sharp = torch.from_numpy(_mosaics(self.windows.draw(count * side**2, rng), side))[:, None]
        light, optics = light_through_optics(
            sharp.clamp(min=0), self.microscope, self.pixel_size, self.config.upscale, random
        )
        return sharp, light, optics


@dataclass(frozen=True)
class SimulatedPairs(TrainingPairs):
    """Patches, and what the simulated microscope makes of them, drawn anew at every step."""

    microscope: MicroscopeConfig
    pixel_size: float
    widefield_levels: Levels

    def imaged(
        self, count: int, rng: np.random.Generator, random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw patches (B, 1, Y, X) and their widefield images (B, 1, Y/f, X/f), dark about 0 and bright about 1."""
        scenes = _Scenes(self.windows, self.config, self.microscope, self.pixel_size)
        sharp, mean, optics = scenes.draw(count, rng, random)
        levels = self.widefield_levels
        counts = camera_counts(mean / levels.bright, optics, self.microscope, random)
        # The light level and the background are known here; in a real image its own levels stand for them.
        photons = (counts - self.microscope.offset) / self.microscope.gain / optics.photons[:, None, None, None]
        light = (photons - optics.background[:, None, None, None]) * levels.bright
        return sharp, (light - levels.zero) / levels.unit

    def draw(self, step: int) -> Batch:
        """Return patches of both images of a step."""
        rng = np.random.default_rng([self.config.seed, 2, step])
        sharp, camera = self.imaged(self.config.batch, rng, generator(self.config.seed, 3, step))
        return Batch((_jittered(camera, rng), sharp))


def _mosaics(patches: Pixels, side: int) -> Pixels:
    """Put each `side`² of (N, Y, X) patches together to one, (N / side², Y·side, X·side).

    Small patches alone would teach the network that a border is always near; put together, their light also falls onto
    each other, as that of neighbouring structure does.
    """
    n, y, x = len(patches) // side**2, *patches.shape[1:]
    return patches.reshape(n, side, side, y, x).transpose(0, 1, 3, 2, 4).reshape(n, side * y, side * x)


def _jittered(camera: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Vary the levels of (B, 1, Y, X) widefield images; no real image's are quite those of the simulated."""
    gain = torch.from_numpy(rng.uniform(0.75, 1.33, (len(camera), 1, 1, 1))).float()
    shift = torch.from_numpy(rng.uniform(-0.03, 0.03, (len(camera), 1, 1, 1))).float()
    return camera * gain + shift


@dataclass(frozen=True)
class RegisteredPairs(TrainingPairs):
    """Real pairs: the same window of both images, the widefield one from `coarse`."""

    coarse: Sequence[Pixels]

    def draw(self, step: int) -> Batch:
        """Return patches of both images of a step."""
        rng = np.random.default_rng([self.config.seed, 2, step])
        count, f = self.config.batch, self.config.upscale
        planes, parts, size = self.windows.planes, self.windows.parts, self.windows.size
        side = size // f
        coarse = np.empty((count, 1, side, side), np.float32)
        fine = np.empty((count, 1, size, size), np.float32)
        chances = np.array([part.chance for part in parts])
        for i, which in enumerate(rng.choice(len(parts), count, p=chances / chances.sum())):
            part = parts[which]
            y, x = (int(rng.integers(s.start // f, s.stop // f - side + 1)) for s in part.window)
            k = int(rng.integers(8))
            coarse[i, 0] = symmetry(self.coarse[part.plane][y : y + side, x : x + side], k)
            fine[i, 0] = symmetry(planes[part.plane][y * f : (y + side) * f, x * f : (x + side) * f], k)
        return Batch((torch.from_numpy(coarse), torch.from_numpy(fine)))


def pairs_task(
    pairs: Sequence[tuple[Image, Image]], whole: Sequence[Levels], parts: Sequence[Region], config: EnhancerConfig
) -> TrainingPairs:
    """Return the task of learning from `parts` of registered (widefield, super-resolution) images.

    `whole` are the levels of the widefield images as they will be enhanced, before they were cut to what both show.
    """
    fine = [plane for _, image in pairs for plane in image.pixels]
    levels = sharp_levels(fine)
    coarse = [own.scale(plane) for own, (image, _) in zip(whole, pairs, strict=True) for plane in image.pixels]
    windows = PatchSource.of([levels.scale(plane) for plane in fine], parts, config)
    return RegisteredPairs(windows, config, levels, coarse)
