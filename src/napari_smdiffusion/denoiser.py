"""The denoising network, its preconditioning, and the solver that draws samples with it.

All after Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", NeurIPS 2022: "EDM" below.

Images enter in network units (`Scaling`, standard deviation 0.5) as (B, 1, Y, X). Inside, 4 × 4 pixels become 16
channels, so that the network works on a grid a quarter as fine: that is what makes it fast on a CPU.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from .compute import autocast, generator
from .solver import Plan, karras_levels, multistep, second_order
from .unet import UNet
from .unet_config import UNetConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

BLOCK = 4  # pixels of a side that become channels
SIGMA_DATA = 0.5
Evaluation = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
WINDOW = 1024  # pixels; larger fields are denoised in windows of this size
# Between which noise levels an image is drawn, and how they are spread. EDM's 0.002 to 80 by 7 need a fifth more steps
# to come as near to the converged image (docs/results.md, What was tried).
SIGMA_MIN, SIGMA_MAX, RHO = 0.02, 60.0, 5.0


def make_unet(channels: Sequence[int]) -> UNet:
    """Return an untrained U-Net with one residual layer per resolution and attention at the lowest one."""
    deeper = len(channels) - 1
    config = UNetConfig(
        in_channels=BLOCK**2,
        out_channels=BLOCK**2,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * deeper + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * deeper,
        attention_head_dim=16,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
    )
    unet = UNet(config)
    # An output of zero is the best guess before anything is learned.
    torch.nn.init.zeros_(unet.conv_out.weight)
    return _laid_out(unet, torch.channels_last)


def _laid_out(unet: UNet, layout: torch.memory_format) -> UNet:
    laid_out: UNet = unet.to(memory_format=layout)  # type: ignore[call-overload]  # missing in torch's stubs
    return laid_out


def training_format(device: torch.device) -> torch.memory_format:
    """Return the memory format of training: channels first on a processor, by which a step takes 0.9 of the time.

    Drawing is quicker with channels last (`benchmarks/limits.py --only formats`).
    """
    return torch.contiguous_format if device.type == "cpu" else torch.channels_last


def for_training(unet: UNet, device: torch.device) -> UNet:
    """Bring a network to where and to how it is trained."""
    return _laid_out(unet.to(device), training_format(device)).train()


def for_drawing(unet: UNet) -> UNet:
    """Bring a network that was trained to how images are drawn with it."""
    return _laid_out(unet, torch.channels_last).eval()


def copied(unet: UNet) -> UNet:
    """Return a network of the same layers, which may be those of an older version, with the same weights."""
    return for_drawing(copy.deepcopy(unet))


def field_multiple(unet: UNet) -> int:
    """Return the number that the sides of a field must be multiples of."""
    return int(BLOCK * 2 ** (len(unet.config.block_out_channels) - 1))


def raw_output(unet: torch.nn.Module, scaled: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Evaluate F(c_in x; c_noise) of EDM's equation 7.

    Parameters
    ----------
    unet
        The network.
    scaled
        c_in(σ)·x, (B, 1, Y, X) float32.
    sigma
        (B,) noise levels.

    Returns
    -------
    (B, 1, Y, X) float32.
    """
    layout = training_format(scaled.device) if unet.training else torch.channels_last
    inside = F.pixel_unshuffle(scaled, BLOCK).contiguous(memory_format=layout)
    # The embedding was made for times up to 1000; 100 ln σ spans such a range.
    with autocast(scaled.device):
        output = unet(inside, 100 * torch.log(sigma))
    return F.pixel_shuffle(output.float(), BLOCK)


