"""The pixels and facts of a layer for a worker thread. Without Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...base.errors import Stopped
from ...base.events import Stop, never
from ...base.scratch import scratch
from ...images.image import AnisotropicPixelsError, Image, read_only
from ...images.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...base.arrays import Pixels
    from ...images.axes import Axis, Channel
    from ...images.regions import Window

_STRIP = 2**22  # pixels that are read together from a lazy array


@dataclass(frozen=True)
class LayerSource:
    """The pixels and facts of a layer for a worker thread, which must not access the layer itself.

    `copied` copies pixels in memory. Those of a dask, zarr or memory-mapped array are read in strips by `read`.
    """

    name: str
    pixels: Any
    pixel_size: float | None
    origin: tuple[float, float]
    provenance: Provenance = field(default_factory=Provenance)
    layer: str = ""  # name of the layer in the viewer
    before_enhancement: bool = False  # whether this is the original of a layer enhanced in place
    axes: tuple[Axis, ...] = ()  # axes of the planes, one for each slice of `index`
    index: tuple[int | slice, ...] = ()  # index of the planes on the axes before Y; () for all
    behind: int = 0  # number of axes of length 1 behind X
    channel: Channel = None  # the channel that the user chose, or "all"
    channel_axis: int | None = None
    window: Window | None = None  # the part of the layer, if this is not all of it
    sides: tuple[float, float] | None = None  # (y, x) of a pixel in nm, if it is not square; `pixel_size` is that of x

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a plane in pixels."""
        end = self.pixels.ndim - self.behind
        return self.pixels.shape[end - 2], self.pixels.shape[end - 1]

    def crop(self, y: slice, x: slice) -> LayerSource:
        """Return the pixel rows `y` and columns `x`, which have a start and a stop, as a source with its own origin."""
        height, width = self.sides or (self.pixel_size or 0.0,) * 2
        corner = (self.origin[0] + y.start * height, self.origin[1] + x.start * width)
        pixels = self.pixels[(..., y, x, *[slice(None)] * self.behind)]
        provenance = self.provenance.of_part((y.start, y.stop), (x.start, x.stop), self.size)
        return replace(self, pixels=pixels, origin=corner, provenance=provenance, window=(y, x))

    def copied(self) -> LayerSource:
        """Return the same source with a copy of its pixels, if they are in memory."""
        if not isinstance(self.pixels, np.ndarray) or isinstance(self.pixels, np.memmap):
            return self
        chosen = self.pixels[(*self.index, ..., *[0] * self.behind)]
        return replace(self, pixels=read_only(chosen.copy()), index=(), behind=0)

    def read(self, stop: Stop = never) -> Image:
        """Read the pixels.

        Raises
        ------
        AnisotropicPixelsError
            If the pixels are not square.
        Stopped
            If `stop` returns True between two planes.
        """
        lengths = self.pixels.shape[: self.pixels.ndim - self.behind - 2]
        index = self.index or (slice(None),) * len(lengths)
        lengths_read = [len(range(n)[part]) for n, part in zip(lengths, index, strict=True) if isinstance(part, slice)]
        planes = []
        for position in np.ndindex(*lengths_read):
            place = iter(position)
            planes.append(tuple(next(place) if isinstance(part, slice) else part for part in index))
        in_memory = isinstance(self.pixels, np.ndarray) and not isinstance(self.pixels, np.memmap)
        if in_memory or np.dtype(self.pixels.dtype).kind not in "biuf":
            read = [np.asarray(self.pixels[(*plane, ..., *[0] * self.behind)]) for plane in planes]
            pixels = read[0] if not lengths_read else read_only(np.stack(read))
        else:
            pixels = self._read_in_strips(planes, stop)
        image = Image(pixels, self.pixel_size, self.origin, self.name, self.provenance, self.axes)
        if self.sides is not None:
            raise AnisotropicPixelsError(self.name, self.sides, image)
        return image

    def _read_in_strips(self, planes: Sequence[tuple[int, ...]], stop: Stop) -> Pixels:
        """Read planes of a lazy array strip by strip, into memory or, if they are large, into a temporary file."""
        height, width = self.size
        pixels = scratch((len(planes), height, width))
        rows = _chunk_rows(self.pixels, self.behind) or height
        rows *= max(1, _STRIP // (rows * width))
        for n, plane in enumerate(planes):
            for top in range(0, height, rows):
                if stop():
                    raise Stopped(f"Stopped while {self.name} was read.")
                part = slice(top, min(top + rows, height))
                with np.errstate(over="ignore"):  # infinite pixels are refused later
                    pixels[n, part] = np.asarray(self.pixels[(*plane, part, slice(None), *[0] * self.behind)])
        return read_only(pixels)


def _chunk_rows(pixels: Any, behind: int) -> int:
    """Return how many rows of a dask or zarr array are read together; 0 if it is not stated."""
    chunks = getattr(pixels, "chunks", None)
    if not chunks or len(chunks) != pixels.ndim:
        return 0
    along = chunks[pixels.ndim - behind - 2]
    return int(max(along) if isinstance(along, tuple) else along)


def with_copied_layers(value: Any) -> Any:
    """Return a job, a source or a sequence of them with copies of the layers' pixels that are in memory."""
    if isinstance(value, LayerSource):
        return value.copied()
    if isinstance(value, (list, tuple)):
        return tuple(with_copied_layers(item) for item in value)
    if is_dataclass(value) and hasattr(value, "steps") and not isinstance(value, type):
        return replace(value, **{entry.name: with_copied_layers(getattr(value, entry.name)) for entry in fields(value)})
    return value
