"""Converts napari layers to images and back: pixels, pixel size and place. Without Qt."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...base.errors import InputError, Stopped
from ...base.events import Stop, never
from ...images.image import Image, read_only
from ...images.provenance import ENHANCED, METADATA, SYNTHETIC, Provenance
from ...images.reading import read_metadata
from ...images.tiff import write_image
from .own_metadata import own_metadata
from .shown import with_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

_KINDS_MADE_HERE = (SYNTHETIC, ENHANCED, "preview", "training patch")
Window: TypeAlias = tuple[slice, slice]  # rows and columns of an image, in pixels
_OUR_NAMES = {entry.name for entry in dataclasses.fields(Provenance)}


@dataclass(frozen=True)
class LayerSource:
    """The pixels and facts of a layer for a worker thread, which must not access the layer itself.

    `copied` copies pixels in memory. Those of a dask, zarr or memory-mapped array are read plane by plane in `read`.
    """

    name: str
    pixels: Any
    pixel_size: float | None
    origin: tuple[float, float]
    provenance: Provenance = field(default_factory=Provenance)
    layer: str = ""  # name of the layer in the viewer
    before_enhancement: bool = False  # whether this is the original of a layer enhanced in place
    window: Window | None = None  # the part of the layer, if this is not all of it

    def crop(self, y: slice, x: slice) -> LayerSource:
        """Return the pixel rows `y` and columns `x`, which have a start and a stop, as a source with its own origin."""
        size = self.pixel_size or 0.0
        corner = (self.origin[0] + y.start * size, self.origin[1] + x.start * size)
        return replace(self, pixels=self.pixels[..., y, x], origin=corner, window=(y, x))

    def copied(self) -> LayerSource:
        """Return the same source with a copy of its pixels, if they are in memory."""
        in_memory = isinstance(self.pixels, np.ndarray) and not isinstance(self.pixels, np.memmap)
        return replace(self, pixels=read_only(self.pixels.copy())) if in_memory else self

    def read(self, stop: Stop = never) -> Image:
        """Read the pixels; raises Stopped if `stop` returns True between two planes."""
        if self.pixels.ndim == 2:
            return self._image(np.asarray(self.pixels))
        planes = []
        for plane in self.pixels:
            if stop():
                raise Stopped(f"Stopped while {self.name} was read.")
            planes.append(np.asarray(plane))
        return self._image(read_only(np.stack(planes)))

    def _image(self, pixels: Any) -> Image:
        return Image(pixels, self.pixel_size, self.origin, self.name, self.provenance)


def with_copied_layers(value: Any) -> Any:
    """Return a job, a source or a sequence of them with copies of the layers' pixels that are in memory."""
    if isinstance(value, LayerSource):
        return value.copied()
    if isinstance(value, (list, tuple)):
        return tuple(with_copied_layers(item) for item in value)
    if is_dataclass(value) and hasattr(value, "steps") and not isinstance(value, type):
        return replace(value, **{entry.name: with_copied_layers(getattr(value, entry.name)) for entry in fields(value)})
    return value


def image_layers(viewer: ViewerModel) -> list[ImageLayer]:
    """Return the image layers of the viewer, topmost first; without labels, points and shapes."""
    from napari.layers import Image as ImageLayer

    return [layer for layer in reversed(viewer.layers) if type(layer) is ImageLayer]


def made_here(layer: ImageLayer) -> bool:
    """Return whether this program made the image of a layer, so that it is not experimental."""
    return kind(layer) in _KINDS_MADE_HERE or kind(layer).startswith(("uncertainty", "error"))


def kind(layer: ImageLayer) -> str:
    """Return the recorded kind of a layer's image; "experimental" if there is no record."""
    return layer_provenance(layer).kind


def layer_provenance(layer: ImageLayer) -> Provenance:
    """Return the provenance of a layer's image: the record of this program, and metadata of other programs.

    Metadata of other programs are left out if they use our names, which mean something else there, or if JSON cannot
    hold them. Scripts for an earlier version of this program put its record beside `METADATA`; the program's name in
    `made_by` identifies it.
    """
    record = own_metadata(layer).get("provenance")
    others = {key: value for key, value in layer.metadata.items() if key != METADATA}
    if record is None and str(others.get("made_by", "")).startswith("napari-smdiffusion "):
        record = others
    others = {key: value for key, value in others.items() if key not in _OUR_NAMES}
    values = {**others, **(record or {})}
    return Provenance.from_json({key: value for key, value in values.items() if _is_plain(value)})


