"""The layers of an image that is being enhanced: tiles and samples appear as they are computed. Without Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...images.provenance import ENHANCED, SAMPLES, layer_metadata
from .contrast import shown_range
from .enhanced_layers import enhanced_place, live_widefield_source, original_name, with_axes_of
from .layer_axes import layer_axes
from .sample_axis import sample_place, stacked
from .view import look_at_plane, plane_seen

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
    """Makes the arrays of results in the thread of a run, and keeps those that are shown meanwhile, by image index."""

    enhanced: dict[int, Pixels] = field(default_factory=dict)
    samples: dict[int, Pixels] = field(default_factory=dict)  # (samples · planes, Y, X)
    pixel_sizes: dict[int, float | None] = field(default_factory=dict)  # nm

    def __call__(self, index: int, plan: ResultPlan) -> Pixels:
        """Return zeros for a result of image `index`."""
        pixels: Pixels = np.zeros(plan.shape, np.float32)
        if plan.kind == "enhanced":
            self.pixel_sizes[index] = plan.pixel_size
            self.enhanced[index] = pixels
        elif plan.kind == "samples":
            self.samples[index] = pixels
        return pixels

    def forget(self, index: int) -> None:
        """Release the arrays of an image."""
        self.enhanced.pop(index, None)
        self.samples.pop(index, None)


class _Unfinished:
    """An unfinished result of one widefield layer, exactly over it."""

    def __init__(self, viewer: Viewer, source: ImageLayer, window: Window | None, pixel_size: float | None) -> None:
        self._viewer, self._source, self._window, self._pixel_size = viewer, source, window, pixel_size
        self.layer: ImageLayer | None = None

    @property
    def deleted(self) -> bool:
        """Whether the user deleted the layer."""
        return self.layer is not None and self.layer not in self._viewer.layers

    def take(self) -> ImageLayer | None:
        """Return the layer for the finished result, which then belongs to the caller; None if there is none."""
        layer, self.layer = (None if self.deleted else self.layer), None
        return layer

    def remove(self) -> None:
        """Remove the unfinished layer."""
        layer = self.take()
        if layer is not None:
            self._viewer.layers.remove(layer)

    def _factor(self, rows: int) -> int:
        """Return the number of rows of the result for each row that is enhanced."""
        if self._window is not None:
            return rows // int(self._window[0].stop - self._window[0].start)
        return rows // int(live_widefield_source(self._source).size[0])


class FillingLayer(_Unfinished):
    """The enhanced image of one widefield layer, whose tiles are computed.

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
        super().__init__(viewer, source, window, pixel_size)
        self._pixels = pixels
        self._samples: list[npt.NDArray[np.float32]] = []
        self._limits: tuple[float, float] | None = None

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

    def refresh(self) -> None:
        """Show what another thread has changed in the pixels since."""
        if self.layer is not None and not self.deleted:
            self.layer.refresh()

    def _add(self, limits: tuple[float, float]) -> None:
        self._limits = limits
        place = enhanced_place(self._source, self._factor(self._pixels.shape[-2]), self._window, self._pixel_size)
        self.layer = self._viewer.add_image(
            with_axes_of(self._source, self._pixels),
            name=f"enhancing: {original_name(self._source)}",
            colormap=self._source.colormap,
            contrast_limits=limits,
            metadata=layer_metadata({"kind": ENHANCED}, unfinished=True),
            **place,
        )


class SamplesLayer(_Unfinished):
    """The stack of posterior samples of one widefield layer, which grows by each sample.

    Parameters
    ----------
    viewer, source, window, pixel_size
        As of `FillingLayer`.
    pixels
        The samples, (samples · planes, Y, X), which another thread fills.
    planes
        Number of planes of a sample.
    """

    def __init__(
        self,
        viewer: Viewer,
        source: ImageLayer,
        window: Window | None,
        pixels: Pixels,
        planes: int,
        pixel_size: float | None = None,
    ) -> None:
        super().__init__(viewer, source, window, pixel_size)
        self._pixels, self._planes, self._count = pixels, planes, 0

    def show(self, count: int) -> None:
        """Show the first `count` samples; the slider follows the newest one, unless the user has moved it."""
        if self.layer is None:
            self._add(count)
        elif self.deleted:
            return
        elif count <= self._count:  # another plane of samples that are shown already
            self.layer.refresh()
            return
        else:
            axis = -self.layer.ndim
            following = plane_seen(self._viewer, self.layer, axis) == self._count - 1
            self.layer.data = self._stack(count, self.layer.ndim)
            if following:
                look_at_plane(self._viewer, self.layer, count - 1, axis)
        self._count = count

    def _stack(self, count: int, ndim: int) -> npt.NDArray[np.float32]:
        shown: npt.NDArray[np.float32] = stacked(
            layer_axes(self._source), self._pixels[: count * self._planes], self._planes, ndim
        )
        return shown

    def _add(self, count: int) -> None:
        result = enhanced_place(self._source, self._factor(self._pixels.shape[-2]), self._window, self._pixel_size)
        place = sample_place(self._viewer, result)
        self.layer = self._viewer.add_image(
            self._stack(count, len(place["scale"])),
            name=f"drawing samples: {original_name(self._source)}",
            colormap=self._source.colormap,
            contrast_limits=shown_range(self._pixels[0]),
            metadata=layer_metadata({"kind": SAMPLES}, unfinished=True),
            **place,
        )
        look_at_plane(self._viewer, self.layer, count - 1, -self.layer.ndim)
