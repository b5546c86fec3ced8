"""Training pairs of widefield and super-resolution patches: simulated, or from registered images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ..base.devices import autocast, generator
from ..base.errors import InputError
from ..images.patches import averaged, symmetry
from ..images.unmeasured import scan
from ..microscope.camera import camera_counts
from ..microscope.correlated_noise import with_correlated_noise
from ..microscope.lighting import with_smooth_light
from ..training.task import Batch
from .disturbances import with_bright_spots
from .facts import LOCAL_LEVELS, WidefieldLevels
from .levels import Levels, scaled_sharp, sharp_levels
from .local_levels import LocalLevels
from .plane_levels import finer, local_levels, plane_levels
from .scenes import PatchSource, Scene, Scenes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from ..base.arrays import Pixels
    from ..images.image import Image
    from ..microscope.settings import MicroscopeConfig
    from .held_out import Region
    from .settings import EnhancerConfig

_LEVEL_PATCHES = 64  # simulated patches that the levels of the widefield images are measured on
_GAIN = 0.6, 1.67  # by which the brightness of training examples is varied
_SHIFT = 0.06  # up to which their background is shifted, in units
_BRIGHT = 99.5  # percentile of the simulated light that receives the drawn number of photons
_NONE = (0.0, 0.0)
_PREVIEW_STEP = 2**31  # training never reaches this step, so that its examples are new


class Examples(NamedTuple):
    """Examples for the network.

    Parameters
    ----------
    widefield
        (B, 1, Y/f, X/f) above the local background, in local units (see `LocalLevels`), not compressed.
    sharp
        (B, 1, Y, X): the network's output for it.
    weight
        (B, 1, Y/f, X/f): 0 for pixels without a truth, otherwise at most 1.
    """

    widefield: torch.Tensor
    sharp: torch.Tensor
    weight: torch.Tensor


def finer_weight(weight: torch.Tensor, upscale: int) -> torch.Tensor:
    """Repeat weights (B, 1, Y, X) at the pixels of the result."""
    return weight.repeat_interleave(upscale, 2).repeat_interleave(upscale, 3)


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
    widefield
        The levels of the widefield images.
    """

    source: PatchSource
    config: EnhancerConfig
    sharp_levels: Levels
    widefield: WidefieldLevels

    @cached_property
    def local(self) -> LocalLevels:
        """The estimator of the local levels."""
        return LocalLevels(self.widefield.opening, self.widefield.around)

    @property
    def stage(self) -> str:
        """The name of the task in progress events."""
        return "training the enhancer"

    @abstractmethod
    def examples(self, step: int) -> Examples:
        """Return the examples of a step."""

    def draw(self, step: int) -> Batch:
        """Return widefield patches of varied brightness and background, with bright spots, and their truth.

        The tensors are:

        * the network's input (B, 1, Y/f, X/f);
        * the truth (B, 1, Y, X);
        * the factor (B, 1, 1, 1) that the brightness was multiplied by;
        * the weight of each pixel in the loss (B, 1, Y, X).
        """
        widefield, sharp, gain, weight = varied_examples(self, step)
        return Batch((widefield, sharp, gain, finer_weight(weight, self.config.upscale)))

    def of(self, regions: Sequence[Region]) -> Self:
        """Return the task with patches from other regions of the planes."""
        return replace(self, source=PatchSource.of(self.source.planes, regions, self.config))

    def with_light(self, light: float) -> Self:
        """Return the task with truths for an enhancer whose `WidefieldLevels.light` is `light`."""
        return replace(self, widefield=replace(self.widefield, light=light))

    def evenly_lit(self) -> Self:
        """Return the task whose images show the structure undisturbed; see `SimulatedPairs.evenly_lit`."""
        return self

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the weighted mean squared error of each patch, (B,).

        The network learns that a brighter input has a brighter output by the same factor, so that the scaling of its
        input cancels in the result.
        """
        widefield, sharp, gain, weight = tensors
        with autocast(widefield.device):
            enhanced = network(widefield)
        losses: torch.Tensor = (weight * (enhanced.float() / gain - sharp).square()).mean((1, 2, 3))
        return losses

    @torch.no_grad()
    def preview(self, network: torch.nn.Module) -> Pixels | None:
        """Return the same examples enhanced, in intensities of the result, or None without previews."""
        if not self.config.previews:
            return None
        widefield = self.local.compressed(self.examples(_PREVIEW_STEP).widefield[: self.config.previews])
        enhanced = network(widefield.to(next(network.parameters()).device))
        return self.sharp_levels.unscale(enhanced[:, 0].float().cpu().numpy())


def varied_examples(pairs: TrainingPairs, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the examples of a step with varied brightness and background, and with bright spots.

    Returns
    -------
    The network's input (B, 1, Y/f, X/f), the truth before the variation (B, 1, Y, X), the factor of the brightness
    (B, 1, 1, 1), and the weights (B, 1, Y/f, X/f).
    """
    widefield, sharp, weight = pairs.examples(step)
    rng = np.random.default_rng([pairs.config.seed, 6, step])
    widefield, weight = with_bright_spots(widefield, weight, rng)
    gain = torch.from_numpy(np.exp(rng.uniform(np.log(_GAIN[0]), np.log(_GAIN[1]), (len(sharp), 1, 1, 1)))).float()
    shift = torch.from_numpy(rng.uniform(-_SHIFT, _SHIFT, (len(sharp), 1, 1, 1))).float()
    return pairs.local.compressed(gain * widefield + shift), sharp, gain, weight


