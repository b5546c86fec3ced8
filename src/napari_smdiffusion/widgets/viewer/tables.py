"""Localization tables as layers: rendered with a chosen pixel size, from a chosen range of z. Without Qt."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...base.errors import InputWarning
from ...images.image import Image, read_only
from ...images.localizations import WHOLE_DEPTH, Localizations, ZRange, read_table
from ...images.provenance import layer_metadata
from ...images.rendering import DEFAULT_PIXEL_SIZE, fitting_pixel_size, render, rendered_corner
from .contrast import sparse_range
from .own_metadata import own_metadata
from .samples import LayerData, layer_data

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer

_TABLE = "table"  # key of the values of a rendered table in our metadata of a layer


@dataclass(frozen=True)
class RenderedTable:
    """The table of a layer, and how it is rendered.

    Parameters
    ----------
    path
        File of the table.
    pixel_size
        Side of a pixel in nm.
    z_range
        (lowest, highest) z in nm; None for no bound.
    """

    path: Path
    pixel_size: float
    z_range: ZRange = WHOLE_DEPTH


def table_layer(path: Path, pixel_size: float | None = None, z_range: ZRange = WHOLE_DEPTH) -> LayerData:
    """Return a localization table as a layer at its place in nm.

    Parameters
    ----------
    path
        File of the table.
    pixel_size
        Side of a pixel in nm; None: 20 nm, or more if the image would take too much memory.
    z_range
        (lowest, highest) z in nm; None for no bound.

    Raises
    ------
    InputError
        If the file is no table, holds no molecule with such a z, or its image would take too much memory.

    Warns
    -----
    InputWarning
        If the table is 3-D and no range of z is chosen, or pixels of 20 nm are too small.
    """
    return layer_of_table(read_table(path), path, pixel_size, z_range)


def layer_of_table(table: Localizations, path: Path, pixel_size: float | None, z_range: ZRange) -> LayerData:
    """Return a table that was read as a layer; the parameters are those of `table_layer`."""
    if z_range == WHOLE_DEPTH and table.depth:
        low, high = table.depth
        message = f"{path} is 3-D (z from {low:.4g} to {high:.4g} nm): its image is a projection along z."
        warnings.warn(InputWarning(message), stacklevel=4)
    table = table.slab(z_range, str(path))
    size = pixel_size or fitting_pixel_size(table, DEFAULT_PIXEL_SIZE)
    if pixel_size is None and size > DEFAULT_PIXEL_SIZE:
        message = f"{path} is rendered with pixels of {size:g} nm: its image would be too large with 20 nm."
        warnings.warn(InputWarning(message), stacklevel=4)
    pixels = read_only(render(table, size, str(path)))
    image = Image(pixels, size, rendered_corner(table, size), path.name)
    shown, options, kind = layer_data(image, _name(path, z_range))
    options["contrast_limits"] = sparse_range(shown)
    stated = {"path": str(path), "pixel_size_nm": size, "z_range_nm": list(z_range)}
    options["metadata"] = layer_metadata(image.provenance, **{_TABLE: stated})
    return shown, options, kind


def _name(path: Path, z_range: ZRange) -> str:
    words = [f"{word} {bound:g}" for word, bound in zip(("from", "to"), z_range, strict=True) if bound is not None]
    return f"{path.stem} (z {' '.join(words)} nm)" if words else path.stem


def rendered_table(layer: ImageLayer) -> RenderedTable | None:
    """Return the table that a layer was rendered from, or None for any other layer."""
    stated = own_metadata(layer).get(_TABLE)
    if not isinstance(stated, dict) or not isinstance(stated.get("path"), str):
        return None
    size, bounds = stated.get("pixel_size_nm"), stated.get("z_range_nm")
    if not isinstance(size, (int, float)) or not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
        return None
    if not all(bound is None or isinstance(bound, (int, float)) for bound in bounds):
        return None
    return RenderedTable(Path(stated["path"]), float(size), (bounds[0], bounds[1]))


def show_rendered(layer: ImageLayer, data: LayerData) -> None:
    """Replace the image of a layer by another rendering of its table."""
    pixels, options, _ = data
    layer.data = pixels
    layer.scale, layer.translate = options["scale"], options["translate"]
    layer.contrast_limits_range = (0.0, max(float(pixels.max()), 1e-6))
    for name in ("contrast_limits", "metadata", "name"):
        setattr(layer, name, options[name])


def layers_of_files(paths: list[Path], pixel_size: float | None, z_range: ZRange) -> list[LayerData]:
    """Return files of any kind as layers at their places: tables are rendered, and images are read.

    Stores and files of microscopes are read while they are shown.

    Raises
    ------
    InputError
        If a file cannot be read. The message names it.
    """
    from ...images.localizations import is_table
    from ...images.ome_zarr import is_store
    from ...images.reading import read_image
    from .microscope_layers import opener_of, scene_layers
    from .shown import shown_in
    from .stores import store_layers
    from .trust_map import look_of

    layers: list[LayerData] = []
    for path in paths:
        if is_store(path):
            layers += store_layers(path)
            continue
        if (open_file := opener_of(path)) is not None:
            layers += scene_layers(path, open_file)
            continue
        if is_table(path):
            layers.append(table_layer(path, pixel_size, z_range))
            continue
        image = read_image(path)
        shown = shown_in(image.provenance)
        pixels, options, kind = layer_data(image, shown.name or path.stem)
        chosen: dict[str, Any] = {"contrast_limits": shown.contrast_limits, "colormap": shown.colormap}
        options |= {key: value for key, value in chosen.items() if value is not None}
        layers.append((pixels, options | look_of(image.provenance.kind), kind))
    return layers
