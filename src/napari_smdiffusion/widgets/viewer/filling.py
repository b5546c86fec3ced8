"""The layer of an image that is being enhanced: its tiles appear as they are computed. Without Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...images.provenance import ENHANCED, layer_metadata
from .contrast import shown_range
from .enhanced_layers import enhanced_place, live_widefield_source, original_name, with_axes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...base.arrays import Pixels
    from ...base.events import TileDone
    from ...enhance.applying import ResultPlan
    from ...images.regions import Window

_SAMPLE = 20_000  # pixels of a tile, for the contrast


@dataclass(frozen=True)
class ResultArrays:
    """Makes the arrays of results in the thread of a run, and keeps those of enhanced images by the image's index."""

    enhanced: dict[int, Pixels] = field(default_factory=dict)
    pixel_sizes: dict[int, float | None] = field(default_factory=dict)  # nm

    def __call__(self, index: int, plan: ResultPlan) -> Pixels:
        """Return zeros for a result of image `index`."""
        pixels: Pixels = np.zeros(plan.shape, np.float32)
        if plan.kind == "enhanced":
            self.pixel_sizes[index] = plan.pixel_size
            self.enhanced[index] = pixels
        return pixels


class FillingLayer:
    """The unfinished result of one widefield layer, exactly over it.

    Parameters
    ----------
    viewer
        The viewer.
    source
        The widefield layer.
    window
        The part of it that is enhanced, or None.
    pixels
        The result, (N, Y, X), which another thread fills.
    pixel_size
        Of the result in nm; None if unknown.
    """

    def __init__(
        self,
        viewer: Viewer,
        source: ImageLayer,
        window: Window | None,
        pixels: Pixels,
        pixel_size: float | None = None,
    ) -> None:
        self._viewer, self._source, self._window, self._pixels = viewer, source, window, pixels
        self._pixel_size = pixel_size
        self._samples: list[npt.NDArray[np.float32]] = []
        self._limits: tuple[float, float] | None = None
        self.layer: ImageLayer | None = None

    @property
    def deleted(self) -> bool:
        """Whether the user deleted the layer."""
        return self.layer is not None and self.layer not in self._viewer.layers

    def show(self, tiles: Sequence[TileDone]) -> None:
        """Show new tiles."""
        for tile in tiles:
            done = self._pixels[tile.plane, tile.rows, tile.columns].ravel()
            self._samples.append(np.asarray(done[:: max(1, done.size // _SAMPLE)]))
        limits = shown_range(np.concatenate(self._samples))
        if self.layer is None:
            self._add(limits)
        elif not self.deleted:
            # The limits follow the new tiles, unless the user has set others.
            if self._limits is not None and np.allclose(self.layer.contrast_limits, self._limits):
                self.layer.contrast_limits = limits
                self._limits = limits
            self.layer.refresh()

    def take(self) -> ImageLayer | None:
        """Return the layer for the finished result, which then belongs to the caller; None if there is none."""
        layer, self.layer = (None if self.deleted else self.layer), None
        return layer

    def remove(self) -> None:
        """Remove the unfinished layer."""
        layer = self.take()
        if layer is not None:
            self._viewer.layers.remove(layer)

    def _add(self, limits: tuple[float, float]) -> None:
        self._limits = limits
        rows = self._source_rows()
        self.layer = self._viewer.add_image(
            with_axes_of(self._source, self._pixels),
            name=f"enhancing: {original_name(self._source)}",
            colormap=self._source.colormap,
            contrast_limits=limits,
            metadata=layer_metadata({"kind": ENHANCED}, unfinished=True),
            **enhanced_place(self._source, self._pixels.shape[-2] // rows, self._window, self._pixel_size),
        )

    def _source_rows(self) -> int:
        """Return the number of rows that are enhanced."""
        if self._window is not None:
            return int(self._window[0].stop - self._window[0].start)
        return live_widefield_source(self._source).size[0]