def layer_pixel_size(layer: ImageLayer) -> float | None:
    """Return the pixel size in nm: by the layer's unit of length, or as entered by the user; None if unknown.

    Raises
    ------
    InputError
        If its pixels are not square.
    """
    y, x = _edges(layer)
    if abs(y / x - 1) > 0.01:
        raise InputError(f"{layer.name} has pixels of {y:g} by {x:g}: resample it to square pixels first.")
    nanometres = _nanometres(layer)
    if nanometres is not None:
        return x * nanometres
    ours = own_metadata(layer)
    if "pixel_size_nm" in ours:
        return float(ours["pixel_size_nm"])
    if "problem" in ours:
        raise InputError(ours["problem"])
    return None


def _edges(layer: ImageLayer) -> tuple[float, float]:
    """Return the lengths (y, x) of a pixel's edges in the layer's unit, for any rotation, flip or scale.

    Raises
    ------
    InputError
        If the edges are not at right angles.
    """
    points = np.zeros((3, layer.ndim))
    points[1, -2] = points[2, -1] = 1
    corner, *ends = (np.asarray(layer.data_to_world(point)) for point in points)
    along_y, along_x = (end - corner for end in ends)
    y, x = float(np.linalg.norm(along_y)), float(np.linalg.norm(along_x))
    if abs(float(along_y @ along_x)) > 0.02 * y * x:
        raise InputError(f"{layer.name} is sheared: resample it to square pixels first.")
    return y, x


def known_pixel_size(layer: ImageLayer) -> float | None:
    """Return `layer_pixel_size`, or None if the pixels are not square."""
    try:
        return layer_pixel_size(layer)
    except ValueError:
        return None


def _nanometres(layer: ImageLayer) -> float | None:
    """Return the length of the layer's unit in nm, or None if it is not a unit of length."""
    unit = layer.units[-1]
    return float((1 * unit).to("nm").magnitude) if "[length]" in unit.dimensionality else None


def set_pixel_size(layer: ImageLayer, pixel_size: float) -> None:
    """Store a pixel size in nm that the user entered for a layer; the scale of the layer stays."""
    ours = {"pixel_size_nm": float(pixel_size), "typed": True}
    # An assignment, unlike a change in place, emits an event.
    layer.metadata = {**layer.metadata, METADATA: {**own_metadata(layer), **ours}}


def add_file_facts(layer: ImageLayer) -> None:
    """Add the provenance and the pixel size from the file of a layer, which napari's own reader does not read.

    The pixel size counts as entered by the user, so that the user can correct it.
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
    """Write an image layer as a TIFF with its pixel size, place and provenance. This is a napari writer.

    8 and 16 bits stay 8 and 16 bits, fractions are float32.

    napari's own writer leaves all of that out, and with it that an image is synthetic. It still has to be napari's
    first choice for a TIFF, because it writes every image. Manifests have no priority. npe2 ranks a writer by how many
    of its layer types may be absent, so the manifest lists labels as optional here; they are refused.

    Raises
    ------
    InputError
        If `layer_data` is not exactly one image layer.
    """
    from napari.layers import Image as ImageLayer

    if [kind_of_layer for _, _, kind_of_layer in layer_data] != ["image"]:
        raise InputError("A TIFF with pixel size and origin holds one image layer: select one image layer.")
    ((data, attributes, _),) = layer_data
    options = ("name", "scale", "translate", "rotate", "shear", "affine", "units", "metadata", "rgb", "multiscale")
    layer = ImageLayer(data, **{key: attributes[key] for key in options if key in attributes})
    own = np.dtype(layer.dtype)
    dtype = own if own in (np.uint8, np.uint16) else np.float32 if own.kind == "f" else None
    image = layer_image(layer)
    write_image(path, replace(image, provenance=with_shown(image.provenance, attributes)), dtype)
    return [path]


def typed_pixel_size(layer: ImageLayer) -> float | None:
    """Return the pixel size in nm that the user entered for a layer without a unit of length, or None."""
    ours = own_metadata(layer)
    entered = ours.get("typed") and "pixel_size_nm" in ours and _nanometres(layer) is None
    return float(ours["pixel_size_nm"]) if entered else None


def layer_source(layer: ImageLayer) -> LayerSource:
    """Return a copy of a layer as a source for a worker thread.

    Raises
    ------
    InputError
        If the layer is RGB, has more than three axes, or has pixels that are not square.
    """
    return live_source(layer).copied()


def live_source(layer: ImageLayer) -> LayerSource:
    """Return the same as `layer_source` without a copy of the pixels."""
    if layer.rgb:
        raise InputError(f"{layer.name} is a color (RGB) image: split it, or convert it to grayscale first.")
    data = layer.data[0] if layer.multiscale else layer.data
    if own_metadata(layer).get("unfinished"):
        raise InputError(f"{layer.name} is still being computed: wait until it is finished.")
    if data.ndim > 3:
        raise InputError(
            f"{layer.name} has {data.ndim} axes: extract one channel or time point, so that planes, Y and X remain."
        )
    # A projection of a growing layer has its metadata too, but is a finished 2-D image.
    finished = own_metadata(layer).get("finished") if data.ndim == 3 else None
    if finished == 0:
        raise InputError(f"The first image of {layer.name} is still being generated: wait until it is finished.")
    if finished:
        data = data[:finished]
    size = layer_pixel_size(layer)
    corner = _corner(layer, size)
    return LayerSource(layer.name, data, size, corner, layer_provenance(layer), layer.name)


def _is_plain(value: Any) -> bool:
    """Return whether JSON can hold a value of other readers' metadata."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _corner(layer: ImageLayer, pixel_size: float | None) -> tuple[float, float]:
    """Return the corner (y, x) of the first pixel in nm."""
    # Without a unit of length, one pixel of the layer's scale has the known pixel size.
    unit = _nanometres(layer) or (pixel_size / _edges(layer)[1] if pixel_size else 1.0)
    place = np.zeros(layer.ndim)
    place[-2:] = -0.5  # napari's origin is the centre of the first pixel
    y, x = (float(coordinate) * unit for coordinate in layer.data_to_world(place)[-2:])
    return y, x


