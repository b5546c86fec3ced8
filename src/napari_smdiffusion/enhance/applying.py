"""Application of an enhancer to widefield images, tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from ..base.arrays import Pixels
from ..base.devices import is_out_of_memory, on_device, pick_device, release_memory
from ..base.errors import InputError, Stopped
from ..base.events import Note, Steps, Stop, TileDone, never
from ..base.settings import to_dict
from ..base.version import __version__
from ..images.image import Image, with_own_pixels
from ..images.patches import SYMMETRIES
from ..images.provenance import ENHANCED, UNCERTAINTY, Provenance
from ..images.tiles import tiles
from ..posterior.trust import agreement
from ..store.weights import SHORT_DIGEST
from .local_levels import LocalLevels
from .network import ALIGN, REACH
from .pixel_fit import PixelFit
from .planes_seen import PlanesSeen
from .resampling import network_grid
from .tile_progress import TileProgress
from .tile_work import TileWork, enhanced_core, prepared_tile, tile_uncertainty

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from ..images.axes import Axis
    from ..images.tiles import Tile
    from .model import Enhancer
    from .settings import EnhanceConfig
    from .tile_work import Prepared

ResultKind = Literal["enhanced", "uncertainty", "samples", "trust"]
_TILE = 256  # widefield pixels: a larger tile saves little time, and this one fits into the memory of a laptop


@dataclass(frozen=True)
class ResultPlan:
    """The shape and the metadata of a result, known before its pixels are computed.

    Parameters
    ----------
    kind
        "enhanced", "uncertainty", "samples" or "trust".
    shape
        (N, Y, X) in pixels.
    pixel_size, origin
        In nm; the pixel size is None if unknown.
    name, provenance
        Name and provenance of the resulting image.
    axes
        Axes before Y and X: those of the widefield image.
    """

    kind: ResultKind
    shape: tuple[int, int, int]
    pixel_size: float | None
    origin: tuple[float, float]
    name: str
    provenance: Provenance
    axes: tuple[Axis, ...] = ()


NewArray = Callable[[ResultPlan], Pixels]


class Written(Protocol):
    """What tiles of a result are written into, such as an array (N, Y, X)."""

    def __setitem__(self, place: tuple[int, slice, slice], values: Pixels, /) -> None:
        """Put pixels at (plane, rows, columns)."""


Results = tuple[Written, Written | None]


@dataclass(frozen=True, eq=False)
class Enhancement:
    """An enhanced image and, if requested, its uncertainty map.

    The true value differs from the enhanced one by at most `uncertainty` in a share `EnhanceConfig.confidence` of the
    pixels. This holds for widefield images like those of the calibration. For an enhancer without a calibration,
    `uncertainty` is the standard deviation over the 8 symmetries of the input.

    With posterior samples, `image` is their best estimate, and `uncertainty` is about the image blurred to the
    resolution that enhancers reach (`posterior.trust`). `samples` has the planes of the first sample, then those of the
    second one. `trust` is the share of the samples that show structure, at each pixel.
    """

    image: Image
    uncertainty: Image | None = None
    samples: Image | None = None
    trust: Image | None = None

    @property
    def agreement(self) -> float | None:
        """Share of the light of `image` at places that at least nine of ten samples show; None without samples."""
        return None if self.trust is None else agreement(self.trust.pixels, self.image.pixels)


def enhance_steps(
    enhancer: Enhancer,
    image: Image,
    config: EnhanceConfig,
    *,
    new_array: NewArray | None = None,
    finished: Container[tuple[int, ...]] = (),
    stop: Stop = never,
) -> Steps[Enhancement]:
    """Enhance a widefield image or stack, tile by tile.

    A pixel of the result depends on the pixels around it alone, so that cropping, padding, borders, and the tiles do
    not change it (see `LocalLevels`). A brighter input has a brighter result by the same factor.

    Parameters
    ----------
    enhancer
        A trained enhancer.
    image, config
        Widefield, (N, Y, X) in any units, and the settings.
    new_array
        Makes the array for each result from its plan, such as a memory map for results larger than memory.
    finished
        Tiles that `new_array` holds already: (plane, first row, last row + 1, first column, last column + 1) in pixels
        of the result. They are left out.
    stop
        Checked at every tile.

    Yields
    ------
    Progress and TileDone at every tile. Note if memory ran out, or the pixel size is unknown or not that of the
    training. Note for areas without a measurement, constant planes, or an image with hardly anything above its noise.

    Returns
    -------
    The enhanced image with its provenance, in the units of `image` above its background. Its pixel size is that of
    `image` divided by `upscale`, and its origin is that of `image`.

    Raises
    ------
    InputError
        If `image` is constant, its pixel size is more than a factor of two from that of the training, or the network's
        output is NaN or infinite.
    Stopped
        If it was stopped before the last tile; there is no result then.
    """
    fit = PixelFit(image.pixel_size, enhancer.widefield_pixel_size)
    yield from checked(enhancer, image, config, fit)
    grid = network_grid(image, enhancer.config.upscale, fit)
    on_grid = grid.network_image(image)
    make = new_array or new_zeros
    plans = planned_results(enhancer, image, config)
    sharp, *maps = (make(plan) for plan in plans)
    spread = maps[0] if maps else None
    device = pick_device(config.device)
    with on_device(enhancer.network, device) as network:
        levels = LocalLevels(enhancer.widefield.opening, enhancer.widefield.around)
        work = TileWork(network, device, enhancer, grid, levels)
        yield from _enhance_planes(work, on_grid, PlanesSeen(image, grid), config, (sharp, spread), finished, stop)
    return Enhancement(*(result_image(image, plan, pixels) for plan, pixels in zip(plans, (sharp, *maps), strict=True)))


def checked(enhancer: Enhancer, image: Image, config: EnhanceConfig, fit: PixelFit) -> Steps[None]:
    """Raise an InputError for an unsuitable image; yield a Note for each limit of the result."""
    fit.check(image.name, enhancer.name)
    if all(plane.min() == plane.max() for plane in image.pixels):
        raise InputError(
            f"All pixels of {image.name} have the value {image.pixels[0, 0, 0]:g}: choose an image that shows a "
            "structure."
        )
    if note := _pixel_size_note(enhancer, image, fit):
        yield Note(note)
    if config.uncertainty and enhancer.calibration is None:
        yield Note(
            f"{enhancer.name} has no calibration: its uncertainty is the standard deviation over 8 symmetries of the "
            "input. Train it again for calibrated intervals."
        )


def planned_results(enhancer: Enhancer, image: Image, config: EnhanceConfig) -> list[ResultPlan]:
    """Return the plan of the enhanced image and, if requested, of its uncertainty map.

    The pixel size is that of `image` divided by `upscale`. If `image` has none, it is that of the training.
    """
    factor = enhancer.config.upscale
    shape = (len(image), image.size[0] * factor, image.size[1] * factor)
    pixel_size = image.pixel_size / factor if image.pixel_size else enhancer.pixel_size
    fit = PixelFit(image.pixel_size, enhancer.widefield_pixel_size)
    provenance = Provenance(
        ENHANCED,
        f"napari-smdiffusion {__version__}",
        enhancer.name,
        source=Path(image.name).name,
        pixel_size_assumed=image.pixel_size is None and enhancer.pixel_size is not None,
        resampled_to_nm=fit.expected if fit.kind == "resampled" else image.provenance.resampled_to_nm,
        settings=to_dict(config),
        structure=enhancer.facts.structure or None,
        channel=image.provenance.channel,
        model_digest=enhancer.digest()[:SHORT_DIGEST],
        window=image.provenance.window,
    )
    name = f"{image.name} (enhanced)"
    plan = ResultPlan("enhanced", shape, pixel_size, image.origin, name, provenance, image.axes)
    if not config.uncertainty:
        return [plan]
    meaning = f"the true value lies within this of the enhanced one in {100 * config.confidence:g} % of the pixels"
    if enhancer.calibration is None:
        provenance = replace(provenance, settings={**provenance.settings, "confidence": None})  # unknown
        meaning = "standard deviation over the 8 symmetries of the input"
    provenance = replace(provenance, kind=UNCERTAINTY, meaning=meaning)
    return [plan, replace(plan, kind="uncertainty", name=f"{image.name} (uncertainty)", provenance=provenance)]


def result_image(image: Image, plan: ResultPlan, pixels: Pixels) -> Image:
    """Return a result image without reading `pixels`, which may be larger than memory and were checked by tile."""
    return with_own_pixels(image, pixels, pixel_size=plan.pixel_size, name=plan.name, provenance=plan.provenance)


def new_zeros(plan: ResultPlan) -> Pixels:
    """Return the array of a result in memory."""
    return np.zeros(plan.shape, np.float32)


def _pixel_size_note(enhancer: Enhancer, image: Image, fit: PixelFit) -> str:
    """Return a sentence on the pixels of an image that are not those of the training; "" if they are."""
    if fit.kind == "unknown" and fit.expected:
        return (
            f"{image.name} has no pixel size: {fit.expected:.4g} nm is assumed, the pixel size that {enhancer.name} "
            "was trained for. Give the pixel size if it differs."
        )
    return f"{image.name} is {fit.words}, the pixel size that {enhancer.name} was trained for." if fit.words else ""


def mark_of(plane: int, rows: slice, columns: slice) -> tuple[int, ...]:
    """Return the numbers that name a tile of the result, for `finished`."""
    return plane, rows.start, rows.stop, columns.start, columns.stop


def tile_side(config: EnhanceConfig) -> int:
    """Return the side of a tile in widefield pixels."""
    return -(-(config.tile or _TILE) // ALIGN) * ALIGN


def tile_reach(work: TileWork) -> int:
    """Return the pixels around a tile that its result depends on, a multiple of `ALIGN`."""
    return REACH + -(-work.grid.margin // ALIGN) * ALIGN


def _enhance_planes(
    work: TileWork,
    image: Image,
    seen: PlanesSeen,
    config: EnhanceConfig,
    results: Results,
    finished: Container[tuple[int, ...]],
    stop: Stop,
) -> Steps[None]:
    """Enhance all tiles that are not finished."""
    side, reach = tile_side(config), tile_reach(work)
    every = [(n, tile) for n in range(len(image)) for tile in tiles(image.size, side, reach, ALIGN)]
    todo = [(n, tile) for n, tile in every if mark_of(n, *work.grid.place(tile)) not in finished]
    yield from enhance_tiles(work, image, seen, config, results, todo, stop)
    if todo:
        for note in seen.notes(len(todo) == len(every)):
            yield Note(note)


def enhance_tiles(
    work: TileWork,
    image: Image,
    seen: PlanesSeen,
    config: EnhanceConfig,
    results: Results,
    tiles_left: Sequence[tuple[int, Tile]],
    stop: Stop,
) -> Steps[None]:
    """Enhance some tiles of a widefield image.

    Parameters
    ----------
    work, seen
        The enhancer and its network, and the facts about the planes.
    image
        The image on the grid of the network, (N, Y, X).
    config
        Settings.
    results
        The enhanced image and its uncertainty, which the tiles are written into; None for no uncertainty.
    tiles_left
        (plane, tile) of each tile, in order.
    stop
        Checked at every view of a tile.

    Yields
    ------
    Progress and TileDone at every tile; Note if memory ran out.

    Raises
    ------
    InputError
        If the network's output is NaN or infinite.
    MemoryError
        If memory is too small for the smallest tile.
    Stopped
        If it was stopped before the last tile.
    """
    sharp, spread = results
    side, reach = tile_side(config), tile_reach(work)
    todo = list(tiles_left)
    symmetries = SYMMETRIES if spread is not None else (0,)
    progress = TileProgress([tile for _, tile in todo], len(symmetries))
    while todo:
        n, tile = todo[0]
        prepare = partial(prepared_tile, work, image.pixels[n], seen.plane(n), tile)
        done = yield from _views(work, prepare, tile, symmetries, progress, stop)
        if done is None:
            side = _smaller(side)
            release_memory()
            yield Note(f"Memory ran out: continuing with tiles of {side} pixels.")
            todo = [(m, part) for m, old in todo for part in tiles(image.size, side, reach, ALIGN, old.core)]
            progress.plan([part for _, part in todo])
            continue
        prepared, views = done
        if not all(np.isfinite(view).all() for view in views):
            raise InputError(f"{work.enhancer.name} makes NaN or infinite pixels of {image.name}: train it again.")
        place = (n, *work.grid.place(tile))
        sharp[place] = views[0] * prepared.unit
        if spread is not None:
            spread[place] = tile_uncertainty(work, views, config.confidence) * prepared.unit
        seen.add(prepared)
        todo.pop(0)
        yield TileDone(*place)
        yield progress.after_tile(tile)


def _smaller(side: int) -> int:
    """Return the side of a tile after memory ran out; raise a MemoryError if it was the smallest."""
    if side <= ALIGN * 4:
        raise MemoryError("Memory ran out with the smallest tile: close other programs.")
    return side // 2 // ALIGN * ALIGN


def _views(
    work: TileWork,
    prepare: Callable[[], Prepared],
    tile: Tile,
    symmetries: Sequence[int],
    progress: TileProgress,
    stop: Stop,
) -> Steps[tuple[Prepared, list[Pixels]] | None]:
    """Prepare a tile and enhance it in all symmetries; return None if memory ran out.

    The exception is not kept, because it keeps the tensors of the failed tile alive.
    """
    views: list[Pixels] = []
    try:
        prepared = prepare()
        for k in symmetries:
            if stop():
                raise Stopped("Stopped: the image is not enhanced.")
            views.append(enhanced_core(work, prepared, tile, k))
            if len(symmetries) > 1:
                yield progress.after_view(tile, len(views))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    return prepared, views
