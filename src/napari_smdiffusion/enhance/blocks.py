"""Blocks of a result that are computed in other processes, each with its own copy of the enhancer.

A block is a rectangle of one plane of the result. The blocks of a store are whole chunks or shards, so that each is
written by one process alone. A block is computed from tiles that cover it: the result does not depend on them.
"""

from __future__ import annotations

import platform
import threading
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..base.devices import pick_device
from ..base.errors import InputError
from ..base.events import Note, never
from ..base.version import __version__
from ..images.image import Image, read_only
from ..images.tiles import Tile, tiles
from .applying import enhance_tiles, tile_reach, tile_side
from .local_levels import LocalLevels
from .model import Enhancer
from .network import ALIGN
from .pixel_fit import PixelFit
from .planes_seen import PlanesSeen, SeenSummary
from .resampling import network_grid
from .tile_work import TileWork

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..base.arrays import Pixels
    from ..images.zarr_planes import StoredPlanes
    from .resampling import Grid
    from .settings import EnhanceConfig

MODEL, WIDEFIELD = "model", "widefield.npy"  # in the folder that all processes read


@dataclass(frozen=True)
class Block:
    """A rectangle of a plane of the result, in pixels of the result."""

    plane: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def mark(self) -> tuple[int, ...]:
        """The numbers that name the block among the finished parts of a result."""
        return self.plane, *self.rows, *self.columns

    @property
    def place(self) -> tuple[int, slice, slice]:
        """(plane, rows, columns) as an index."""
        return self.plane, slice(*self.rows), slice(*self.columns)


@dataclass(frozen=True)
class BlockWork:
    """What a process needs to compute blocks of an image.

    Parameters
    ----------
    model
        The model folder.
    image
        File of the pixels of the widefield image, (N, Y, X) float32.
    name, pixel_size
        Name and pixel size (nm) of the image.
    config
        Settings.
    stores
        Where the blocks of the enhanced image and of its uncertainty are written. (): the blocks are returned.
    version
        The version of the program that asks for the blocks.
    """

    model: str
    image: str
    name: str
    pixel_size: float | None
    config: EnhanceConfig
    stores: tuple[StoredPlanes, ...] = ()
    version: str = __version__


@dataclass(frozen=True, eq=False)
class BlockDone:
    """A block that is computed.

    Parameters
    ----------
    block
        The block.
    values
        Its pixels in the enhanced image and in the map of the uncertainty, (Y, X); () if they are in the stores.
    files
        The files of each store that it was written into. They may not be on the disk yet.
    seen
        What was seen of the planes.
    notes
        Messages to the user.
    """

    block: Block
    values: tuple[Pixels, ...]
    files: tuple[tuple[Path, ...], ...]
    seen: SeenSummary
    notes: tuple[str, ...]


def blocks_of(shape: tuple[int, int, int], side: tuple[int, int]) -> Iterator[Block]:
    """Yield the blocks that cover a result, (N, Y, X) pixels."""
    for n in range(shape[0]):
        for y in range(0, shape[1], side[0]):
            for x in range(0, shape[2], side[1]):
                yield Block(n, (y, min(y + side[0], shape[1])), (x, min(x + side[1], shape[2])))


def computed_block(work: BlockWork, block: Block) -> BlockDone:
    """Compute a block; the process keeps the model and the image for the next one.

    Raises
    ------
    InputError
        If this process has another version of the program, or cannot read the files.
    OSError
        If the block cannot be written.
    """
    if work.version != __version__:
        raise InputError(
            f"The worker on {platform.node()} has napari-smdiffusion {__version__}, not {work.version}: install the "
            "same version there."
        )
    with _ONE_AT_A_TIME:
        field = _field(work)
        parts = [_Part(block) for _ in range(1 + work.config.uncertainty)]
        sharp, spread = parts[0], parts[1] if work.config.uncertainty else None
        tiles_left = [(block.plane, tile) for tile in field.tiles_over(block)]
        steps = enhance_tiles(field.work, field.image, field.seen, work.config, (sharp, spread), tiles_left, never)
        notes = tuple(event.message for event in steps if isinstance(event, Note))
        values = tuple(part.values for part in parts)
        if not Path(work.image).exists():  # a stopped run may be followed by another one, which writes the same stores
            raise InputError("The run that asked for this block has ended.")
        files = []
        for stored, pixels in zip(work.stores, values, strict=False):
            planes = stored.opened()
            planes[block.place] = pixels
            files.append(planes.taken())
        return BlockDone(block, () if work.stores else values, tuple(files), field.seen.taken(), notes)


