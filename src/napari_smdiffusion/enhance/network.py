"""The enhancer's network: a U-Net on the widefield grid with two layers on the fine grid at its end.

It has no normalisation over space. Its receptive field is therefore limited, and the result does not depend on tiles.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

ALIGN = 4  # widefield pixels; windows must start at multiples of it, where the coarsest grid has a pixel
REACH = 48  # widefield pixels to each side that an output pixel depends on (rounded up to a multiple of ALIGN)
_FINE = 8  # channels on the fine grid
_STRIP = 24  # widefield rows; their fine grid fits into a processor's cache


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # Every block starts as the identity, so that it trains without normalisation (Zhang et al., Fixup, ICLR 2019).
        nn.init.zeros_(self.second.weight)
        nn.init.constant_(self.second.get_parameter("bias"), 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.second(F.silu(self.first(F.silu(x))))
        return x + change


class EnhancerNetwork(nn.Module):
    """A small U-Net from (B, 1, Y, X) widefield to (B, 1, Y·upscale, X·upscale), both in network units.

    Parameters
    ----------
    upscale
        Fine pixels per widefield pixel, along each axis.
    channels
        Channels on the widefield grid. The grids with half and a quarter of its resolution have 4/3 and 2 times more.
    """

    def __init__(self, upscale: int, channels: int = 48) -> None:
        super().__init__()
        wide, wider = channels * 4 // 3, channels * 2
        self.upscale = upscale
        self.enter = nn.Conv2d(1, channels, 3, padding=1)
        self.top = _Residual(channels)
        self.down1 = nn.Conv2d(channels, wide, 3, stride=2, padding=1)
        self.middle = nn.Sequential(_Residual(wide), _Residual(wide))
        self.down2 = nn.Conv2d(wide, wider, 3, stride=2, padding=1)
        self.bottom = nn.Sequential(_Residual(wider), _Residual(wider))
        self.up2 = nn.Conv2d(wider, wide, 1)
        self.after2 = _Residual(wide)
        self.up1 = nn.Conv2d(wide, channels, 1)
        self.after1 = nn.Sequential(_Residual(channels), _Residual(channels))
        self.shuffle = nn.Conv2d(channels, _FINE * upscale**2, 3, padding=1)
        self.leave = nn.Conv2d(_FINE, 1, 3, padding=1)
        self._smooth_shuffle()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs

    def _smooth_shuffle(self) -> None:
        """Start with equal fine pixels in a widefield pixel, so that no grid appears (ICNR; Aitken et al. 2017)."""
        with torch.no_grad():
            weight = self.shuffle.weight
            first_pixel = weight[:: self.upscale**2]
            weight.copy_(first_pixel.repeat_interleave(self.upscale**2, 0))
            nn.init.constant_(self.shuffle.get_parameter("bias"), 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enhance images of any size: they are padded to a multiple of `ALIGN`, and the result is cropped."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % ALIGN, 0, -height % ALIGN), mode="replicate")
        top = self.top(self.enter(x.contiguous(memory_format=torch.channels_last)))
        middle = self.middle(self.down1(top))
        bottom = self.bottom(self.down2(middle))
        middle = self.after2(middle + F.interpolate(self.up2(bottom), scale_factor=2, mode="nearest"))
        top = self.after1(top + F.interpolate(self.up1(middle), scale_factor=2, mode="nearest"))
        features = self.shuffle(F.silu(top))
        sharp = self._fine(features) if self.training else self._fine_in_strips(features)
        sharp = sharp[..., : height * self.upscale, : width * self.upscale]
        return sharp if self.training else even_background(sharp, self.upscale)

    def _fine(self, features: torch.Tensor) -> torch.Tensor:
        fine = F.pixel_shuffle(features, self.upscale)
        # In float32, because bfloat16 would leave steps of half a per cent in the result.
        with torch.autocast(features.device.type, enabled=False):
            sharp: torch.Tensor = self.leave(F.silu(fine.float()))
        return sharp

    def _fine_in_strips(self, features: torch.Tensor) -> torch.Tensor:
        """Return the result of `_fine`, computed in strips that fit into the cache; a whole tile would be slower."""
        strips = []
        for first in range(0, features.shape[-2], _STRIP):
            above = min(1, first)  # the last layer needs one more row on either side
            strip = self._fine(features[:, :, first - above : first + _STRIP + 1])
            rows = min(_STRIP, features.shape[-2] - first) * self.upscale
            strips.append(strip[:, :, above * self.upscale :][:, :, :rows])
        return torch.cat(strips, dim=-2)


def even_background(sharp: torch.Tensor, upscale: int, empty: float = 0.01, sure: float = 0.025) -> torch.Tensor:
    """Average the background over one widefield pixel; structure stays unchanged.

    The fine pixels in a widefield pixel come from different weights of one layer, which leaves a faint grid with the
    period of a widefield pixel. An average over one period removes it. Below 1/40 of the bright level, details finer
    than a widefield pixel cannot be distinguished from the background, so that the average loses nothing.

    Parameters
    ----------
    sharp
        (B, 1, Y, X) in network units: 1 is bright.
    upscale
        The period of the grid in pixels.
    empty, sure
        Local means in network units: below `empty` is background, above `sure` is structure.
    """
    if upscale == 1:
        return sharp
    even = F.pad(sharp, [upscale - 1] * 4, mode="replicate")
    # Two averages along each axis are centred for even periods as well. Pooling of one channel is many times slower.
    for axis in (-2, -2, -1, -1):
        even = even.unfold(axis, upscale, 1).mean(-1)
    structure = ((even - empty) / (sure - empty)).clamp(0, 1)
    return structure * sharp + (1 - structure) * even