def simulation_task(
    images: Sequence[Image],
    regions: Sequence[Region],
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    pixel_size: float,
    surroundings: WidefieldLevels = LOCAL_LEVELS,
) -> SimulatedPairs:
    """Return the task with simulated widefield images of `regions` of super-resolution images.

    Each image is scaled by its own levels, so that images in different units can be mixed. Results have the units of
    the first image. The widefield images have local levels with these `surroundings`; their light is measured.
    """
    levels = [sharp_levels(list(image.pixels)) for image in images]
    scaled = [
        plane for level, image in zip(levels, images, strict=True) for plane in scaled_sharp(level, list(image.pixels))
    ]
    source = PatchSource.of(scaled, regions, config)
    # The brightness of simulated fields, measured on many patches.
    scenes = Scenes(source, config, microscope, pixel_size)
    light = scenes.draw(_LEVEL_PATCHES, np.random.default_rng([config.seed, 4]), generator(config.seed, 5)).light
    # The mean that is weighted with the light does not depend on the empty field around sparse structure.
    bright = max(
        float(np.percentile(light.numpy(), _BRIGHT)), float(light.square().sum() / light.sum().clamp(min=1e-12))
    )
    if not bright > 0:
        raise InputError("The super-resolution images are nearly empty: give images with more structure.")
    local = replace(surroundings, method="local")
    task = SimulatedPairs(source, config, levels[0], local, microscope, pixel_size, bright)
    return replace(task, widefield=replace(local, light=task.typical_unit()))


@dataclass(frozen=True)
class SimulatedPairs(TrainingPairs):
    """Super-resolution patches with simulated widefield images; every step simulates new ones."""

    microscope: MicroscopeConfig
    pixel_size: float
    bright: float  # light of a bright widefield pixel
    empty_parts: bool = False  # whether some patches end at the edge of a cell or are empty

    def typical_unit(self) -> float:
        """Return the geometric mean of the local units of simulated images, in units of the light."""
        seed = self.config.seed
        rng, random, uneven = np.random.default_rng([seed, 8]), generator(seed, 7), generator(seed, 10)
        unit = self._imaged(_LEVEL_PATCHES, rng, random, uneven)[2]
        return float(unit.clamp(min=1e-6).log().mean().exp())

    def evenly_lit(self) -> SimulatedPairs:
        """Return the task with even light and haze, and with independent noise.

        Light that varies strongly makes images of any structure alike.
        """
        even = replace(
            self.microscope, unevenness_range=_NONE, haze_unevenness_range=_NONE, correlated_noise_range=_NONE
        )
        return replace(self, microscope=even)

    def examples(self, step: int) -> Examples:
        """Return simulated examples."""
        seed = self.config.seed
        # The uneven light has its own generator, so that everything else is the same without it.
        rng, random, uneven = np.random.default_rng([seed, 2, step]), generator(seed, 3, step), generator(seed, 9, step)
        scene, above, unit = self._imaged(self.config.batch, rng, random, uneven)
        truth = scene.sharp * self.widefield.light / finer(unit, self.config.upscale)
        return Examples(above, truth, scene.weight)

    def _imaged(
        self, count: int, rng: np.random.Generator, random: torch.Generator, uneven: torch.Generator
    ) -> tuple[Scene, torch.Tensor, torch.Tensor]:
        """Return patches, their widefield images in local units, and these units in units of the light.

        The widefield images and their units are (B, 1, Y/f, X/f).
        """
        scenes = Scenes(self.source, self.config, self.microscope, self.pixel_size, self.empty_parts)
        scene = scenes.draw(count, rng, random, uneven)
        optics = scene.optics
        light = with_smooth_light(scene.light, self.microscope, self.pixel_size * self.config.upscale, random)
        light = with_correlated_noise(light / self.bright, optics.background, self.microscope, random)
        counts = camera_counts(light, optics, self.microscope, random)
        above, unit, _ = local_levels(self.local, counts)
        contrast = self.widefield.contrast
        # The network must return the light for any exposure and any gain of the camera.
        light = self.bright / (optics.photons[:, None, None, None] * self.microscope.gain)
        return scene, above / contrast, unit * contrast * light


