"""Results that would fill the memory: they are written into OME-Zarr stores, and shown from there. Without Qt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...base import memory
from ...base.folders import user_folder
from ...images.provenance import TRUST, layer_metadata
from ...recipes.enhanced_files import beside
from .enhanced_layers import enhanced_place, original_name
from .layer_source import LayerSource
from .stores import store_layers
from .trust_map import TRUST_TITLE, look_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...images.regions import Window
    from ...recipes.enhance import EnhanceJob
    from ...recipes.enhance_results import EnhancedImage

_BYTES = 4  # of a pixel
_SHARE = 0.5  # of the free memory, that results in memory take at most
_TITLES = {
    **{"": "enhanced ×{factor}", "samples": "samples ×{factor}", "uncertainty": "uncertainty"},
    **{"trust": TRUST_TITLE, "error": "error map"},
}
_COLORMAPS = {"uncertainty": "magma", "error": "yellow"}


def into_store(job: EnhanceJob, factor: int) -> EnhanceJob:
    """Return a job of one layer that writes into a store, if its results would take more than half of the free memory.

    Other jobs are returned as they are. The store is in the folder `results` of the user's folder.

    Parameters
    ----------
    job
        The job, whose results are in memory.
    factor
        Pixels of the result per side of a widefield pixel.
    """
    sources = job.widefield if isinstance(job.widefield, tuple) else (job.widefield,)
    source = sources[0]
    if len(sources) != 1 or not isinstance(source, LayerSource):
        return job
    if needed_bytes(source, factor, job.settings.samples, job.settings.uncertainty) <= _SHARE * memory.free_bytes():
        return job
    folder = user_folder() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    return replace(job, out=_free_store(folder, source.name))


def needed_bytes(source: LayerSource, factor: int, samples: int, uncertainty: bool) -> int:
    """Return how many bytes the results of a layer take in memory."""
    height, width = source.size
    planes = 1
    for axis in source.axes:
        planes *= axis.length
    images = 1 + uncertainty + (samples + 1 if samples else 0)
    return _BYTES * images * planes * height * width * factor**2


def _free_store(folder: Path, name: str) -> Path:
    """Return the path of a store that does not exist yet."""
    stem = "".join("_" if character in '<>:"/\\|?*' or not character.isprintable() else character for character in name)
    path, k = folder / f"{stem}_enhanced.zarr", 1
    while path.exists():
        k += 1
        path = folder / f"{stem}_enhanced {k}.zarr"
    return path


def where_written(store: Path) -> str:
    """Return the sentence on the store that a result was written into."""
    return (
        "The result would have taken more than half of the free memory. So it was written block by block into the "
        f"store {store}, and is shown from there."
    )


def show_stored(
    viewer: Viewer, layer: ImageLayer, enhanced: EnhancedImage, window: Window | None = None
) -> list[ImageLayer]:
    """Show the results in stores exactly over their widefield layer; pixels are read as they are shown.

    Parameters
    ----------
    viewer, layer
        The viewer, and the widefield layer.
    enhanced
        The result, whose `path` is a store.
    window
        The part (rows, columns) of the layer that was enhanced; None: all of it.

    Returns
    -------
    The layers: the enhanced image, and the samples and maps, which are hidden.
    """
    path, shown = enhanced.path, []
    if path is None:
        return []
    pixel_size = enhanced.enhancement.image.pixel_size
    for word, title in _TITLES.items():
        store = beside(path, word) if word else path
        if not store.exists():
            continue
        data, options, _ = store_layers(store)[0]
        ndim = (data[0] if options["multiscale"] else data).ndim
        # The map of the error has the pixels of the widefield image.
        factor = 1 if word == "error" else enhanced.upscale
        place = enhanced_place(layer, factor, window, pixel_size * enhanced.upscale / factor if pixel_size else None)
        if len(place["scale"]) == ndim:
            options |= place
        provenance = enhanced.enhancement.image.provenance
        look = look_of(TRUST) if word == "trust" else {"colormap": _COLORMAPS.get(word, layer.colormap)}
        options |= {
            **look,
            "name": f"{title.format(factor=enhanced.upscale)}: {original_name(layer)}",
            "visible": not word,
        }
        if not word:
            options["metadata"] = layer_metadata(provenance, **({"pixel_size_nm": pixel_size} if pixel_size else {}))
        shown.append(viewer.add_image(data, **options))
    return shown