def layer_image(layer: ImageLayer) -> Image:
    """Return a layer as an `Image`: its pixels, its pixel size in nm, and its place."""
    return layer_source(layer).read()


def size_text(layer: ImageLayer) -> str:
    """Return the size and pixel size of a layer as text."""
    data = layer.data[0] if layer.multiscale else layer.data
    shape = " × ".join(str(n) for n in data.shape[: layer.ndim])
    try:
        size = layer_pixel_size(layer)
    except ValueError:
        return f"{shape}, pixels not square"
    return f"{shape}, {size:.4g} nm" if size else f"{shape}, pixel size unknown"


def refined_place(layer: ImageLayer, factor: int, start: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """Return scale, translate, rotate, shear, affine and units of an image `factor` times finer than `layer`.

    The corners of both images match. napari's origin is the centre of a pixel, so the first fine pixel is offset from
    the first coarse pixel by (1 / factor - 1) / 2 coarse pixels. An image of a part of the layer starts at its pixel
    `start` (row, column).
    """
    from napari.utils.transforms import Affine

    offset = np.zeros(layer.ndim)
    offset[-2:] = (1 / factor - 1) / 2 + np.array(start)
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
    """Return scale, translate, units and labels of a new image beside the visible layers, at the same scale.

    The image gets the unit of length of the layers. Among layers in pixels it is placed in pixels too.
    """
    layers = image_layers(viewer)
    # A layer without a unit of length has a scale too once the user has entered its pixel size.
    measured = sorted(filter(_world_unit, layers), key=lambda layer: _nanometres(layer) is None)
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
        top, right = min(extent[0, 0] for extent in extents), max(extent[1, 1] for extent in extents)
        left = min(extent[0, 1] for extent in extents)
        corner = [float(top), float(right + 0.05 * (right - left) + step)]
    steps, starts, units = _planes(viewer, ndim - 2)
    place: dict[str, Any] = {
        "scale": (*steps, step, step),
        "translate": (*starts, *corner),
        "units": (*units, unit, unit),
    }
    return place | {"axis_labels": ("image", "y", "x")} if ndim == 3 else place  # the slider's label


def _planes(viewer: ViewerModel, count: int) -> tuple[list[float], list[float], list[str]]:
    """Return steps, starts and units of `count` axes before Y and X: those of the stacks in the viewer.

    So the slider moves both stacks by one plane, and the units of an axis match: otherwise napari ignores all units.
    """
    units = [str(unit) for unit in getattr(viewer.layers.extent, "units", None) or ()]
    ranges = viewer.dims.range
    if min(len(units), len(ranges)) < count + 2 or not viewer.layers:
        return [1.0] * count, [0.0] * count, ["pixel"] * count
    axes = slice(-2 - count, -2)
    return [float(r.step) for r in ranges[axes]], [float(r.start) for r in ranges[axes]], units[axes]


def drawn_extent(viewer: ViewerModel, layer: ImageLayer, unit: str) -> Any:
    """Return ((top, left), (bottom, right)) of a layer in the drawn world, in numbers of `unit`.

    napari converts units if all layers have units of length, or none has. Otherwise it draws the bare numbers.
    """
    extent = layer.extent.world[:, -2:]
    own = layer.units[-1]
    converted = getattr(viewer.layers.extent, "units", None) is not None and own.is_compatible_with(unit)
    return extent * float((1 * own).to(unit).magnitude) if converted else extent


def _world_unit(layer: ImageLayer) -> float | None:
    """Return the length in nm of one unit of the layer's scale and place, or None if unknown."""
    size = typed_pixel_size(layer)
    if _nanometres(layer) or not size:
        return _nanometres(layer)
    try:
        return size / _edges(layer)[1]
    except ValueError:  # a sheared layer has no scale
        return None
