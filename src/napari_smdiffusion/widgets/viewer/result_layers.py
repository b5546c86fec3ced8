"""The layers of the results of one run, from the first tile to the finished result. Without Qt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...base.events import PartBegun, PartDone, SampleDone, TileDone
from .enhanced_layers import original_name, show_enhanced
from .filling import FillingLayer, ResultArrays, SamplesLayer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...base.events import Event
    from ...images.regions import Window
    from ...recipes.enhance_results import EnhancedImage
    from .layer_source import LayerSource


class ResultLayers:
    """Shows the results of a run, whose events it is given: tiles and samples as they come, and finished images.

    Parameters
    ----------
    viewer
        The viewer.
    sources
        The layers of the run.
    """

    def __init__(self, viewer: Viewer, sources: Sequence[LayerSource]) -> None:
        self._viewer = viewer
        # The layers themselves: their list may change during the run.
        self.layers: list[ImageLayer] = [viewer.layers[source.layer] for source in sources]
        self.windows: list[Window | None] = [source.window for source in sources]
        self.names = [original_name(layer) for layer in self.layers]
        self.arrays = ResultArrays()
        self._estimate: FillingLayer | None = None
        self._samples: SamplesLayer | None = None
        self._current = 0  # index of the layer that is enhanced

    @property
    def deleted(self) -> bool:
        """Whether the user deleted a layer that is being filled."""
        return any(part is not None and part.deleted for part in (self._estimate, self._samples))

    def follow(self, events: Sequence[Event]) -> Iterator[PartDone]:
        """Show new tiles and samples, and yield each finished image, for which `finish` is to be called."""
        tiles: list[TileDone] = []
        drawn: list[SampleDone] = []
        for event in events:
            if isinstance(event, TileDone):
                tiles.append(event)
            elif isinstance(event, SampleDone):
                drawn.append(event)
            elif isinstance(event, (PartBegun, PartDone)):
                if isinstance(event, PartBegun):
                    self.begin(event.index)
                else:
                    yield event
                tiles, drawn = [], []
        if tiles:
            self._show_tiles(tiles)
        if drawn:
            self._show_samples(max(event.sample for event in drawn) + 1)

    def begin(self, index: int) -> None:
        """Begin with a layer; remove the unfinished results of the one before, which failed or was stopped."""
        self._current = index
        for unfinished in (self._estimate, self._samples):
            if unfinished is not None:
                unfinished.remove()
        self._estimate = self._samples = None

    def finish(self, enhanced: EnhancedImage, *, in_place: bool) -> list[ImageLayer]:
        """Show a finished result, and return its layers; see `show_enhanced`."""
        index, result = enhanced.index, enhanced.enhancement
        estimate = None if self._estimate is None else self._estimate.take()
        if self._samples is not None and self._samples.deleted:  # the user does not want them
            result = replace(result, samples=None)
        samples = None if self._samples is None else self._samples.take()
        self._estimate = self._samples = None
        self.arrays.forget(index)
        if in_place and estimate is not None:
            self._viewer.layers.remove(estimate)
            estimate = None
        return show_enhanced(
            self._viewer,
            self.layers[index],
            result,
            enhanced.upscale,
            in_place=in_place,
            window=self.windows[index],
            filling=estimate,
            filling_samples=samples,
        )

    def _show_tiles(self, tiles: Sequence[TileDone]) -> None:
        pixels = self.arrays.enhanced.get(self._current)
        if pixels is None:
            return
        if self._estimate is None:
            layer, window = self.layers[self._current], self.windows[self._current]
            size = self.arrays.pixel_sizes[self._current]
            self._estimate = FillingLayer(self._viewer, layer, window, pixels, size)
        self._estimate.show(tiles)

    def _show_samples(self, count: int) -> None:
        """Show `count` samples of the layer that is being enhanced, and the best estimate that they make."""
        pixels, best = self.arrays.samples.get(self._current), self.arrays.enhanced.get(self._current)
        if pixels is None or best is None:
            return
        if self._estimate is not None:
            self._estimate.refresh()
        if self._samples is None:
            layer, window = self.layers[self._current], self.windows[self._current]
            size = self.arrays.pixel_sizes[self._current]
            self._samples = SamplesLayer(self._viewer, layer, window, pixels, len(best), size)
        self._samples.show(count)
