"""From napari layers to images and back: pixels, pixel size and place. Without Qt."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...base.errors import InputError, Stopped
from ...base.events import Stop, never
from ...images.image import Image, read_only
from ...images.provenance import ENHANCED, METADATA, SYNTHETIC, Provenance
from ...images.reading import read_metadata
from ...images.tiff import write_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

_KINDS_MADE_HERE = (SYNTHETIC, ENHANCED, "preview", "training patch")
_OUR_NAMES = {one.name for one in dataclasses.fields(Provenance)}


@dataclass(frozen=True)
class LayerSource:
    """What a worker thread needs of a layer, taken on the main thread: a live layer is never read from a thread.

    Pixels in memory are copied first; those of a dask, zarr or memory-mapped array are read plane by plane in `read`.
    """

    name: str
    pixels: Any
    pixel_size: float | None
    origin: tuple[float, float]
    provenance: Provenance = field(default_factory=Provenance)
    layer: str = ""  # name of the layer in the viewer
    before_enhancement: bool = False  # whether the layer was enhanced in place, and this is what it was before

    def copied(self) -> LayerSource:
        """Return the same with pixels of its own, where they are in memory."""
        in_memory = isinstance(self.pixels, np.ndarray) and not isinstance(self.pixels, np.memmap)
        return replace(self, pixels=read_only(self.pixels.copy())) if in_memory else self

    def read(self, stop: Stop = never) -> Image:
        """Read the pixels; raises Stopped when `stop` says so between two planes."""
        if self.pixels.ndim == 2:
            return self._image(np.asarray(self.pixels))
        planes = []
        for plane in self.pixels:
            if stop():
                raise Stopped(f"Stopped while {self.name} was being read.")
            planes.append(np.asarray(plane))
        return self._image(read_only(np.stack(planes)))

    def _image(self, pixels: Any) -> Image:
        return Image(pixels, self.pixel_size, self.origin, self.name, self.provenance)


def with_copied_layers(value: Any) -> Any:
    """Return a job, a source, or a sequence of them, with each layer's pixels copied where they are in memory."""
    if isinstance(value, LayerSource):
        return value.copied()
    if isinstance(value, (list, tuple)):
        return tuple(with_copied_layers(one) for one in value)
    if is_dataclass(value) and hasattr(value, "steps") and not isinstance(value, type):
        return replace(value, **{one.name: with_copied_layers(getattr(value, one.name)) for one in fields(value)})
    return value


def image_layers(viewer: ViewerModel) -> list[ImageLayer]:
    """Return the image layers of the viewer (labels, points and shapes are none), topmost first."""
    from napari.layers import Image as ImageLayer

    return [layer for layer in reversed(viewer.layers) if type(layer) is ImageLayer]


def made_here(layer: ImageLayer) -> bool:
    """Tell whether the layer was made here, as a synthetic or an enhanced one, and so is no experimental image."""
    return kind(layer) in _KINDS_MADE_HERE or kind(layer).startswith(("uncertainty", "error"))


def kind(layer: ImageLayer) -> str:
    """Return the kind of image that this program recorded for a layer, and "experimental" where it recorded none."""
    return layer_provenance(layer).kind


def layer_provenance(layer: ImageLayer) -> Provenance:
    """Return what this program recorded about the origin of a layer's image, beside what other programs recorded.

    Other programs' values under our names mean something else, and those that JSON cannot hold fit into no file: both
    are left out. Scripts written for an earlier version of this program put its record beside `METADATA`. There the
    program's name in `made_by` identifies it.
    """
    record = layer.metadata.get(METADATA, {}).get("provenance")
    others = {key: value for key, value in layer.metadata.items() if key != METADATA}
    if record is None and str(others.get("made_by", "")).startswith("napari-smdiffusion "):
        record = others
    others = {key: value for key, value in others.items() if key not in _OUR_NAMES}
    values = {**others, **(record or {})}
    return Provenance.from_json({key: value for key, value in values.items() if _is_plain(value)})


def layer_pixel_size(layer: ImageLayer) -> float | None:
    """Return the side of the layer's pixels in nm: by its unit of length, or as it was told, or None.

    Raises
    ------
    InputError
        If its pixels are not square.
    """
    y, x = _edges(layer)
    if abs(y / x - 1) > 0.01:
        raise InputError(f"{layer.name} has pixels of {y:g} by {x:g}: resample it to square ones first.")
    nanometres = _nanometres(layer)
    if nanometres is not None:
        return x * nanometres
    ours = layer.metadata.get(METADATA, {})
    if "pixel_size_nm" in ours:
        return float(ours["pixel_size_nm"])
    if "problem" in ours:
        raise InputError(ours["problem"])
    return None


