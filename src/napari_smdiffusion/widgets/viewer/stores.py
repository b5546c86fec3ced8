"""OME-Zarr stores as layers that are read while they are shown: one multiscale layer for each channel. Without Qt."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from ...images.axes import CHANNEL, DEPTH, Axis, in_file_order
from ...images.ome_zarr import coarser_levels, open_store
from ...images.provenance import layer_metadata
from .contrast import shown_range

if TYPE_CHECKING:
    from pathlib import Path

    from ...images.ome_zarr import Store
    from .samples import LayerData


def store_layers(path: Path) -> list[LayerData]:
    """Return the channels of a store as layers at their place in nm; no pixels are read except for the contrast.

    Raises
    ------
    InputError
        If the store is damaged, holds no gray image, or zarr is missing.
    """
    import dask.array as da  # napari brings it

    store = open_store(path)
    letters, shape = store.multiscale.letters, store.array.shape
    lazy: Any = da.from_array  # it has no types
    levels = [lazy(array) for array in (store.array, *coarser_levels(store))]
    leading = list(zip(letters[:-2], shape, strict=False))
    axes = [Axis(letter, length) for letter, length in leading if letter != CHANNEL]
    layers: list[LayerData] = []
    for index in product(*(range(length) if letter == CHANNEL else (slice(None),) for letter, length in leading)):
        pyramid = [_arranged(level[index], axes) for level in levels]
        options = _options(store, axes, [k for k in index if isinstance(k, int)], len(levels) > 1)
        coarsest = pyramid[-1]
        middle = coarsest[tuple(length // 2 for length in coarsest.shape[:-2])]
        options["contrast_limits"] = shown_range(middle.compute())
        layers.append((pyramid if len(levels) > 1 else pyramid[0], options, "image"))
    return layers


def _arranged(level: Any, axes: list[Axis]) -> Any:
    """Return an array of one channel with its axes in the order of files; axes of length 1 are dropped."""
    ordered = level.transpose([*in_file_order(axes), len(axes), len(axes) + 1])
    return ordered[tuple(0 if length == 1 else slice(None) for length in ordered.shape[:-2])]


def _options(store: Store, axes: list[Axis], channel: list[int], is_pyramid: bool) -> dict[str, Any]:
    """Return how a channel is shown; lengths in the viewer are nm if the pixel size is known, else pixels."""
    names = [axes[k].name for k in in_file_order(axes) if axes[k].length > 1]
    own = store.own.pixel_size
    sides = (own, own) if own else store.sides
    # The place is that of the first pixel's centre.
    step, unit, corner = (sides, "nm", store.origin()) if sides else ((1.0, 1.0), "pixel", (-0.5, -0.5))
    depths = [store.multiscale.side(name) if name == DEPTH and sides else None for name in names]
    return {
        "name": " ".join([store.path.stem, *(_channel_name(store, k) for k in channel)]),
        "scale": (*(depth or 1.0 for depth in depths), *step),
        "translate": (*(0.0 for _ in names), *(at + side / 2 for at, side in zip(corner, step, strict=True))),
        "units": (*("nm" if depth else "pixel" for depth in depths), unit, unit),
        "axis_labels": (*(name.lower() for name in names), "y", "x"),
        "colormap": "inferno",
        "multiscale": is_pyramid,
        "metadata": layer_metadata(store.own.provenance),
    }


def _channel_name(store: Store, index: int) -> str:
    names = store.multiscale.channels
    return names[index] if index < len(names) and names[index] else f"channel {index}"
