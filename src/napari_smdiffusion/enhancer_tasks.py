"""What an enhancer learns from: patches and their widefield images, simulated or registered, and what is held out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from .compute import autocast, generator
from .enhancer import BRIGHT, DARK, Levels, Pixels
from .images import SIMULATED, SYNTHETIC
from .microscope import Optics, draw_optics, mean_widefield, photographed
from .patches import draw_patches, symmetry
from .training import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from .config import EnhancerConfig, MicroscopeConfig
    from .images import Image

_BRIGHT_SHARP = 99.8  # percentile that counts as bright in a super-resolution image, where structure is sparse
_SIMULATED = 64  # patches from which the levels of the simulated widefield are taken
_PREVIEW_STEP = 2**31  # its examples are never trained on
_MANY, _BAND = 10, 8  # of so many planes one is held out; of fewer an eighth of each
LEAST = 16  # widefield pixels of a side of a patch


@dataclass(frozen=True)
class Part:
    """A window of a plane of the images, and how often it is drawn from; `field` is the same where the field may be."""

    plane: int
    window: tuple[slice, slice]
    chance: float
    field: int = 0


@dataclass(frozen=True)
class Windows:
    """Where patches of `size`² pixels come from: `parts` of the planes (Y, X) of super-resolution images."""

    planes: Sequence[Pixels]
    parts: Sequence[Part]
    size: int

    @classmethod
    def of(cls, planes: Sequence[Pixels], parts: Sequence[Part], config: EnhancerConfig) -> Windows:
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
    if size < LEAST * config.upscale:
        raise ValueError(
            f"Patches of {largest} pixels hold fewer than {LEAST} widefield pixels at factor {config.upscale}: "
            "give larger images or a larger patch, or choose a smaller factor."
        )
    return size


@dataclass(frozen=True)
class EnhancerTask(ABC):
    """The task of an enhancer: patches of super-resolution images and their widefield images, in network units.

    `windows` are those of the super-resolution images, `sharp_levels` their levels.
    """

    windows: Windows
    config: EnhancerConfig
    sharp_levels: Levels

    @property
    def stage(self) -> str:
        """What progress is reported as."""
        return "training the enhancer"

    @abstractmethod
    def draw(self, step: int) -> Batch:
        """Return widefield patches (B, 1, Y/f, X/f) and super-resolution patches (B, 1, Y, X) of a step."""

    def of(self, parts: Sequence[Part]) -> Self:
        """Return the task with patches from other parts of the planes."""
        return replace(self, windows=Windows.of(self.windows.planes, parts, self.config))

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


def plane_chances(images: Sequence[Image], weights: Sequence[float] | None) -> list[float]:
    """Return how often each plane is drawn from."""
    if weights is None:
        return [float(plane.size) for image in images for plane in image.pixels]
    if len(weights) != len(images) or min(weights) < 0:
        raise ValueError(f"weights {list(weights)} must be one number of at least 0 for each of {len(images)} images.")
    if not sum(weights) > 0:
        raise ValueError("All images have the weight 0: give at least one of them more.")
    return [w / len(image) for image, w in zip(images, weights, strict=True) for _ in range(len(image))]


def kept_apart(
    images: Sequence[Image], chances: Sequence[float], config: EnhancerConfig
) -> tuple[list[Part], list[Part]]:
    """Return what to train on, and what to hold out for the calibration: nothing where there is too little.

    Of many generated or simulated planes some are held out. The planes of other stacks may be of one field, at other
    times or depths, so that a part of the field is held out in all of them. What is never drawn from is left out.
    """
    training: list[Part] = []
    held: list[Part] = []
    first = 0
    for image in images:
        count = len(image)
        unrelated = image.provenance.get("kind") in (SYNTHETIC, SIMULATED)
        whole = slice(0, image.size[0]), slice(0, image.size[1])
        many = unrelated and count >= _MANY
        rest, band = (whole, None) if many else _band(image.size, config)
        out = set(range(_MANY // 2, count, _MANY)) if many else set()
        for i in range(first, first + count):
            which = i if unrelated else first
            if i - first in out:
                held.append(Part(i, whole, chances[i], which))
                continue
            # The image as a whole is drawn from as often as if nothing were held out.
            training.append(Part(i, rest, chances[i] * count / (count - len(out)), which))
            if band is not None:
                held.append(Part(i, band, chances[i], which))
        first += count
    return [part for part in training if part.chance > 0], [part for part in held if part.chance > 0]


def _band(size: tuple[int, int], config: EnhancerConfig) -> tuple[tuple[slice, slice], tuple[slice, slice] | None]:
    """Cut a band off the end of the longer axis, if whole patches are left without it."""
    height, width = size
    factor, length = config.upscale, max(size)
    cut = (length - max(length // _BAND, LEAST * factor)) // factor * factor
    if cut < config.patch:
        return (slice(0, height), slice(0, width)), None
    if height >= width:
        return (slice(0, cut), slice(0, width)), (slice(cut, height), slice(0, width))
    return (slice(0, height), slice(0, cut)), (slice(0, height), slice(cut, width))


def _sharp_levels(planes: Sequence[Pixels]) -> Levels:
    """Return the levels of the super-resolution images: their background, and what counts as bright in them."""
    pixels = np.concatenate([plane.ravel() for plane in planes])
    dark, bright = (float(v) for v in np.percentile(pixels, (DARK, _BRIGHT_SHARP)))
    if not dark < bright:
        dark, bright = float(pixels.min()), float(pixels.max())
    if not dark < bright:
        raise ValueError(f"All pixels have the value {dark:g}: give images with something in them.")
    return Levels(dark, bright)


def simulation_task(
    images: Sequence[Image],
    parts: Sequence[Part],
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    pixel_size: float,
) -> EnhancerTask:
    """Return the task of learning from `parts` of super-resolution images, seen through the simulated microscope."""
    # Each image has levels of its own, so that sources in different units can be mixed; results are in the first's.
    levels = [_sharp_levels(list(image.pixels)) for image in images]
    scaled = [own.scale(plane) for own, image in zip(levels, images, strict=True) for plane in image.pixels]
    windows = Windows.of(scaled, parts, config)
    # What a whole field of the simulated widefield has as dark and bright: many patches stand for a field.
    scenes = _Scenes(windows, config, microscope, pixel_size)
    many = scenes.draw(_SIMULATED, np.random.default_rng([config.seed, 4]), generator(config.seed, 5))[1]
    dark, bright = (float(v) for v in np.percentile(many.numpy(), (DARK, BRIGHT)))
    if not 0 <= dark < bright:
        raise ValueError("There is hardly anything in the super-resolution images: give images with more in them.")
    return _Simulation(windows, config, levels[0], microscope, pixel_size, Levels(dark, bright))


@dataclass(frozen=True)
class _Scenes:
    """Patches of super-resolution images, and the light of them that the simulated microscope gathers."""

    windows: Windows
    config: EnhancerConfig
    microscope: MicroscopeConfig
    pixel_size: float

    def draw(
        self, count: int, rng: np.random.Generator, random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, Optics]:
        """Draw patches (B, 1, Y, X), optics, and what reaches the camera through them, (B, 1, Y/f, X/f)."""
        side = max(1, self.config.patch // self.windows.size)
        sharp = torch.from_numpy(_mosaics(self.windows.draw(count * side**2, rng), side))[:, None]
        optics = draw_optics(self.microscope, count, self.pixel_size, self.config.upscale, random)
        return sharp, mean_widefield(sharp.clamp(min=0), optics, self.config.upscale), optics


@dataclass(frozen=True)
class _Simulation(EnhancerTask):
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
        counts = photographed(mean / levels.bright, optics, self.microscope, random)
        # The light level and the background are known here; in a real image its own levels stand for them.
        photons = (counts - self.microscope.offset) / self.microscope.gain / optics.photons[:, None, None, None]
        light = (photons - optics.background[:, None, None, None]) * levels.bright
        return sharp, (light - levels.dark) / (levels.bright - levels.dark)

    def draw(self, step: int) -> Batch:
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
class _RegisteredPairs(EnhancerTask):
    """Real pairs: the same window of both images, the widefield one from `coarse`."""

    coarse: Sequence[Pixels]

    def draw(self, step: int) -> Batch:
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
    pairs: Sequence[tuple[Image, Image]], whole: Sequence[Levels], parts: Sequence[Part], config: EnhancerConfig
) -> EnhancerTask:
    """Return the task of learning from `parts` of registered (widefield, super-resolution) images.

    `whole` are the levels of the widefield images as they will be enhanced, before they were cut to what both show.
    """
    fine = [plane for _, image in pairs for plane in image.pixels]
    levels = _sharp_levels(fine)
    coarse = [own.scale(plane) for own, (image, _) in zip(whole, pairs, strict=True) for plane in image.pixels]
    windows = Windows.of([levels.scale(plane) for plane in fine], parts, config)
    return _RegisteredPairs(windows, config, levels, coarse)
