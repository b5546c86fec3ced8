"""Training an enhancer: on super-resolution images seen through the simulated microscope, or on registered pairs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from .compute import autocast, bring_home, generator, pick_device
from .enhancer import BRIGHT, DARK, Enhancer, Levels, Pixels, widefield_levels
from .enhancer_network import EnhancerNetwork
from .images import Image, common_pixel_size
from .microscope import Optics, draw_optics, mean_widefield, photographed
from .model_folder import check_place
from .patches import draw_patches, symmetry
from .progress import Steps, Stop, never
from .training import Batch, Budget, TrainingState, optimize_steps, training_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .config import EnhancerConfig, MicroscopeConfig

_BRIGHT_SHARP = 99.8  # percentile that counts as bright in a super-resolution image, where structure is sparse
_SIMULATED = 64  # patches from which the levels of the simulated widefield are taken
_PREVIEW_STEP = 2**31  # its examples are never trained on


def train_enhancer_steps(
    images: Sequence[Image],
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    *,
    weights: Sequence[float] | None = None,
    pairs: Sequence[tuple[Image, Image]] = (),
    out: Path | None = None,
    name: str | None = None,
    stop: Stop = never,
) -> Steps[Enhancer]:
    """Train an enhancer.

    Parameters
    ----------
    images
        Super-resolution images of one pixel size: experimental, generated, simulated, or a mix of them.
    config, microscope
        Settings, and the microscope to simulate.
    weights
        How often each of `images` is drawn from, relative to the others; by default in proportion to its pixels.
    pairs
        Registered (widefield, super-resolution) images to train on instead of simulated ones; each
        super-resolution image has exactly `upscale` times the pixels of its widefield image, corner on corner.
    out
        Folder to save the enhancer in when it is trained. None: only in memory.
    name
        What to call the enhancer; by default the name of the folder.
    stop
        Asked at every step.

    Yields
    ------
    Progress, Preview and Note events.

    Returns
    -------
    The enhancer as it is when the budget is used up or `stop` says so.

    Raises
    ------
    ValueError
        For images that cannot be trained on.
    """
    sources = [fine for _, fine in pairs] if pairs else list(images)
    pixel_size = common_pixel_size(sources)
    if not pairs and pixel_size is None:
        raise ValueError(f"{sources[0].name} has no pixel size: give it in nm (--pixel-size on the command line).")
    if out is not None:
        check_place(out)
    _check_pairs(pairs, config.upscale)
    chances = _chances(sources, weights)
    task: _RegisteredPairs | _Simulation = (
        _pairs_task(pairs, chances, config)
        if pairs
        else _simulation_task(sources, chances, config, microscope, pixel_size or 1.0)
    )
    device = pick_device(config.device)
    torch.manual_seed(config.seed)
    network = EnhancerNetwork(config.upscale, config.channels).to(device)
    state = TrainingState(network, config.learning_rate)
    yield from optimize_steps(state, task, Budget(config.minutes, config.steps), stop=stop, device=device)
    bring_home(network, device)
    facts = training_facts(sources, name or (out.name if out is not None else "unnamed"))
    facts["weights"] = None if weights is None else list(weights)
    facts["trained_on"] = "registered pairs" if pairs else "simulated widefield"
    facts |= state.facts()
    enhancer = Enhancer(network, task.sharp_levels, pixel_size, config, microscope, facts)
    if out is not None:
        enhancer.save(out)
    return enhancer


def _check_pairs(pairs: Sequence[tuple[Image, Image]], upscale: int) -> None:
    for coarse, fine in pairs:
        expected = (len(coarse), coarse.size[0] * upscale, coarse.size[1] * upscale)
        if fine.pixels.shape != expected:
            raise ValueError(
                f"{fine.name} has shape {fine.pixels.shape}, but {upscale} times {coarse.name} is {expected}: "
                "crop the two to the same field, or choose another upscale."
            )


def _chances(images: Sequence[Image], weights: Sequence[float] | None) -> list[float]:
    """Return how often each plane is drawn from."""
    if weights is None:
        return [float(plane.size) for image in images for plane in image.pixels]
    if len(weights) != len(images) or min(weights) < 0 or not sum(weights) > 0:
        raise ValueError(f"weights {list(weights)} must be one number of at least 0 for each of {len(images)} images.")
    return [w / len(image) for image, w in zip(images, weights, strict=True) for _ in range(len(image))]


def _sharp_levels(planes: Sequence[Pixels]) -> Levels:
    """Return the levels of the super-resolution images: their background, and what counts as bright in them."""
    pixels = np.concatenate([plane.ravel() for plane in planes])
    dark, bright = (float(v) for v in np.percentile(pixels, (DARK, _BRIGHT_SHARP)))
    if not dark < bright:
        dark, bright = float(pixels.min()), float(pixels.max())
    if not dark < bright:
        raise ValueError(f"All pixels have the value {dark:g}: give images with something in them.")
    return Levels(dark, bright)


def _simulation_task(
    images: Sequence[Image],
    chances: list[float],
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    pixel_size: float,
) -> _Simulation:
    # Each image has levels of its own, so that sources in different units can be mixed; results are in the first's.
    levels = [_sharp_levels(list(image.pixels)) for image in images]
    scaled = [own.scale(plane) for own, image in zip(levels, images, strict=True) for plane in image.pixels]
    size = _whole_patch(scaled, config)
    task = _Simulation(scaled, chances, config, microscope, pixel_size, size, levels[0])
    # What a whole field of the simulated widefield has as dark and bright: many patches stand for a field.
    many = task.without_noise(_SIMULATED, np.random.default_rng([config.seed, 4]), generator(config.seed, 5))[1]
    dark, bright = (float(v) for v in np.percentile(many.numpy(), (DARK, BRIGHT)))
    return replace(task, widefield_levels=Levels(dark, bright))


def _whole_patch(planes: Sequence[Pixels], config: EnhancerConfig) -> int:
    """Return the largest patch, at most `config.patch`, that fits all planes and is made of whole widefield pixels."""
    largest = min(config.patch, *(min(plane.shape) for plane in planes))
    size: int = largest // config.upscale * config.upscale
    if size < 16 * config.upscale:
        raise ValueError(
            f"Patches of {largest} pixels hold fewer than 16 widefield pixels at factor {config.upscale}: "
            "give larger images or a larger patch, or choose a smaller factor."
        )
    return size


@dataclass(frozen=True)
class _Simulation:
    """The task of an enhancer: patches, and what the simulated microscope makes of them, drawn anew at every step."""

    planes: Sequence[Pixels]
    chances: Sequence[float]
    config: EnhancerConfig
    microscope: MicroscopeConfig
    pixel_size: float
    size: int
    sharp_levels: Levels
    widefield_levels: Levels = field(default_factory=lambda: Levels(0.0, 1.0))
    stage: str = "training the enhancer"

    def without_noise(
        self, count: int, rng: np.random.Generator, random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, Optics]:
        """Draw patches (B, 1, Y, X), optics, and what reaches the camera through them, (B, 1, Y/f, X/f)."""
        side = max(1, self.config.patch // self.size)
        drawn = draw_patches(self.planes, self.size, count * side**2, rng, self.chances)
        sharp = torch.from_numpy(_mosaics(drawn, side))[:, None]
        optics = draw_optics(self.microscope, count, self.pixel_size, self.config.upscale, random)
        return sharp, mean_widefield(sharp.clamp(min=0), optics, self.config.upscale), optics

    def imaged(
        self, count: int, rng: np.random.Generator, random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw patches (B, 1, Y, X) and their widefield images (B, 1, Y/f, X/f), dark about 0 and bright about 1."""
        sharp, mean, optics = self.without_noise(count, rng, random)
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

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return _sharp_loss(network, tensors)

    def preview(self, network: torch.nn.Module) -> Pixels | None:
        return _preview(network, self.draw(_PREVIEW_STEP), self.config.previews, self.sharp_levels)


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


