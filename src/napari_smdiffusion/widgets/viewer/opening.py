"""Code that opens the files of layers again, for scripts outside of napari. Without Qt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...images.provenance import METADATA
from .own_metadata import STRETCHED, own_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

_KEPT = ("pixel_size_nm", "typed", STRETCHED, "provenance")  # of our metadata


def opening_code(viewer: ViewerModel, names: Iterable[str]) -> str:
    """Return statements that open the files of layers in `viewer`, at their place; not indented.

    A layer that is not from a file of its own cannot be opened: the code then ends with a message.

    Parameters
    ----------
    viewer
        The viewer with the layers.
    names
        Names of the layers.
    """
    lines = []
    for name in names:
        layer = next((layer for layer in viewer.layers if layer.name == name), None)
        path = None if layer is None else _own_file(viewer, layer)
        if layer is None or path is None:
            sentence = (
                f"The layer {name!r} is not from a file: run this code in napari's console, or save the layer, open "
                "the file and copy the code again."
            )
            return f"raise SystemExit({sentence!r})\n"
        options = {"name": name, "plugin": layer.source.reader_plugin or "napari", **_place(layer), **_facts(layer)}
        arguments = "".join(f"    {key}={value!r},\n" for key, value in options.items())
        lines.append(f"viewer.open(\n    {str(path)!r},\n{arguments})\n")
    return "".join(lines)


def _own_file(viewer: ViewerModel, layer: ImageLayer) -> Path | None:
    """Return the file of a layer, or None if it has none, or if one file became several layers."""
    path = layer.source.path
    others = [other for other in viewer.layers if other is not layer and other.source.path == path]
    return Path(path).absolute() if path is not None and not others and Path(path).exists() else None


def _place(layer: ImageLayer) -> dict[str, Any]:
    """Return the place of a layer as plain values that `viewer.open` takes."""
    place: dict[str, Any] = {
        "scale": tuple(float(value) for value in layer.scale),
        "translate": tuple(float(value) for value in layer.translate),
        "units": tuple(str(unit) for unit in layer.units),
    }
    if not np.allclose(layer.rotate, np.eye(layer.ndim)):
        place["rotate"] = np.asarray(layer.rotate).tolist()
    affine = np.asarray(layer.affine.affine_matrix)
    if not np.allclose(affine, np.eye(len(affine))):
        place["affine"] = affine.tolist()
    return place


def _facts(layer: ImageLayer) -> dict[str, Any]:
    """Return the facts of a layer for the docks: the pixel size that was entered, and the provenance of its file."""
    ours = {key: value for key, value in own_metadata(layer).items() if key in _KEPT}
    try:
        return {"metadata": {METADATA: json.loads(json.dumps(ours))}} if ours else {}
    except (TypeError, ValueError):
        return {}