@dataclass(frozen=True)
class RegisteredPairs(TrainingPairs):
    """Patches of registered images: the same window of both.

    Parameters
    ----------
    coarse, weights
        Widefield planes (Y, X) in local units, and 0 for pixels without a measurement, otherwise 1.
    """

    coarse: Sequence[Pixels]
    weights: Sequence[Pixels]

    def with_light(self, light: float) -> Self:
        """Return the task with truths for an enhancer whose `WidefieldLevels.light` is `light`."""
        ratio = np.float32(light / self.widefield.light)
        planes = [plane * ratio for plane in self.source.planes]
        return replace(super().with_light(light), source=replace(self.source, planes=planes))

    def examples(self, step: int) -> Examples:
        """Return examples from the regions."""
        rng = np.random.default_rng([self.config.seed, 2, step])
        count, f = self.config.batch, self.config.upscale
        planes, regions, size = self.source.planes, self.source.regions, self.source.size
        side = size // f
        coarse, measured = (np.empty((count, 1, side, side), np.float32) for _ in range(2))
        fine = np.empty((count, 1, size, size), np.float32)
        weights = np.array([region.weight for region in regions])
        for i, index in enumerate(rng.choice(len(regions), count, p=weights / weights.sum())):
            region = regions[index]
            y, x = (int(rng.integers(s.start // f, s.stop // f - side + 1)) for s in region.window)
            k = int(rng.integers(8))
            window = (slice(y, y + side), slice(x, x + side))
            coarse[i, 0] = symmetry(self.coarse[region.plane][window], k)
            measured[i, 0] = symmetry(self.weights[region.plane][window], k)
            fine[i, 0] = symmetry(planes[region.plane][y * f : (y + side) * f, x * f : (x + side) * f], k)
        return Examples(*(torch.from_numpy(part) for part in (coarse, fine, measured)))


def pairs_task(
    pairs: Sequence[tuple[Image, Image]],
    regions: Sequence[Region],
    config: EnhancerConfig,
    surroundings: WidefieldLevels = LOCAL_LEVELS,
) -> RegisteredPairs:
    """Return the task with `regions` of registered (widefield, super-resolution) images.

    The super-resolution images are scaled so that they have the light of their widefield image above its background.
    """
    planes = [plane for _, image in pairs for plane in image.pixels]
    levels = sharp_levels(planes)
    scaled = iter(scaled_sharp(levels, planes))
    coarse: list[Pixels] = []
    weights: list[Pixels] = []
    sharp: list[Pixels] = []
    units: list[Pixels] = []
    local = LocalLevels(surroundings.opening, surroundings.around)
    for widefield, _ in pairs:
        for plane, truth in zip(widefield.pixels, scaled, strict=False):
            facts = scan(plane)
            seen = plane_levels(plane, facts, local, facts.measured(plane))
            light = seen.above * seen.unit * seen.measured
            units.append(seen.unit / _brightness(light, averaged(truth, config.upscale)))
            coarse.append(seen.above)
            weights.append(seen.measured)
            sharp.append(truth)
    typical = float(np.exp(np.mean([np.log(np.maximum(unit, 1e-6)).mean() for unit in units])))
    truths = [
        np.asarray(
            truth * typical / finer(torch.from_numpy(unit)[None, None], config.upscale)[0, 0].numpy(), np.float32
        )
        for truth, unit in zip(sharp, units, strict=True)
    ]
    source = PatchSource.of(truths, regions, config)
    found = replace(surroundings, method="local", light=typical)
    return RegisteredPairs(source, config, levels, found, coarse, weights)


def _brightness(widefield: Pixels, sharp: Pixels) -> float:
    """Return the factor of a super-resolution plane on the widefield grid that is nearest to the widefield plane."""
    factor = float((widefield * sharp).sum()) / max(float(np.square(sharp).sum()), 1e-12)
    return factor if factor > 0 else max(float(widefield.mean()), 1e-6)
