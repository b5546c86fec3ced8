"""Local levels of widefield images: the background and the brightness of the structure around each pixel.

The enhancer's network receives (I - dark) / unit, and its output is multiplied by unit again. Both maps depend on the
pixels within `LocalLevels.reach` alone, so that cropping, padding and tiling change nothing farther away.

* `dark` is the lower envelope of the smoothed image: a morphological opening, as a rolling ball finds it. Neither
  structure nor dirt raises it, and the share of empty field does not matter.
* `unit` is the intensity-weighted mean of what exceeds the background and its noise. Empty field has no weight in it.
  It is at least a multiple of the noise, so that noise alone is not stretched to the contrast of structure.

Both are computed on a grid of `BLOCK` × `BLOCK` pixels. All of it is torch, because the exported network contains it.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .facts import AROUND, OPENING

BLOCK = 4  # pixels along a side; windows must start at multiples of it
_SMOOTH, _ENVELOPE = 1.0, 2.0  # blocks: the Gaussians that smooth the image and its envelope
_REACHES = 3, 5  # blocks to which they reach
_FINE = 1.0, 3  # pixels: the Gaussian that the structure is measured after, and its reach
_WINDOW = 7, 2  # blocks of the window of the typical peak, and their distance
NOISE_FLOOR = 5.0  # unit is at least this number of standard deviations of the noise
_ABOVE_NOISE = 0.85  # standard deviations of the noise of a pixel: 3 of the smoothed image
_CLIPPED = 2.0  # times the typical peak: brighter pixels do not raise the unit any more
_OUTLIER = 6.0  # standard deviations
LINEAR, CEILING = 3.0, 5.0  # the network's input is linear up to the first, and below the second
_TINY, _NEAR = 1e-20, 0.05  # _NEAR: a share of measured pixels


class LocalLevels(nn.Module):
    """Local levels of planes (B, 1, Y, X), whose sides are multiples of `BLOCK`; it has no weights.

    `opening` and `around` are in blocks. `reach` is the number of pixels that the levels of a pixel depend on.

    The planes should be shifted and scaled to numbers of the order of 1, so that squares are exact in float32.
    """

    smooth: torch.Tensor
    envelope: torch.Tensor
    around: torch.Tensor
    fine: torch.Tensor

    def __init__(self, opening: int = OPENING, around: float = AROUND) -> None:
        super().__init__()
        self.block, self.opening = BLOCK, 2 * opening + 1
        mean_reach = math.ceil(2 * around) + 2
        # Blocks that the unit of a pixel depends on: through the envelope, the typical peak, the mean around and its
        # smoothing, with an interpolation after each and the block of the pixel.
        self.reach = BLOCK * (2 * _REACHES[0] + 2 * opening + _REACHES[1] + _WINDOW[0] + 1 + mean_reach + 4)
        self.floor, self.above_noise, self.clipped, self.outlier = NOISE_FLOOR, _ABOVE_NOISE, _CLIPPED, _OUTLIER
        self.linear, self.ceiling, self.tiny, self.near = LINEAR, CEILING, _TINY, _NEAR
        self.window, self.step = _WINDOW
        for name, sigma, reach in (
            ("smooth", _SMOOTH, _REACHES[0]),
            ("envelope", _ENVELOPE, _REACHES[1]),
            ("around", around, mean_reach),
            ("fine", *_FINE),
        ):
            offset = torch.arange(-reach, reach + 1, dtype=torch.float32)
            kernel = torch.exp(-0.5 * (offset / sigma) ** 2)
            self.register_buffer(name, kernel / kernel.sum(), persistent=False)

    def forward(self, pixels: torch.Tensor, measured: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the pixels above the background in units, the unit of each pixel, and the noise in blocks.

        Parameters
        ----------
        pixels
            (B, 1, Y, X) intensities.
        measured
            The same shape: 1 for pixels with a measurement, 0 for others, which are filled with background.

        Returns
        -------
        (B, 1, Y, X), 0 in the background and about 1 in structure: `compressed` makes the network's input of it. Then
        the unit (B, 1, Y, X) in intensities, positive unless the plane is constant, and the standard deviation of the
        noise (B, 1, Y / BLOCK, X / BLOCK).
        """
        whole = self.with_neighbours(measured)
        pixels = self.without_outliers(pixels, measured, whole)
        dark = self.spread(self.lower_envelope(pixels, measured))
        noise = self.noise(pixels, whole)
        softened, weight = self.softened(pixels, measured)
        softened = torch.where(weight > self.near, softened, dark)
        unit = self.spread(self.unit((softened - dark) * measured, noise))
        # Near measured pixels, the others continue them, and farther away they are background.
        fill = dark + (2 * weight).clamp(max=1.0) * (softened - dark)
        above = torch.where(measured > 0, pixels, fill) - dark
        return above / unit.clamp(min=self.tiny), unit, noise

    def softened(self, pixels: torch.Tensor, measured: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the smoothed image, and the share of measured pixels that each of its pixels is computed from."""
        weight = self.smoothed(measured, self.fine)
        return self.smoothed(pixels * measured, self.fine) / weight.clamp(min=self.near), weight

    def unit(self, above: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return the unit in blocks; `above` is the smoothed image above the background (B, 1, Y, X)."""
        above = (above - self.above_noise * self.spread(noise)).clamp(min=0.0)
        above = torch.minimum(above, self.clipped * self.spread(self.typical_peak(above)))
        structure = self.mean_around(above.square()) / self.mean_around(above).clamp(min=self.tiny)
        structure = self.smoothed(structure, self.smooth) / self.smoothed(torch.ones_like(structure), self.smooth)
        return (structure.square() + (self.floor * noise).square()).sqrt()

    def typical_peak(self, above: torch.Tensor) -> torch.Tensor:
        """Return the 70th percentile of the peaks around each block; dirt is no typical one, and empty blocks none."""
        peaks = F.max_pool2d(F.pad(F.max_pool2d(above, self.block), [0, 1, 0, 1]), 2, 1)
        height, width, side, step = peaks.shape[2], peaks.shape[3], self.window, self.step
        margin = step * (side // 2)
        neighbours = F.unfold(peaks, (side, side), dilation=(step, step), padding=(margin, margin))
        ordered = neighbours.view(peaks.shape[0], side * side, height, width).sort(1).values
        empty = (ordered == 0).sum(1, keepdim=True)
        rank = empty + (0.7 * (side * side - 1 - empty)).long()
        return ordered.gather(1, rank.clamp(max=side * side - 1))

    def lower_envelope(self, pixels: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
        """Return the background in blocks."""
        weight = self.in_blocks(measured)
        return self.opened(self.in_blocks(pixels * measured) / weight.clamp(min=self.tiny), weight)

    def noise(self, pixels: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of the background's noise in blocks (Immerkær, CVIU 64, 300 (1996))."""
        second = F.pad(pixels, [1, 1, 1, 1])
        second = second[:, :, 2:] - 2 * second[:, :, 1:-1] + second[:, :, :-2]
        second = second[..., 2:] - 2 * second[..., 1:-1] + second[..., :-2]
        weight = self.in_blocks(whole)
        mean = self.in_blocks(second.abs() * whole) / weight.clamp(min=self.tiny)
        return self.opened(mean * (math.sqrt(math.pi / 2) / 6), weight)

    def with_neighbours(self, measured: torch.Tensor) -> torch.Tensor:
        """Return 1 for pixels that are measured with their 8 neighbours, 0 for others and those at the border."""
        inner = measured[:, :, 1:-1, 1:-1]
        if bool((measured == 0).any()):  # otherwise the slow maximum is not needed
            inner = 1 - F.max_pool2d(1 - measured, 3, 1)
        return F.pad(inner, [1, 1, 1, 1])

    def opened(self, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the lower envelope of values in blocks: smoothed, opened and smoothed again; weight 0 is unknown."""
        near = self.smoothed(weight, self.smooth)
        values = self.smoothed(values * weight, self.smooth) / near.clamp(min=self.tiny)
        far = 1e30
        values = torch.where(near > 0.1, values, torch.full_like(values, far))
        half = self.opening // 2
        values = -F.max_pool2d(-values, self.opening, 1, half)
        values = F.max_pool2d(torch.where(values < far, values, torch.full_like(values, -far)), self.opening, 1, half)
        is_known = (values > -far).to(values.dtype)
        values = torch.where(values > -far, values, torch.zeros_like(values))
        mean = values.sum((2, 3), keepdim=True) / is_known.sum((2, 3), keepdim=True).clamp(min=1.0)
        near = self.smoothed(is_known, self.envelope)
        return torch.where(near > 0, self.smoothed(values, self.envelope) / near.clamp(min=self.tiny), mean)

    def without_outliers(self, pixels: torch.Tensor, measured: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """Replace isolated hot and dead pixels by the median of their neighbours.

        A point source has bright neighbours. An outlier differs from its neighbours by six standard deviations of the
        noise, and by four times the range of the middle ones of them.
        """
        noise = self.spread(self.noise(pixels, whole))
        padded = F.pad(pixels, [1, 1, 1, 1], mode="replicate")
        # Sorting is slow: few pixels differ from the mean of their neighbours.
        mean = (9 * F.avg_pool2d(padded, 3, 1) - pixels) / 8
        differ = ((pixels - mean).abs() > self.outlier / 2 * noise) & (measured > 0)
        plane, row, column = differ[:, 0].nonzero().unbind(1)
        if len(plane) == 0:
            return pixels
        step = torch.arange(9, device=pixels.device)
        step = torch.cat([step[:4], step[5:]])[:, None]
        neighbours = padded[plane, 0, row + step // 3, column + step % 3].sort(0).values
        low, high, value = neighbours[2], neighbours[5], pixels[plane, 0, row, column]
        limit = self.outlier * noise[plane, 0, row, column] + 4 * (high - low)
        isolated = (value - high > limit) | (low - value > limit)
        cleaned = pixels.clone()
        cleaned[plane, 0, row, column] = torch.where(isolated, (neighbours[3] + neighbours[4]) / 2, value)
        return cleaned

    def compressed(self, values: torch.Tensor) -> torch.Tensor:
        """Limit the values to `CEILING`, so that dirt does not blank its surroundings."""
        rest = self.ceiling - self.linear
        return torch.minimum(values, self.linear + rest * torch.tanh((values - self.linear).clamp(min=0.0) / rest))

    def mean_around(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mean of (B, 1, Y, X) around each block."""
        return self.smoothed(self.in_blocks(values), self.around)

    def in_blocks(self, values: torch.Tensor) -> torch.Tensor:
        """Average (B, 1, Y, X) in blocks."""
        return F.avg_pool2d(values, self.block)

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """Interpolate values in blocks at each pixel."""
        return F.interpolate(values, scale_factor=float(self.block), mode="bilinear", align_corners=False)

    def smoothed(self, values: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """Convolve (B, 1, Y, X) with a kernel along both axes; pixels beyond the border are 0."""
        half = kernel.shape[0] // 2
        rows = F.conv2d(values, kernel[None, None, :, None], padding=[half, 0])
        return F.conv2d(rows, kernel[None, None, None, :], padding=[0, half])
