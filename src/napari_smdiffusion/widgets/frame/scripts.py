"""Pieces of the code that "Copy as Python" copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Image as ImageLayer

VIEWER = (
    "import napari\nfrom napari_smdiffusion.widgets.layers import layer_image\n\nviewer = napari.current_viewer()\n"
)


def images_code(variable: str, layers: Sequence[ImageLayer]) -> str:
    """Return code that reads layers of the viewer into a list."""
    names = ", ".join(repr(layer.name) for layer in layers)
    return f"{VIEWER}{variable} = [layer_image(viewer.layers[name]) for name in ({names},)]\n"


def widefield_code(layers: Sequence[ImageLayer]) -> str:
    """Return code that reads widefield layers into a list: of one that was enhanced in place, its original."""
    names = ", ".join(repr(layer.name) for layer in layers)
    return (
        "from napari_smdiffusion.widgets.enhanced_layers import widefield_source\n"
        f"{VIEWER}widefield = [widefield_source(viewer.layers[name]).read() for name in ({names},)]\n"
    )


def settings_code(settings: Mapping[str, Any]) -> str:
    """Return settings as keyword arguments."""
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())
