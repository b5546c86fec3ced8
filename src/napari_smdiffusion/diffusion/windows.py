"""Denoising of large fields in overlapping windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .denoiser import Denoiser, Sigma

WINDOW = 1024  # pixels; larger fields are denoised in windows of this side
_TOGETHER = 2**20  # pixels in one call of the denoiser


@dataclass(frozen=True, eq=False)
class Windowed:
    """A denoiser of fields of any size: fields larger than a window are denoised in overlapping windows.

    The cost of attention grows with the square of the area of its input. Windows are averaged where they overlap, at
    every sampling step, and so form one field of any size (MultiDiffusion; Bar-Tal et al., ICML 2023).

    Parameters
    ----------
    denoiser
        The denoiser of one window.
    window
        Side of a window in pixels.
    """

    denoiser: Denoiser
    window: int = WINDOW

    def __call__(self, x: torch.Tensor, sigma: Sigma, /, **condition: Any) -> torch.Tensor:
        """Return the clean image, (B, C, Y, X); see `Denoiser`.

        Conditions of the size of the field, (B, C, Y, X), are cut into the same windows.
        """
        height, width = x.shape[-2:]
        if max(height, width) <= self.window:
            return self.denoiser(x, sigma, **condition)
        total, weight = torch.zeros_like(x), torch.zeros_like(x[:1])
        corners = [(y, i) for y in window_starts(height, self.window) for i in window_starts(width, self.window)]
        rows, columns = min(height, self.window), min(width, self.window)
        ramp = (_ramp(rows)[:, None] * _ramp(columns)[None, :]).to(x.device)
        for group in _batched(corners, max(1, _TOGETHER // (len(x) * rows * columns))):
            windows = [(..., slice(y, y + rows), slice(i, i + columns)) for y, i in group]
            cropped = {name: _in_windows(value, windows, (height, width)) for name, value in condition.items()}
            levels = sigma.repeat(len(group)) if isinstance(sigma, torch.Tensor) else sigma
            clean = self.denoiser(torch.cat([x[window] for window in windows]), levels, **cropped)
            for window, crop in zip(windows, torch.split(clean, len(x)), strict=True):
                total[window] += crop * ramp
                weight[window] += ramp
        return total / weight


def _in_windows(value: Any, windows: list[Any], size: tuple[int, int]) -> Any:
    """Return a condition for all windows: cropped if it has the size of the field, else repeated."""
    if not isinstance(value, torch.Tensor) or not value.ndim:
        return value
    if value.ndim == 4 and tuple(value.shape[-2:]) == size:
        return torch.cat([value[window] for window in windows])
    return torch.cat([value] * len(windows))


def _batched(items: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def window_starts(length: int, window: int) -> list[int]:
    """Return the starts of windows that cover `length` and overlap by at least a quarter, as multiples of 16."""
    if length <= window:
        return [0]
    count = -(-(length - window) // (window * 3 // 4)) + 1
    return [round((length - window) * i / (count - 1) / 16) * 16 for i in range(count)]


def _ramp(length: int) -> torch.Tensor:
    """Return weights that fall linearly over a quarter of the window towards both ends."""
    position = torch.arange(length) + 0.5
    return (torch.minimum(position, length - position) / (length / 4)).clamp(max=1)
