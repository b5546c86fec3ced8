"""Files of microscopes as layers that are read plane by plane: one for each channel of each scene. Without Qt."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ...base.errors import InputError, InputWarning
from ...images.axes import DEPTH
from ...images.microscope_files import (
    ChosenPlanes,
    Scene,
    channel_choices,
    checked_plane,
    opened,
    planes_of,
    scene_text,
)
from ...images.provenance import Provenance, layer_metadata
from ...images.readers import readers_of_suffix
from .contrast import shown_range

if TYPE_CHECKING:
    from pathlib import Path

    from ...images.axes import Axis
    from ...images.microscope_files import MicroscopeFile, OpenFile
    from .samples import LayerData


def opener_of(path: Path) -> OpenFile | None:
    """Return the function that opens a file of a microscope, or None for a file of another kind."""
    for reader in readers_of_suffix(path):
        if reader.open_file is not None and reader.supports(path):
            return reader.open_file
    return None


def scene_layers(path: Path, open_file: OpenFile) -> list[LayerData]:
    """Return the channels of all scenes as layers; no pixels are read except for the contrast.

    Raises
    ------
    InputError
        If the file is damaged, holds no gray image, or the package that reads it is missing.

    Warns
    -----
    InputWarning
        If a scene is no gray image, and others are.
    """
    layers: list[LayerData] = []
    errors: list[InputError] = []
    with opened(open_file, path) as file:
        for number, scene in enumerate(file.scenes):
            try:
                layers += _scene_layers(path, open_file, file, number)
            except InputError as error:  # an overview in color, for example
                text = f"Scene {scene_text(number, scene.name)} is left out: {error}"
                errors.append(InputError(text) if len(file.scenes) > 1 else error)
    if not layers:
        raise errors[0] if errors else InputError(f"{path} holds no image: give a file with an image in it.")
    for left_out in errors:
        warnings.warn(InputWarning(str(left_out)), stacklevel=3)
    return layers


def _scene_layers(path: Path, open_file: OpenFile, file: MicroscopeFile, number: int) -> list[LayerData]:
    scene = file.scenes[number]
    _, count = channel_choices(scene) or ("", 1)
    return [_layer(path, open_file, file, number, planes_of(scene, path, channel)) for channel in range(count)]


class _Planes:
    """An array of the planes (…, Y, X) of a layer. Each is read when it is used: no file stays open."""

    def __init__(self, path: Path, open_file: OpenFile, number: int, scene: Scene, chosen: ChosenPlanes) -> None:
        self._path, self._open_file, self._number, self._chosen = path, open_file, number, chosen
        self._size = scene.size
        self._lengths = tuple(axis.length for axis in chosen.axes) or (len(chosen.indices),) * (len(chosen.indices) > 1)
        self.shape = (*self._lengths, *scene.size)
        self.ndim, self.dtype = len(self.shape), np.dtype(np.float32)

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray[Any, Any]:
        """Return a part; `key` has an index or a slice for each axis."""
        parts = [slice(part, part + 1) if isinstance(part, int) else part for part in key]
        ranges = [range(n)[part] for n, part in zip(self.shape, parts, strict=True)]
        result = np.empty([len(values) for values in ranges], self.dtype)
        with opened(self._open_file, self._path) as file:
            for position in np.ndindex(*result.shape[:-2]):
                place = [values[k] for values, k in zip(ranges, position, strict=False)]
                n = int(np.ravel_multi_index(place, self._lengths)) if place else 0
                plane = checked_plane(file.plane(self._number, self._chosen.indices[n]), self._size)
                result[position] = plane[parts[-2], parts[-1]]
        return result[tuple(0 if isinstance(part, int) else slice(None) for part in key)]


def _layer(path: Path, open_file: OpenFile, file: MicroscopeFile, number: int, chosen: ChosenPlanes) -> LayerData:
    import dask.array as da  # napari brings it

    scene = file.scenes[number]
    planes = _Planes(path, open_file, number, scene, chosen)
    lazy: Any = da.from_array  # it has no types
    array = lazy(
        planes, chunks=(*(1 for _ in planes.shape[:-2]), *scene.size), asarray=False, meta=np.empty(0, np.float32)
    )
    options = _options(scene, chosen.axes, planes.ndim - 2)
    middle = chosen.indices[len(chosen.indices) // 2]
    options["contrast_limits"] = shown_range(checked_plane(file.plane(number, middle), scene.size))
    name = scene.name if len(file.scenes) > 1 and scene.name else f"scene {number}" * (len(file.scenes) > 1)
    options["name"] = " ".join(filter(None, [path.stem, name, _shown_channel(scene, chosen)]))
    provenance = Provenance(channel=chosen.channel) if chosen.channel else Provenance()
    options["metadata"] = layer_metadata(provenance)
    return array, options, "image"


def _options(scene: Scene, axes: tuple[Axis, ...], stacked: int) -> dict[str, Any]:
    """Return how a channel is shown; lengths in the viewer are nm if the pixel size is known, else pixels."""
    step, unit = (scene.sides, "nm") if scene.sides else ((1.0, 1.0), "pixel")
    depths = [axis.step if axis.name == DEPTH and scene.sides else None for axis in axes] or [None] * stacked
    names = [axis.name.lower() for axis in axes] or ["n"] * stacked
    return {
        "scale": (*(depth or 1.0 for depth in depths), *step),
        # The image begins at the corner of its first pixel, napari's places are those of the centres.
        "translate": (*(0.0 for _ in depths), *(side / 2 if scene.sides else 0.0 for side in step)),
        "units": (*("nm" if depth else "pixel" for depth in depths), unit, unit),
        "axis_labels": (*names, "y", "x"),
        "colormap": "inferno",
    }


def _shown_channel(scene: Scene, chosen: ChosenPlanes) -> str:
    """Return the name of a channel; "channel 0" if it has none, "" if there is only one."""
    if not chosen.channel:
        return ""
    index = int(chosen.channel.split()[0])
    return scene.channels[index] if index < len(scene.channels) else f"channel {index}"