def windowed_output(
    unet: torch.nn.Module,
    scaled: torch.Tensor,
    sigma: torch.Tensor,
    window: int,
    evaluate: Evaluation = raw_output,
) -> torch.Tensor:
    """Evaluate the network, for fields larger than `window` in overlapping windows that are blended.

    The network attends to its whole input, whose cost grows with the square of its area. Windows that are denoised
    together agree where they overlap, and make one field of any size (MultiDiffusion; Bar-Tal et al., ICML 2023).
    """
    height, width = scaled.shape[-2:]
    if max(height, width) <= window:
        return evaluate(unet, scaled, sigma)
    total, weight = torch.zeros_like(scaled), torch.zeros_like(scaled[:1])
    corners = [(y, x) for y in window_starts(height, window) for x in window_starts(width, window)]
    rows, columns = min(height, window), min(width, window)
    ramp = _ramp(rows)[:, None] * _ramp(columns)[None, :]
    for some in _batched(corners, max(1, _TOGETHER // (len(scaled) * rows * columns))):
        parts = torch.cat([scaled[..., y : y + rows, x : x + columns] for y, x in some])
        output = evaluate(unet, parts, sigma.repeat(len(some)))
        for (y, x), part in zip(some, torch.split(output, len(scaled)), strict=True):
            total[..., y : y + rows, x : x + columns] += part * ramp.to(part.device)
            weight[..., y : y + rows, x : x + columns] += ramp.to(part.device)
    return total / weight


_TOGETHER = 2**20  # pixels in one evaluation


def _batched(items: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def window_starts(length: int, window: int) -> list[int]:
    """Return where windows begin that cover `length` and overlap by at least a quarter, at multiples of 16."""
    if length <= window:
        return [0]
    count = -(-(length - window) // (window * 3 // 4)) + 1
    return [round((length - window) * i / (count - 1) / 16) * 16 for i in range(count)]


def _ramp(length: int) -> torch.Tensor:
    """Return weights that fall off linearly over a quarter of a window towards both ends."""
    place = torch.arange(length) + 0.5
    return (torch.minimum(place, length - place) / (length / 4)).clamp(max=1)


def denoising_loss(
    unet: torch.nn.Module, clean: torch.Tensor, sigma: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """Return EDM's loss of each image, (B,).

    With the weight λ(σ) = 1 / c_out² it is the mean squared difference of F and (y - c_skip x) / c_out (equation 8).
    """
    s = sigma[:, None, None, None]
    total = torch.sqrt(s**2 + SIGMA_DATA**2)
    noisy = clean + s * noise
    c_skip, c_out = SIGMA_DATA**2 / total**2, s * SIGMA_DATA / total
    target = (clean - c_skip * noisy) / c_out
    return (raw_output(unet, noisy / total, sigma) - target).square().mean((1, 2, 3))


def draw_sigmas(
    count: int, random: torch.Generator, mean: float = 0.0, std: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw `count` noise levels, ln σ ~ N(mean, std²), one from each of `count` equal slices, in random order.

    Returns
    -------
    The levels, and the quartile (0 to 3, lowest noise first) that each belongs to; both (count,).
    """
    place = (torch.randperm(count, generator=random) + torch.rand(count, generator=random)) / count
    sigma = torch.exp(mean + std * torch.special.ndtri(place.clamp(1e-5, 1 - 1e-5)))
    return sigma, (place * 4).long().clamp(max=3)


def start_noise(seed: int, indices: Sequence[int], size: tuple[int, int], channels: int = 1) -> torch.Tensor:
    """Return the noise that images `indices` of a run start from, (B, C, Y, X): each depends on (seed, index) alone."""
    return torch.stack([torch.randn((channels, *size), generator=generator(seed, k)) for k in indices])


@torch.no_grad()
def solve(unet: torch.nn.Module, noise: torch.Tensor, steps: int) -> Iterator[torch.Tensor]:
    """Turn noise into images.

    Parameters
    ----------
    unet
        In evaluation mode, on the device to compute on.
    noise
        (B, 1, Y, X) standard normal.
    steps
        Number of network evaluations.

    Yields
    ------
    The denoised image that the network sees at this noise level, (B, 1, Y, X); the last one is the result.
    """
    start = noise.to(next(unet.parameters()).device)
    yield from multistep(partial(denoised, unet), start, plan(steps))


def plan(steps: int) -> Plan:
    """Return how images are drawn in so many steps: by DPM-Solver++(2M)."""
    return second_order(karras_levels(steps, SIGMA_MIN, SIGMA_MAX, RHO))


def denoised(unet: torch.nn.Module, x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return the image that is seen in a noisy one at a noise level: D(x; σ) of EDM's equation 7."""
    total = math.sqrt(sigma**2 + SIGMA_DATA**2)
    told = torch.full((len(x),), sigma, device=x.device)
    output = windowed_output(unet, x / total, told, WINDOW)
    return (SIGMA_DATA / total) ** 2 * x + sigma * SIGMA_DATA / total * output


def to_numpy(images: torch.Tensor) -> npt.NDArray[np.float32]:
    """Return (B, 1, Y, X) as (B, Y, X) NumPy pixels."""
    return np.asarray(images[:, 0].float().cpu().numpy(), np.float32)
