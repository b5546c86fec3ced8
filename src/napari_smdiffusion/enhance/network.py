"""The enhancer's network. It works on the widefield grid and becomes fine only in its last two layers.

Nothing in it looks at the image as a whole (no normalisation over space), so that its reach is limited and known, and
an image enhanced in tiles is the image enhanced at once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

ALIGN = 4  # windows must begin at multiples of the coarsest grid
REACH = 48  # widefield pixels that an output pixel depends on, to each side (rounded up to a multiple of ALIGN)
_FINE = 8  # channels on the fine grid
_STRIP = 24  # widefield rows whose fine grid stays in a processor's cache


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # Every block begins as the identity, which trains without normalisation (Zhang et al., Fixup, ICLR 2019).
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
        Fine pixels per side of a widefield pixel.
    channels
        Width on the widefield grid; 4/3 and 2 times as many on the grids half and a quarter as fine.
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
        """Let all fine pixels under a widefield pixel begin equal, so that no grid shows (ICNR; Aitken et al. 2017)."""
        with torch.no_grad():
            weight = self.shuffle.weight
            one = weight[:: self.upscale**2]
            weight.copy_(one.repeat_interleave(self.upscale**2, 0))
            nn.init.constant_(self.shuffle.get_parameter("bias"), 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enhance; sides that are no multiples of `ALIGN` go on as they end, and are cut again."""
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
        # In full precision: bfloat16 would leave steps of half a per cent in the result.
        with torch.autocast(features.device.type, enabled=False):
            sharp: torch.Tensor = self.leave(F.silu(fine.float()))
        return sharp

    def _fine_in_strips(self, features: torch.Tensor) -> torch.Tensor:
        """Return the same as `_fine`, strip by strip: the fine grid of a whole tile would go through slow memory."""
        strips = []
        for first in range(0, features.shape[-2], _STRIP):
            above = min(1, first)  # a row more on either side is all that the last layer looks at
            strip = self._fine(features[:, :, first - above : first + _STRIP + 1])
            rows = min(_STRIP, features.shape[-2] - first) * self.upscale
            strips.append(strip[:, :, above * self.upscale :][:, :, :rows])
        return torch.cat(strips, dim=-2)


def even_background(sharp: torch.Tensor, upscale: int, empty: float = 0.01, sure: float = 0.025) -> torch.Tensor:
    """Average over one widefield pixel where there is nothing but background, and leave everything else as it is.

    The fine pixels under a widefield pixel come from different weights of one layer, which leaves a faint grid of that
    period. An average over exactly one period takes it out; below a fortieth of what counts as bright, nothing finer
    than a widefield pixel can be told from the background anyway.

    Parameters
    ----------
    sharp
        (B, 1, Y, X) in network units: 1 is bright.
    upscale
        The period of the grid in pixels.
    empty, sure
        Mean intensities between which background becomes structure.
    """
    if upscale == 1:
        return sharp
    even = F.pad(sharp, [upscale - 1] * 4, mode="replicate")
    # Twice along each axis, which is centred for even periods too; pooling of a single channel is many times slower.
    for axis in (-2, -2, -1, -1):
        even = even.unfold(axis, upscale, 1).mean(-1)
    structure = ((even - empty) / (sure - empty)).clamp(0, 1)
    return structure * sharp + (1 - structure) * even
