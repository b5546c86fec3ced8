"""Who is told that layers come, go, move, are renamed, or get another size, pixel size or other facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from .layers import image_layers, take_file_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer
    from qtpy.QtWidgets import QWidget


def watch_layers(viewer: ViewerModel, widget: QWidget, changed: Callable[[], None]) -> None:
    """Call `changed` now and whenever layers or what lists tell of them change, for as long as `widget` lives."""
    watch = _Watch(viewer, changed)
    # Qt refers to a method weakly (see `Job`); the events hold the watch for as long as there are any.
    widget.destroyed.connect(watch.leave)
    watch.on_change()


class _Watch:
    """What is connected to the events of a viewer's layers, and how it is taken off."""

    def __init__(self, viewer: ViewerModel, changed: Callable[[], None]) -> None:
        self._viewer, self._changed = viewer, changed
        events = viewer.layers.events
        self._of_list = (events.inserted, events.removed, events.reordered, events.renamed)
        # napari holds functions, and methods only weakly.
        self.on_change: Callable[..., None] = lambda event=None: self._on_change()
        self._on_data: Callable[[Any], None] = lambda event: self._on_new_data(event.source)
        self._shapes: WeakKeyDictionary[ImageLayer, tuple[int, ...]] = WeakKeyDictionary()
        self._on_removed: Callable[[Any], None] = lambda event: self._leave_layers([event.value])
        for emitter in self._of_list:
            emitter.connect(self.on_change)
        events.removed.connect(self._on_removed)

    def leave(self) -> None:
        """Watch no more."""
        for emitter in self._of_list:
            emitter.disconnect(self.on_change)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._leave_layers(image_layers(self._viewer))

    def _on_change(self) -> None:
        # napari connects a function to an event once, however often it is asked to.
        layers = image_layers(self._viewer)
        for emitter in _of_layers(layers):
            emitter.connect(self.on_change)
        for layer in layers:
            self._shapes[layer] = _shape(layer)
            layer.events.data.connect(self._on_data)
        self._changed()

    def _on_new_data(self, layer: ImageLayer) -> None:
        # Images that stream in, or are denoised before one's eyes, change many times a second.
        if self._shapes.get(layer) != _shape(layer):
            self._on_change()

    def _leave_layers(self, layers: list[ImageLayer]) -> None:
        for emitter in _of_layers(layers):
            emitter.disconnect(self.on_change)
        for layer in layers:
            layer.events.data.disconnect(self._on_data)


def keep_file_facts(viewer: ViewerModel, widget: QWidget) -> None:
    """Read the facts in the files of layers, now and whenever layers come, for as long as `widget` lives."""
    seen: WeakSet[ImageLayer] = WeakSet()  # each file is read once

    def take() -> None:
        for layer in image_layers(viewer):
            if layer not in seen:
                seen.add(layer)
                take_file_facts(layer)

    watch_layers(viewer, widget, take)


def _shape(layer: ImageLayer) -> tuple[int, ...]:
    return tuple((layer.data[0] if layer.multiscale else layer.data).shape)


def _of_layers(layers: list[ImageLayer]) -> list[Any]:
    """Return the events that tell of a layer's pixel size, and of what it says of itself."""
    return [
        getattr(layer.events, name)
        for layer in layers
        for name in ("metadata", "scale", "rotate", "shear", "affine", "units")
        if name in layer.events
    ]
