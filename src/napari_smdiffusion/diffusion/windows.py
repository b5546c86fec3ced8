"""Large fields, denoised in overlapping windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from .network import raw_output

if TYPE_CHECKING:
    from collections.abc import Iterator
Evaluation = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
WINDOW = 1024  # pixels; larger fields are denoised in windows of this size


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
