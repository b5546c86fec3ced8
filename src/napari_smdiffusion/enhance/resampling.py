"""Resampling of widefield images to the pixels of an enhancer, and of its results back to the field of the image.

The network computes on its own grid, whose pixels have the size of the training. The result has `upscale` pixels per
pixel of the image along each axis, so that it is exactly over the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from ..base.scratch import scratch
from ..images.image import read_only, with_own_pixels

if TYPE_CHECKING:
    from ..base.arrays import Pixels, Values
    from ..images.image import Image
    from ..images.tiles import Tile
    from .pixel_fit import PixelFit

_ROWS = 256  # rows that are resampled at once


@dataclass(frozen=True)
class Grid:
    """The pixels of a widefield image, those of the network's input, and those of the result.

    All three begin at the same corner.

    Parameters
    ----------
    size
        (Y, X) of a plane of the widefield image, in pixels.
    factor
        Pixels of the result per pixel of the image, and pixels of the network's output per pixel of its input.
    ratios
        (Y, X) side of a pixel of the image in pixels of the network's input; 1 on both axes without resampling.
    """

    size: tuple[int, int]
    factor: int
    ratios: tuple[float, float] = (1.0, 1.0)

    @property
    def is_resampled(self) -> bool:
        """Whether the pixels of the image are not those of the network."""
        return self.ratios != (1.0, 1.0)

    @property
    def margin(self) -> int:
        """Pixels of the network's input that the resampling of a result needs around it."""
        return ceil(max(2.0, *(2 * ratio for ratio in self.ratios)) / self.factor) + 1 if self.is_resampled else 0

    @cached_property
    def network_size(self) -> tuple[int, int]:
        """(Y, X) of the network's input: its last pixels hold the centres of the last pixels of the result."""
        if not self.is_resampled:
            return self.size
        rows, columns = (
            floor((length * self.factor - 0.5) * ratio / self.factor) + 1
            for length, ratio in zip(self.size, self.ratios, strict=True)
        )
        return rows, columns

    def network_image(self, image: Image) -> Image:
        """Return the image on the pixels of the network; large ones are kept in a temporary file."""
        if not self.is_resampled:
            return image
        pixels = scratch((len(image), *self.network_size))
        vertical, horizontal = (
            kernel(length, (np.arange(wanted, dtype=np.float64) + 0.5) / ratio, 1 / ratio)
            for length, wanted, ratio in zip(self.size, self.network_size, self.ratios, strict=True)
        )
        for plane, resampled in zip(image.pixels, pixels, strict=True):
            for first in range(0, len(resampled), _ROWS):
                part = vertical[first : first + _ROWS]
                used = slice(int(part.indices.min()), int(part.indices.max()) + 1)
                resampled[first : first + _ROWS] = (part[:, used] @ plane[used]) @ horizontal.T
        pixel_size = image.pixel_size / self.ratios[1] if image.pixel_size else None
        return with_own_pixels(image, read_only(pixels), pixel_size=pixel_size)

    def place(self, tile: Tile) -> tuple[slice, slice]:
        """Return the (rows, columns) of the result whose centres lie in the core of a tile of the network's input."""
        if not self.is_resampled:
            return tile.core_in_plane(self.factor)
        rows, columns = (
            slice(
                _first_centre(core.start, ratio / self.factor), min(_first_centre(core.stop, ratio / self.factor), end)
            )
            for core, ratio, end in zip(
                tile.core, self.ratios, np.multiply(self.size, self.factor).tolist(), strict=True
            )
        )
        return rows, columns

    def result(self, values: Pixels, tile: Tile) -> Pixels:
        """Return the part of the result at `place(tile)` from the network's output for the tile's window."""
        if not self.is_resampled:
            return values[tile.core_in_window(self.factor)]
        weights = []
        for axis, (part, ratio) in enumerate(zip(self.place(tile), self.ratios, strict=True)):
            centres = (np.arange(part.start, part.stop) + 0.5) * ratio - tile.window[axis].start * self.factor
            weights.append(kernel(values.shape[axis], centres, ratio, negative=False))
        vertical, horizontal = weights
        return np.asarray((vertical @ values) @ horizontal.T, np.float32)


def network_grid(image: Image, factor: int, fit: PixelFit) -> Grid:
    """Return the grids of an image, whose pixels stay unchanged unless `fit` states that they are resampled."""
    return Grid(image.size, factor, fit.ratios if fit.kind == "resampled" else (1.0, 1.0))


def squared(image: Image, fit: PixelFit) -> Image:
    """Return an image whose pixels are not square on square pixels of `fit.target` nm, from the same corner on.

    Its last pixels are the last ones whose centres lie in the image, or half a pixel behind at most. Its provenance
    states the new pixel size.

    Parameters
    ----------
    image
        The image; its `pixel_size` is not used.
    fit
        Its pixels; "resampled".
    """
    target = fit.target
    square = Grid(image.size, 1, fit.ratios).network_image(image)
    return with_own_pixels(
        square, square.pixels, pixel_size=target, provenance=replace(image.provenance, resampled_to_nm=target)
    )


def kernel(length: int, centres: Values, step: float, *, negative: bool = True) -> csr_array:
    """Return the weights of `length` source pixels for target pixels, mirrored at the ends; each row has the sum 1.

    A row depends on its centre alone, so that every tile of an image gets the same values.

    Parameters
    ----------
    length
        Number of source pixels; pixel k reaches from k to k + 1.
    centres
        Centres of the target pixels, in source pixels.
    step
        Distance of the target pixels, in source pixels. Above 1 the kernel is widened, against aliasing.
    negative
        Cubic convolution (Keys 1981, a = -1/2), which has negative lobes; otherwise linear, which never undershoots.
    """
    scale = max(1.0, step)
    reach = (2 if negative else 1) * scale
    first = np.ceil(centres - reach - 0.5).astype(int)
    taps = first[:, None] + np.arange(ceil(2 * reach) + 1)
    offset = taps + 0.5 - centres[:, None]
    distance = np.abs(offset) / scale
    values = _cubic(distance) if negative else np.clip(1 - distance, 0, None)
    values /= values.sum(axis=1, keepdims=True)
    # A widened linear kernel is up to 0.07 pixels off its centre, which depends on its position on the source pixels.
    mean = (values * offset).sum(axis=1, keepdims=True)
    variance = (values * (offset - mean) ** 2).sum(axis=1, keepdims=True)
    values *= 1 - mean * (offset - mean) / np.maximum(variance, scale / 8)
    mirrored = taps % (2 * length)
    columns = np.where(mirrored < length, mirrored, 2 * length - 1 - mirrored)
    rows = np.broadcast_to(np.arange(len(centres))[:, None], taps.shape)
    return csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=(len(centres), length))


def _cubic(distance: Values) -> Values:
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def _first_centre(edge: int, step: float) -> int:
    """Return the index of the first pixel whose centre is at `edge` or beyond, for pixels of `step`."""
    return ceil(edge / step - 0.5)
