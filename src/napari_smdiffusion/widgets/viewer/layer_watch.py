"""Calls functions when layers are added, removed, moved, renamed or resized, or get another pixel size or metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from .layers import add_file_facts, image_layers
from .own_files import own_file_of, restore_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer
    from qtpy.QtWidgets import QWidget


def watch_layers(viewer: ViewerModel, widget: QWidget, changed: Callable[[], None]) -> None:
    """Call `changed` now and whenever the layers or their listed properties change, until `widget` is destroyed."""
    watch = _Watch(viewer, changed)
    # Qt holds the method weakly (see `BackgroundRun`); the events of the layers hold the watch.
    widget.destroyed.connect(watch.disconnect)
    watch.on_change()


class _Watch:
    """The connections to the events of a viewer's layers."""

    def __init__(self, viewer: ViewerModel, changed: Callable[[], None]) -> None:
        self._viewer, self._changed = viewer, changed
        events = viewer.layers.events
        self._list_events = (events.inserted, events.removed, events.reordered, events.renamed)
        # napari holds methods weakly, and functions strongly.
        self.on_change: Callable[..., None] = lambda event=None: self._on_change()
        self._on_data: Callable[[Any], None] = lambda event: self._on_new_data(event.source)
        self._shapes: WeakKeyDictionary[ImageLayer, tuple[int, ...]] = WeakKeyDictionary()
        self._on_removed: Callable[[Any], None] = lambda event: self._forget(event.value)
        for emitter in self._list_events:
            emitter.connect(self.on_change)
        events.removed.connect(self._on_removed)

    def disconnect(self) -> None:
        """Disconnect from all events."""
        for emitter in self._list_events:
            emitter.disconnect(self.on_change)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._disconnect_layers(image_layers(self._viewer))

    def _on_change(self) -> None:
        layers = image_layers(self._viewer)
        new = [layer for layer in layers if layer not in self._shapes]  # a connection takes long among many layers
        for emitter in _layer_events(new):
            emitter.connect(self.on_change)
        for layer in new:
            layer.events.data.connect(self._on_data)
        for layer in layers:
            self._shapes[layer] = _shape(layer)
        self._changed()

    def _forget(self, layer: ImageLayer) -> None:
        self._disconnect_layers([layer])
        self._shapes.pop(layer, None)

    def _on_new_data(self, layer: ImageLayer) -> None:
        # Images that are being generated change their pixels many times a second.
        if self._shapes.get(layer) != _shape(layer):
            self._on_change()

    def _disconnect_layers(self, layers: list[ImageLayer]) -> None:
        for emitter in _layer_events(layers):
            emitter.disconnect(self.on_change)
        for layer in layers:
            layer.events.data.disconnect(self._on_data)


def watch_file_facts(viewer: ViewerModel, widget: QWidget) -> None:
    """Read the metadata in the files of layers, now and for new layers, until `widget` is destroyed."""
    known: WeakSet[ImageLayer] = WeakSet()  # each file is read once

    def read_new_files() -> None:
        new = [layer for layer in image_layers(viewer) if layer not in known]
        known.update(new)
        own = [(layer, own_file_of(layer)) for layer in new]
        # The place of an image of our own depends on the facts of the others.
        for layer, metadata in sorted(own, key=lambda entry: entry[1] is not None):
            if metadata is None:
                add_file_facts(layer)
            else:
                restore_place(viewer, layer, metadata)

    watch_layers(viewer, widget, read_new_files)


def _shape(layer: ImageLayer) -> tuple[int, ...]:
    return tuple((layer.data[0] if layer.multiscale else layer.data).shape)


def _layer_events(layers: list[ImageLayer]) -> list[Any]:
    """Return the events of changes of the layers' pixel sizes and metadata."""
    return [
        getattr(layer.events, name)
        for layer in layers
        for name in ("metadata", "scale", "rotate", "shear", "affine", "units")
        if name in layer.events
    ]
