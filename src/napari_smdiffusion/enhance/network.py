"""The enhancer's network: a U-Net on the widefield grid with two layers on the fine grid at its end.

It has no normalisation over space. Its receptive field is therefore limited, and the result does not depend on tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from .facts import Strides

ALIGN = 4  # widefield pixels; windows must start at multiples of it, where the coarsest grid has a pixel
REACH = 52  # widefield pixels to each side that an output pixel depends on (rounded up to a multiple of ALIGN)
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


class _Halve(nn.Conv2d):
    """Blur by 1-3-3-1 with stride 2, then convolve, so that the halved grid has no aliases (Zhang, ICML 2019).

    A pixel of the halved grid lies in the middle of 2 × 2 pixels, where `_Enlarge` puts it back. The blur is before the
    convolution, because it is cheap there: both are linear, and their order does not matter. Names and shapes of the
    weights are those of a convolution with stride 2.
    """

    def __init__(self, channels: int, wider: int) -> None:
        super().__init__(channels, wider, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, wider, Y / 2, X / 2)."""
        taps = torch.tensor([0.125, 0.375, 0.375, 0.125], dtype=x.dtype, device=x.device)
        blur = (taps[:, None] * taps).expand(self.in_channels, 1, 4, 4)
        halved = F.conv2d(x, blur, stride=2, padding=1, groups=self.in_channels)
        convolved: torch.Tensor = self._conv_forward(halved, self.weight, self.bias)
        return convolved


class _Enlarge(nn.Module):
    """Enlarge two times: linearly between the pixels of the halved grid with smooth strides, else by repetition."""

    def __init__(self, smooth: bool) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, C, 2 Y, 2 X)."""
        if self.smooth:
            return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _halving(channels: int, wider: int, strides: Strides) -> nn.Module:
    if strides == "smooth":
        return _Halve(channels, wider)
    return nn.Conv2d(channels, wider, 3, stride=2, padding=1)


class EnhancerNetwork(nn.Module):
    """A small U-Net from (B, 1, Y, X) widefield to (B, 1, Y·upscale, X·upscale), both in network units.

    Parameters
    ----------
    upscale
        Fine pixels per widefield pixel, along each axis.
    channels
        Channels on the widefield grid. The grids with half and a quarter of its resolution have 4/3 and 2 times more.
    strides
        "smooth" blurs before each stride, and enlarges linearly. The result then hardly depends on where the coarser
        grids begin, and therefore not on how an image was cropped. "plain" does neither.
    """

    def __init__(self, upscale: int, channels: int = 48, strides: Strides = "smooth") -> None:
        super().__init__()
        wide, wider = channels * 4 // 3, channels * 2
        self.upscale, self.strides = upscale, strides
        self.enter = nn.Conv2d(1, channels, 3, padding=1)
        self.top = _Residual(channels)
        self.down1 = _halving(channels, wide, strides)
        self.middle = nn.Sequential(_Residual(wide), _Residual(wide))
        self.down2 = _halving(wide, wider, strides)
        self.bottom = nn.Sequential(_Residual(wider), _Residual(wider))
        self.enlarge = _Enlarge(strides == "smooth")
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
        middle = self.after2(middle + self.enlarge(self.up2(bottom)))
        top = self.after1(top + self.enlarge(self.up1(middle)))
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
