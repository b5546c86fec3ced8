"""An image is enhanced block by block on the workers of a cluster."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, Stopped
from ..base.events import Countdown, Note, Progress, Steps, Stop, TileDone
from ..base.temporary import temporary_folder
from ..base.version import __version__
from ..base.whole_files import allocate, check_space, created_beside
from ..enhance.applying import checked
from ..enhance.blocks import MODEL, WIDEFIELD, BlockWork, blocks_of, computed_block
from ..enhance.pixel_fit import PixelFit
from ..enhance.planes_seen import SeenSummary
from ..images.zarr_planes import ZarrPlanes
from .workers import ANSWER, imported_distributed

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence
    from pathlib import Path

    from ..enhance.blocks import Block, BlockDone
    from ..enhance.model import Enhancer
    from ..enhance.settings import EnhanceConfig
    from ..images.image import Image
    from ..images.unfinished import Unfinished

    Blocks = Generator[BlockDone, None, None]

_POLL = 0.25  # s between two looks at the stop
_AHEAD = 4  # blocks that wait for each worker
_SIDE = 256  # widefield pixels: side of a block, about
_SMALLEST = 64
_ROWS = 256  # rows of the image that are copied at once
_FEW = 3  # blocks for each worker, at least, of a result that is no store


def blocks_steps(
    client: Any,
    enhancer: Enhancer,
    image: Image,
    config: EnhanceConfig,
    results: Sequence[Any],
    target: Path,
    work: Unfinished,
    stop: Stop,
) -> Steps[None]:
    """Enhance an image block by block on the workers of a cluster.

    Parameters
    ----------
    client
        Client of the cluster.
    enhancer, image, config
        See `enhance_steps`.
    results
        The planes of the enhanced image and of its uncertainty. Workers write blocks of stores themselves.
    target
        The file of the result. Model and image are beside it meanwhile, for the workers to read.
    work
        The marks of finished blocks.
    stop
        Asked several times a second.

    Yields
    ------
    Progress and TileDone at every block, and the Notes of `enhance_steps`.

    Raises
    ------
    InputError
        If the image is unsuitable, or a worker cannot compute its blocks.
    OSError
        If a result cannot be written, or the scheduler does not answer any more.
    Stopped
        If it was stopped before the last block.
    """
    yield from checked(enhancer, image, config, PixelFit(image.pixel_size, enhancer.widefield_pixel_size))
    if not _count_workers(client):
        yield Note("The cluster has no workers yet: the work begins when there is one.")
    sides = _sides(results[0], enhancer.config.upscale, _count_workers(client))
    every = list(blocks_of(results[0].shape, sides))
    todo = _unfinished(every, work.finished, sides)
    if not todo:
        return
    with created_beside(target, temporary_folder(target)) as folder:
        shared = _shared(folder, target, enhancer, image, config, results)
        with closing(_computed(client, shared, todo, target, stop)) as computed:
            seen = yield from _gathered(client, computed, len(todo), results, work)
    yield from map(Note, seen.notes(image.name, len(todo) == len(every)))


def _gathered(
    client: Any, computed: Blocks, count: int, results: Sequence[Any], work: Unfinished
) -> Steps[SeenSummary]:
    """Take the blocks as they are computed, and mark them; return what was seen of the planes."""
    seen, countdown = SeenSummary(), Countdown(0, count)
    for step, done in enumerate(computed, 1):
        for array, pixels in zip(results, done.values, strict=False):
            array[done.block.place] = pixels
        for array, files in zip(results, done.files, strict=False):
            array.wait_for(files)
        work.add(*done.block.mark)
        seen += done.seen
        yield from map(Note, done.notes)
        yield TileDone(*done.block.place)
        detail = f"block {step} of {count}, {_count_workers(client)} workers"
        yield Progress("enhancing", step, count, countdown.left(step), detail=detail)
    return seen


def _computed(client: Any, shared: BlockWork, todo: Sequence[Block], target: Path, stop: Stop) -> Blocks:
    """Yield each block when it is computed, in any order; few wait at a time, so that a stop is quick."""
    waiting = deque(todo)
    pending: set[Any] = set()
    lost = 0.0
    try:
        while waiting or pending:
            if stop():
                raise Stopped("Stopped: the image is not enhanced.")
            while waiting and len(pending) < _AHEAD * max(_count_workers(client), 1):
                pending.add(client.submit(computed_block, shared, waiting.popleft(), pure=False))
            lost = 0.0 if client.status == "running" else lost + _POLL
            if lost > ANSWER or any(future.status in ("cancelled", "lost") for future in pending):
                raise OSError(
                    f"The scheduler does not answer any more. The finished blocks of {target} are kept: run the same "
                    "again with --resume (in Python: resume=True)."
                )
            done = [future for future in pending if future.done()]
            if not done:
                time.sleep(_POLL / 5)
            for future in done:
                pending.remove(future)
                yield _result(future)
    finally:
        with suppress(Exception):  # where the scheduler is gone, each fails in its own way
            client.cancel(list(pending), force=True)


def _result(future: Any) -> BlockDone:
    """Return what a worker computed; an error of it is raised."""
    try:
        done: BlockDone = future.result()
    except imported_distributed().scheduler.KilledWorker as error:
        raise OSError(
            "Several workers ended while they computed the same block: memory may be too small for it. The finished "
            "blocks are kept: run the same again with --resume and fewer workers."
        ) from error
    except ModuleNotFoundError as error:
        raise InputError(
            f"A worker cannot load napari-smdiffusion {__version__} ({error}): install this version on all workers."
        ) from error
    return done


def _shared(
    folder: Path, target: Path, enhancer: Enhancer, image: Image, config: EnhanceConfig, results: Sequence[Any]
) -> BlockWork:
    """Write the enhancer and the pixels of an image where all workers can read them."""
    # Absolute: workers have other current folders.
    model, pixels = folder.absolute() / MODEL, folder.absolute() / WIDEFIELD
    check_space(target, (len(image), *image.size))
    replace(enhancer, sampler=None, samples_calibration=None).save(model)
    copy = np.lib.format.open_memmap(pixels, "w+", np.float32, (len(image), *image.size))
    allocate(pixels, target, pixels.stat().st_size)
    for plane, copied in zip(image.pixels, copy, strict=True):
        for first in range(0, len(copied), _ROWS):  # a plane may be larger than memory
            copied[first : first + _ROWS] = plane[first : first + _ROWS]
    copy.flush()
    stores = tuple(planes.stored for planes in results if isinstance(planes, ZarrPlanes))
    return BlockWork(str(model), str(pixels), image.name, image.pixel_size, config, stores)


def _sides(planes: Any, factor: int, workers: int) -> tuple[int, int]:
    """Return the (Y, X) sides of a block in pixels of the result: whole chunks or shards of a store."""
    if isinstance(planes, ZarrPlanes):
        rows, columns = (side * max(1, round(_SIDE * factor / side)) for side in planes.chunk_sides)
        return rows, columns
    side = _SIDE
    while side > _SMALLEST and _count(planes.shape, side * factor) < _FEW * workers:
        side //= 2
    return side * factor, side * factor


def _count(shape: tuple[int, ...], side: int) -> int:
    """Return the number of blocks of a side that cover a result (N, Y, X)."""
    return shape[0] * -(-shape[1] // side) * -(-shape[2] // side)


def _unfinished(every: Sequence[Block], finished: Collection[tuple[int, ...]], sides: tuple[int, int]) -> list[Block]:
    """Return the blocks that are not finished. Parts that another number of workers, or none, has finished count."""
    marks: dict[tuple[int, int, int], list[tuple[int, ...]]] = defaultdict(list)
    for mark in finished:
        marks[mark[0], mark[1] // sides[0], mark[3] // sides[1]].append(mark)
    left = []
    for block in every:
        (top, bottom), (first, last) = block.rows, block.columns
        missing = np.ones((bottom - top, last - first), bool)
        for _, y, y_end, x, x_end in marks.get((block.plane, top // sides[0], first // sides[1]), ()):
            missing[y - top : y_end - top, x - first : x_end - first] = False
        if missing.any():
            left.append(block)
    return left


def _count_workers(client: Any) -> int:
    """Return the number of workers that the cluster has now."""
    return len(client.scheduler_info().get("workers", ()))