# Threads of one process would share the facts about the planes. The network takes all threads of the process anyway.
_ONE_AT_A_TIME = threading.Lock()


class _Part:
    """The pixels of a block, into which tiles are written that reach beyond it."""

    def __init__(self, block: Block) -> None:
        self._corner = block.rows[0], block.columns[0]
        self.values: Pixels = np.zeros(
            (block.rows[1] - self._corner[0], block.columns[1] - self._corner[1]), np.float32
        )

    def __setitem__(self, place: tuple[int, slice, slice], values: Pixels) -> None:
        inside, taken = [], []
        for part, corner, length in zip(place[1:], self._corner, self.values.shape, strict=True):
            first, last = max(part.start, corner), min(part.stop, corner + length)
            inside.append(slice(first - corner, max(first, last) - corner))
            taken.append(slice(first - part.start, max(first, last) - part.start))
        self.values[tuple(inside)] = values[tuple(taken)]


@dataclass(frozen=True, eq=False)
class _Field:
    """An image that is ready to be enhanced in this process: its pixels on the grid of the network, and its facts."""

    image: Image
    work: TileWork
    seen: PlanesSeen
    config: EnhanceConfig

    def tiles_over(self, block: Block) -> Sequence[Tile]:
        """Return the tiles that cover a block."""
        part = covering(self.work.grid, block)
        found = tiles(self.image.size, tile_side(self.config), tile_reach(self.work), ALIGN, part)
        return list(found)


def covering(grid: Grid, block: Block) -> tuple[slice, slice]:
    """Return (rows, columns) of the network's input whose results cover a block; they begin at multiples of `ALIGN`."""
    parts = []
    sides = zip((block.rows, block.columns), grid.ratios, grid.network_size, strict=True)
    for (first, last), ratio, length in sides:
        step = ratio / grid.factor  # pixels of the network's input per pixel of the result
        start = int((first + 0.5) * step) // ALIGN * ALIGN
        stop = ceil((last + 0.5) * step / ALIGN) * ALIGN if grid.is_resampled else ceil(last / grid.factor)
        parts.append(slice(start, min(stop, length)))
    return parts[0], parts[1]


@lru_cache(maxsize=1)
def _model(folder: str) -> Enhancer:
    """Return the enhancer of this process, with its network on the device."""
    try:
        return Enhancer.load(Path(folder))
    except (InputError, OSError) as error:
        raise InputError(
            f"The worker on {platform.node()} cannot read {folder}: write the result on a drive that all workers share."
        ) from error


@lru_cache(maxsize=1)
def _field(work: BlockWork) -> _Field:
    """Return the image of this process, ready to be enhanced."""
    enhancer = _model(work.model)
    image = Image(read_only(np.load(work.image, mmap_mode="r")), work.pixel_size, name=work.name)
    grid = network_grid(image, enhancer.config.upscale, PixelFit(work.pixel_size, enhancer.widefield_pixel_size))
    device = pick_device(work.config.device)
    network = enhancer.network if device.type == "cpu" else deepcopy(enhancer.network).to(device)
    levels = LocalLevels(enhancer.widefield.opening, enhancer.widefield.around)
    tile_work = TileWork(network.eval(), device, enhancer, grid, levels)
    return _Field(grid.network_image(image), tile_work, PlanesSeen(image, grid), work.config)