def _edges(layer: ImageLayer) -> tuple[float, float]:
    """Return how long a pixel is along Y and X, in the layer's unit, however the layer is turned, flipped or scaled.

    Raises
    ------
    InputError
        If the two are not at right angles.
    """
    places = np.zeros((3, layer.ndim))
    places[1, -2] = places[2, -1] = 1
    corner, *ends = (np.asarray(layer.data_to_world(place)) for place in places)
    along_y, along_x = (end - corner for end in ends)
    y, x = float(np.linalg.norm(along_y)), float(np.linalg.norm(along_x))
    if abs(float(along_y @ along_x)) > 0.02 * y * x:
        raise InputError(f"{layer.name} is sheared: resample it to square pixels first.")
    return y, x


def known_pixel_size(layer: ImageLayer) -> float | None:
    """Return `layer_pixel_size`, or None where that has no answer."""
    try:
        return layer_pixel_size(layer)
    except ValueError:
        return None


def _nanometres(layer: ImageLayer) -> float | None:
    """Return how long the layer's unit is in nm, or None if it is no length."""
    unit = layer.units[-1]
    return float((1 * unit).to("nm").magnitude) if "[length]" in unit.dimensionality else None


def set_pixel_size(layer: ImageLayer, pixel_size: float) -> None:
    """Remember a pixel size in nm that a person gave for a layer without one; where the layer lies is left alone."""
    ours = {"pixel_size_nm": float(pixel_size), "typed": True}
    # Assigned, not changed: whoever watches the layer is told.
    layer.metadata = {**layer.metadata, METADATA: {**layer.metadata.get(METADATA, {}), **ours}}


def take_file_facts(layer: ImageLayer) -> None:
    """Take over what the file of a layer says, which napari's own reader leaves: that it was made here, pixel size.

    The pixel size counts as typed in, so that it can be corrected.
    """
    path = layer.source.path
    if path is None or METADATA in layer.metadata:
        return
    facts = read_metadata(Path(path))
    ours: dict[str, Any] = {"provenance": dict(facts.provenance)} if facts.provenance else {}
    if _nanometres(layer) is None and facts.pixel_size:
        ours |= {"pixel_size_nm": float(facts.pixel_size), "typed": True}
    elif _nanometres(layer) is None and facts.problem:
        ours["problem"] = facts.problem
    if ours:
        layer.metadata = {**layer.metadata, METADATA: ours}


