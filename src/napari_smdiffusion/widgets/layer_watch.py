"""Who is told that layers come, go, move, are renamed, or get another pixel size or other facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .layers import image_layers, take_file_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer
    from qtpy.QtWidgets import QWidget


def watch_layers(viewer: ViewerModel, widget: QWidget, changed: Callable[[], None]) -> None:
    """Call `changed` now and whenever layers or what lists tell of them change, for as long as `widget` lives."""
    events = viewer.layers.events
    emitters = (events.inserted, events.removed, events.reordered, events.renamed)

    def on_change(event: Any = None) -> None:
        # napari connects a function to an event once, however often it is asked to.
        for emitter in _of_layers(image_layers(viewer)):
            emitter.connect(on_change)
        changed()

    def on_removed(event: Any) -> None:
        disconnect_layers([event.value])

    def disconnect_layers(layers: list[ImageLayer]) -> None:
        for emitter in _of_layers(layers):
            emitter.disconnect(on_change)

    def disconnect() -> None:
        for emitter in emitters:
            emitter.disconnect(on_change)
        events.removed.disconnect(on_removed)
        disconnect_layers(image_layers(viewer))

    for emitter in emitters:
        emitter.connect(on_change)
    events.removed.connect(on_removed)
    widget.destroyed.connect(disconnect)
    on_change()


def keep_file_facts(viewer: ViewerModel, widget: QWidget) -> None:
    """Take over what the files of layers say, now and whenever layers come, for as long as `widget` lives."""

    def take() -> None:
        for layer in image_layers(viewer):
            take_file_facts(layer)

    watch_layers(viewer, widget, take)


def _of_layers(layers: list[ImageLayer]) -> list[Any]:
    """Return the events that tell of a layer's pixel size, and of what it says of itself."""
    return [emitter for layer in layers for emitter in (layer.events.metadata, layer.events.scale)]