def _sharp_loss(network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return the mean squared difference of each image, (B,)."""
    coarse, sharp = tensors
    with autocast(coarse.device):
        guess = network(coarse)
    losses: torch.Tensor = (guess.float() - sharp).square().mean((1, 2, 3))
    return losses


@torch.no_grad()
def _preview(network: torch.nn.Module, batch: Batch, count: int, levels: Levels) -> Pixels | None:
    if not count:
        return None
    coarse = batch.tensors[0][:count].to(next(network.parameters()).device)
    return levels.unscale(network(coarse)[:, 0].float().cpu().numpy())


@dataclass(frozen=True)
class _RegisteredPairs:
    """The task of an enhancer that is trained on real pairs: the same window of both images."""

    coarse: Sequence[Pixels]
    fine: Sequence[Pixels]
    chances: npt.NDArray[np.float64]
    config: EnhancerConfig
    size: int
    sharp_levels: Levels
    stage: str = "training the enhancer"

    def draw(self, step: int) -> Batch:
        rng = np.random.default_rng([self.config.seed, 2, step])
        count, f = self.config.batch, self.config.upscale
        side = self.size // f
        coarse = np.empty((count, 1, side, side), np.float32)
        fine = np.empty((count, 1, self.size, self.size), np.float32)
        for i, which in enumerate(rng.choice(len(self.coarse), count, p=self.chances)):
            plane = self.coarse[which]
            y, x = (int(rng.integers(length - side + 1)) for length in plane.shape)
            k = int(rng.integers(8))
            coarse[i, 0] = symmetry(plane[y : y + side, x : x + side], k)
            fine[i, 0] = symmetry(self.fine[which][y * f : (y + side) * f, x * f : (x + side) * f], k)
        return Batch((torch.from_numpy(coarse), torch.from_numpy(fine)))

    def loss(self, network: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return _sharp_loss(network, tensors)

    def preview(self, network: torch.nn.Module) -> Pixels | None:
        return _preview(network, self.draw(_PREVIEW_STEP), self.config.previews, self.sharp_levels)


def _pairs_task(pairs: Sequence[tuple[Image, Image]], chances: list[float], config: EnhancerConfig) -> _RegisteredPairs:
    fine = [plane for _, image in pairs for plane in image.pixels]
    levels = _sharp_levels(fine)
    coarse = [widefield_levels(image).scale(plane) for image, _ in pairs for plane in image.pixels]
    share = np.asarray(chances) / sum(chances)
    size = _whole_patch(fine, config)
    return _RegisteredPairs(coarse, [levels.scale(plane) for plane in fine], share, config, size, levels)