def write_tiff(path: str, layer_data: Sequence[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Write an image layer as a TIFF with its pixel size, place and provenance; a writer of napari.

    8 and 16 bits stay 8 and 16 bits, fractions are float32.

    napari's own writer leaves all of that out, and with it that an image is synthetic. It still has to be napari's
    first choice for a TIFF, because it writes every image. Manifests have no priority. npe2 ranks a writer by how many
    of its layer types may be absent, so the manifest lists labels as optional here; they are refused.

    Raises
    ------
    InputError
        If it is not one image layer.
    """
    from napari.layers import Image as ImageLayer

    if [kind_of_layer for _, _, kind_of_layer in layer_data] != ["image"]:
        raise InputError("A TIFF with its pixel size and origin holds one image layer: select one.")
    ((data, attributes, _),) = layer_data
    told = ("name", "scale", "translate", "rotate", "shear", "affine", "units", "metadata", "rgb", "multiscale")
    layer = ImageLayer(data, **{key: attributes[key] for key in told if key in attributes})
    kind = np.dtype(layer.dtype)
    dtype = kind if kind in (np.uint8, np.uint16) else np.float32 if kind.kind == "f" else None
    write_image(path, layer_image(layer), dtype)
    return [path]


def typed_pixel_size(layer: ImageLayer) -> float | None:
    """Return the pixel size that a person gave for a layer without a unit of length, in nm, or None."""
    ours = layer.metadata.get(METADATA, {})
    told = ours.get("typed") and "pixel_size_nm" in ours and _nanometres(layer) is None
    return float(ours["pixel_size_nm"]) if told else None


def layer_source(layer: ImageLayer) -> LayerSource:
    """Take what a worker thread needs of a layer.

    Raises
    ------
    InputError
        If it is RGB, has more than three axes, or its pixels are not square.
    """
    return live_source(layer).copied()


def live_source(layer: ImageLayer) -> LayerSource:
    """Return the same as `layer_source`, with the pixels of the layer itself."""
    if layer.rgb:
        raise InputError(f"{layer.name} is a color (RGB) image: split it, or convert it to grayscale first.")
    data = layer.data[0] if layer.multiscale else layer.data
    if data.ndim > 3:
        raise InputError(
            f"{layer.name} has {data.ndim} axes: take out one channel or time point, so that planes, Y and X are left."
        )
    # A projection of a layer that grows has its metadata too, and is finished.
    finished = layer.metadata.get(METADATA, {}).get("finished") if data.ndim == 3 else None
    if finished == 0:
        raise InputError(f"The first image of {layer.name} is still being generated: wait for it.")
    if finished:
        data = data[:finished]
    size = layer_pixel_size(layer)
    corner = _corner(layer, size)
    return LayerSource(layer.name, data, size, corner, layer_provenance(layer), layer.name)


def _is_plain(value: Any) -> bool:
    """Tell whether JSON can hold it; metadata of other readers may be anything."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _corner(layer: ImageLayer, pixel_size: float | None) -> tuple[float, float]:
    """Return (y, x) in nm of the corner of the first pixel."""
    # Where the layer has no unit of length, its scale is that of the pixel size all the same.
    unit = _nanometres(layer) or (pixel_size / _edges(layer)[1] if pixel_size else 1.0)
    place = np.zeros(layer.ndim)
    place[-2:] = -0.5  # napari counts from the middle of the first pixel
    y, x = (float(along) * unit for along in layer.data_to_world(place)[-2:])
    return y, x


def layer_image(layer: ImageLayer) -> Image:
    """Return a layer as an `Image`: its pixels, its pixel size in nm, and its place."""
    return layer_source(layer).read()


def viewed_size(layer: ImageLayer) -> str:
    """Return the size and pixel size of a layer as people read them."""
    data = layer.data[0] if layer.multiscale else layer.data
    shape = " × ".join(str(n) for n in data.shape[: layer.ndim])
    try:
        size = layer_pixel_size(layer)
    except ValueError:
        return f"{shape}, pixels not square"
    return f"{shape}, {size:.4g} nm" if size else f"{shape}, pixel size unknown"


def refined_place(layer: ImageLayer, factor: int) -> dict[str, Any]:
    """Return scale, translate, rotate, shear, affine and units of an image `factor` times finer than `layer`.

    Its pixels tile those of `layer` exactly, corner on corner; napari places the middle of a pixel, so the first
    fine pixel lies off the first coarse one by (1 / factor - 1) / 2 coarse pixels.
    """
    from napari.utils.transforms import Affine

    offset = np.zeros(layer.ndim)
    offset[-2:] = (1 / factor - 1) / 2
    place = Affine(scale=layer.scale, rotate=layer.rotate, shear=layer.shear, translate=layer.translate)
    scale = np.array(layer.scale, float)
    scale[-2:] /= factor
    return {
        "scale": scale,
        "translate": place(offset),
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine.affine_matrix.copy(),
        "units": layer.units,
    }


def free_place(viewer: ViewerModel, pixel_size: float | None, ndim: int) -> dict[str, Any]:
    """Return scale, translate and units of a new image beside everything that is shown, to scale with it.

    It takes the unit of length that the layers have; among layers that only know pixels it is placed in pixels too.
    """
    layers = image_layers(viewer)
    # A layer without a unit of length is to scale too once a person has told its pixel size.
    measured = sorted((one for one in layers if _world_unit(one)), key=lambda one: _nanometres(one) is None)
    step, unit = 1.0, "pixel"
    if pixel_size and measured:
        unit = str(measured[0].units[-1])
        step = pixel_size / (_world_unit(measured[0]) or 1.0)
    elif pixel_size and not layers:
        step, unit = pixel_size, "nm"
    corner = [0.0, 0.0]
    if layers:
        shown = [layer for layer in layers if layer.visible] or layers
        extents = [drawn_extent(viewer, layer, unit) for layer in shown]
        top, right = min(e[0, 0] for e in extents), max(e[1, 1] for e in extents)
        left = min(e[0, 1] for e in extents)
        corner = [float(top), float(right + 0.05 * (right - left) + step)]
    steps, starts, units = _planes(viewer, ndim - 2)
    return {
        "scale": (*steps, step, step),
        "translate": (*starts, *corner),
        "units": (*units, unit, unit),
    }


def _planes(viewer: ViewerModel, count: int) -> tuple[list[float], list[float], list[str]]:
    """Return steps, starts and units of `count` axes before Y and X: those of a stack that is shown already.

    So one slider goes from plane to plane of both; and where units are not alike, napari uses none.
    """
    units = [str(unit) for unit in getattr(viewer.layers.extent, "units", None) or ()]
    ranges = viewer.dims.range
    if min(len(units), len(ranges)) < count + 2 or not viewer.layers:
        return [1.0] * count, [0.0] * count, ["pixel"] * count
    axes = slice(-2 - count, -2)
    return [float(r.step) for r in ranges[axes]], [float(r.start) for r in ranges[axes]], units[axes]


def drawn_extent(viewer: ViewerModel, layer: ImageLayer, unit: str) -> Any:
    """Return ((top, left), (bottom, right)) of a layer as it is drawn, in numbers of `unit`.

    napari converts units where all layers have lengths, or none of them; else it draws the numbers.
    """
    extent = layer.extent.world[:, -2:]
    own = layer.units[-1]
    converted = getattr(viewer.layers.extent, "units", None) is not None and own.is_compatible_with(unit)
    return extent * float((1 * own).to(unit).magnitude) if converted else extent


def _world_unit(layer: ImageLayer) -> float | None:
    """Return how many nm one unit of the layer's scale and place is, or None where nobody knows."""
    size = typed_pixel_size(layer)
    if _nanometres(layer) or not size:
        return _nanometres(layer)
    try:
        return size / _edges(layer)[1]
    except ValueError:  # sheared: nothing can be to scale with it
        return None
