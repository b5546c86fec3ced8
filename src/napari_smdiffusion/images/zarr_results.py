"""Results in OME-Zarr stores (NGFF 0.5), which are written block by block, with a pyramid of coarser levels."""

from __future__ import annotations

import math
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import Stopped
from ..base.events import Countdown, Progress, Steps, Stop, never, run
from ..base.temporary import temporary_folder
from ..base.whole_files import cannot_be_written, check_space, created_beside
from .axes import DEPTH, PLANE, TIME, Axis, fitting_axes
from .ngff import Level, Multiscale, StoreAxis
from .provenance import METADATA, Provenance
from .replaced_stores import put_store
from .tiff import OwnMetadata
from .unfinished import Unfinished, UnfinishedTiff, part_of
from .zarr_planes import ZarrPlanes, imported_zarr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..base.arrays import Pixels

LARGEST_CHUNK = 512  # pixels along a side
_CHUNKS_APART = 20_000  # chunks of a plane's level that have a file each; of more, some share a file (a shard)
_LARGEST_SHARD = 4096  # pixels along a side
_COARSEST = 512  # pixels along the longer side of the last level
_NO_PROVENANCE = Provenance()


def chunk_side(factor: int) -> int:
    """Return the side of a chunk that tiles of a result with `factor` pixels per widefield pixel are multiples of."""
    sides = [side for side in (64 * factor, 128 * factor, 256 * factor) if side <= LARGEST_CHUNK]
    return sides[-1] if sides else LARGEST_CHUNK


def shard_side(shape: tuple[int, ...], chunk: int) -> int | None:
    """Return the side of a shard for (planes, Y, X) pixels, or None if the chunks are few enough for files."""
    side = chunk
    while shape[0] * math.prod(math.ceil(length / side) for length in shape[-2:]) > _CHUNKS_APART:
        if 2 * side > _LARGEST_SHARD or side >= max(shape[-2:]):
            break
        side *= 2
    return None if side == chunk else side


class ZarrResult:
    """A store that is filled: the array of its finest level, and later its pyramid.

    Parameters
    ----------
    folder
        Folder of the store.
    shape
        (N, Y, X) in pixels.
    chunk
        Side of a chunk in pixels.
    pixel_size, origin, provenance, axes
        See `new_tiff`.
    goes_on
        Whether to go on with the array that is in the folder.

    Attributes
    ----------
    pixels
        The planes of the finest level.

    Raises
    ------
    OSError
        If the store cannot be written.
    ValueError
        If it is to go on, and the array in the folder is gone or of another shape.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, int, int],
        chunk: int = LARGEST_CHUNK,
        pixel_size: float | None = None,
        origin: tuple[float, float] = (0.0, 0.0),
        provenance: Provenance = _NO_PROVENANCE,
        axes: Sequence[Axis] = (),
        *,
        goes_on: bool = False,
    ) -> None:
        self.folder, self._chunk = folder, chunk
        self._own = OwnMetadata(pixel_size, origin, provenance, fitting_axes(axes, shape[0]))
        self._stored, self._lengths, self._order = _stored_axes(self._own, shape[0])
        zarr = imported_zarr(folder)
        try:
            if goes_on:
                self._group = zarr.open_group(str(folder), mode="r+")
                array = self._group["0"]
            else:
                self._group = zarr.create_group(str(folder), zarr_format=3)
                array = self._new_array("0", shape)
        except OSError as error:
            raise cannot_be_written(folder, error) from error
        self._levels = 1
        self.pixels = self._planes(array, "0")
        if self.pixels.shape != shape or array.dtype != np.float32:
            raise ValueError(f"{folder} holds an array of another shape.")

    def restate(self, provenance: Provenance) -> None:
        """Replace the provenance that the store will state."""
        own = self._own
        self._own = OwnMetadata(own.pixel_size, own.origin, provenance, own.axes)

    def is_there(self) -> bool:
        """Return whether all arrays have their metadata: another program may have removed the store meanwhile."""
        return all((self.folder / str(k) / "zarr.json").is_file() for k in range(self._levels))

    def level_steps(self, stop: Stop) -> Steps[None]:
        """Compute the coarser levels, each pixel as the mean of 2 × 2 of the finer one, and state the metadata.

        Yields
        ------
        Progress at every block.

        Raises
        ------
        Stopped
            If `stop` returns True. The finest level stays.
        """
        finer, levels = self.pixels, 1
        self._levels = 1
        total = sum(math.prod(shape) for shape in _coarser_shapes(self.pixels.shape))
        done, countdown = 0, Countdown(0, max(total, 1))
        for shape in _coarser_shapes(self.pixels.shape):
            coarser = self._planes(self._new_array(str(levels), shape), str(levels))
            for n in range(len(coarser)):
                for rows, columns in coarser.blocks():
                    if stop():
                        raise Stopped("Stopped: the coarser levels are missing.")
                    coarser[n, rows, columns] = _halved(finer, n, rows, columns)
                    done += (rows.stop - rows.start) * (columns.stop - columns.start)
                    yield Progress("making the pyramid", done, total, countdown.left(done))
            coarser.flush()
            finer, levels = coarser, levels + 1
            self._levels = levels
        self._state(levels)

    def _state(self, count: int) -> None:
        """Write the metadata: with them, the store is an image."""
        side, letters = self._own.pixel_size, [axis.letter for axis in self._stored]
        steps = {axis.name: axis.step for axis in self._own.axes}
        levels = []
        for k in range(count):
            fine = {"Y": side or 1.0, "X": side or 1.0}
            scale = [fine[letter] * 2**k if letter in fine else steps.get(letter) or 1.0 for letter in letters]
            # The place of a pixel is that of its centre. Without a pixel size it is in pixels, from the first one.
            corner = dict(zip("YX", self._own.origin if side else (-0.5, -0.5), strict=True))
            place = [corner[a] + s / 2 if a in corner else 0.0 for a, s in zip(letters, scale, strict=True)]
            levels.append(Level(str(k), tuple(scale), tuple(place)))
        name = self._own.provenance.source or self.folder.stem
        attributes = {"ome": Multiscale(self._stored, tuple(levels)).to_json(name), METADATA: self._own.to_json()}
        self._group.update_attributes(attributes)

    def _new_array(self, name: str, shape: tuple[int, ...]) -> Any:
        """Create an array whose axes before Y and X are those of the store."""
        lengths = [self._lengths[k] for k in self._order]
        shard = shard_side(shape, self._chunk)
        ones = (1,) * len(lengths)
        return self._group.create_array(
            name,
            shape=(*lengths, *shape[-2:]),
            chunks=(*ones, self._chunk, self._chunk),
            shards=None if shard is None else (*ones, shard, shard),
            dtype="float32",
            fill_value=0.0,
            dimension_names=[axis.name for axis in self._stored],
            overwrite=True,
        )

    def _planes(self, array: Any, name: str) -> ZarrPlanes:
        return ZarrPlanes(array, self._lengths, self._order, folder=self.folder / name)


def _stored_axes(own: OwnMetadata, planes: int) -> tuple[tuple[StoreAxis, ...], list[int], list[int]]:
    """Return the axes of the array, the lengths of those before Y and X, and the index of each in the lengths.

    NGFF wants times, then planes of one kind, then depths. A store has one axis of planes of one kind.
    """
    lengths: list[int] = []
    names: list[str] = []
    for axis in own.axes or ([Axis(PLANE, planes)] if planes > 1 else []):
        if names and names[-1] == axis.name == PLANE:
            lengths[-1] *= axis.length
        else:
            names.append(axis.name)
            lengths.append(axis.length)
    steps = {axis.name: axis.step for axis in own.axes}
    order = sorted(range(len(names)), key=lambda k: (TIME + PLANE + DEPTH).index(names[k]))
    units = {TIME: "second", DEPTH: "nanometer"}
    stored = [
        StoreAxis(names[k].lower(), names[k], units.get(names[k], "") if steps.get(names[k]) else "") for k in order
    ]
    unit = "nanometer" if own.pixel_size else ""
    return (*stored, StoreAxis("y", "Y", unit), StoreAxis("x", "X", unit)), lengths, order


def _coarser_shapes(shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Return the shapes of the levels after the first."""
    shapes: list[tuple[int, int, int]] = []
    while max(shape[1:]) > _COARSEST:
        shape = (shape[0], -(-shape[1] // 2), -(-shape[2] // 2))
        shapes.append(shape)
    return shapes


def _halved(finer: ZarrPlanes, n: int, rows: slice, columns: slice) -> Pixels:
    """Return a block of the coarser level; the last pixel of an odd side is repeated."""
    height, width = finer.shape[1:]
    above = slice(2 * rows.start, min(2 * rows.stop, height))
    part = finer[n, above, slice(2 * columns.start, min(2 * columns.stop, width))]
    part = np.pad(part, [(0, part.shape[0] % 2), (0, part.shape[1] % 2)], mode="edge")
    mean: Pixels = part.reshape(part.shape[0] // 2, 2, part.shape[1] // 2, 2).mean((1, 3), dtype=np.float32)
    return mean


class UnfinishedZarr:
    """A result that is computed into a hidden store, and that a later run can go on with; see `UnfinishedTiff`.

    Parameters
    ----------
    work
        The marks. Without the pixels of an earlier run they are forgotten.
    path
        The store of the result.
    part
        The hidden store.
    shape, chunk
        (N, Y, X) in pixels, and the side of a chunk.
    **metadata
        See `ZarrResult`.
    """

    def __init__(
        self, work: Unfinished, path: Path, part: Path, shape: tuple[int, int, int], chunk: int, **metadata: Any
    ) -> None:
        self._path = path
        result = None
        if work.finished:
            with suppress(Exception):  # zarr raises many kinds of errors for damaged stores
                result = ZarrResult(part, shape, chunk, goes_on=True, **metadata)
        if result is None:
            work.begin_again()
            shutil.rmtree(part, ignore_errors=True)
            result = ZarrResult(part, shape, chunk, **metadata)
        self._result = result
        self._work = work
        self.pixels: Any = result.pixels
        work.watch(self)

    def flush(self) -> None:
        """Wait until the pixels are on the disk.

        Raises
        ------
        OSError
            If the hidden store was removed. Its marks are forgotten then.
        """
        try:
            self.pixels.flush()
        except FileNotFoundError as error:
            self._work.begin_again()
            raise _removed(self._path) from error
        self._check()

    def _check(self) -> None:
        if not self._result.is_there():
            self._work.begin_again()
            raise _removed(self._path)

    def restate(self, provenance: Provenance) -> None:
        """Replace the provenance that the store will state."""
        self._result.restate(provenance)

    def complete(self, stop: Stop) -> Steps[None]:
        """Compute the coarser levels."""
        try:
            yield from self._result.level_steps(stop)
        except OSError as error:
            raise cannot_be_written(self._path, error) from error

    def finish(self) -> None:
        """Rename the hidden store to the store of the result; an earlier one is removed.

        Raises
        ------
        OSError
            If that fails, or the hidden store was removed.
        """
        self.flush()
        put_store(self._result.folder, self._path)


def _removed(path: Path) -> OSError:
    return OSError(f"{path} cannot be written (its folder was removed meanwhile): run the job again.")


def write_store(
    path: Path,
    pixels: Pixels,
    pixel_size: float | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    provenance: Provenance = _NO_PROVENANCE,
    axes: Sequence[Axis] = (),
    *,
    count: int | None = None,
) -> None:
    """Write (N, Y, X) pixels as an OME-Zarr store of float32.

    Parameters
    ----------
    path, pixels
        The store, and its pixels, which are read in blocks.
    pixel_size, origin, provenance, axes
        See `new_tiff`.
    count
        Number of the first planes that are written; None for all.

    Raises
    ------
    OSError
        If it cannot be written. An existing store stays unchanged then.
    """
    shape = (len(pixels) if count is None else count, pixels.shape[1], pixels.shape[2])
    check_space(path, shape)
    with created_beside(path, temporary_folder(path)) as part:
        store = ZarrResult(part, shape, LARGEST_CHUNK, pixel_size, origin, provenance, axes)
        try:
            for n in range(shape[0]):
                for rows, columns in store.pixels.blocks():
                    store.pixels[n, rows, columns] = np.asarray(pixels[n][rows, columns], np.float32)
            store.pixels.flush()
            run(store.level_steps(never))
        except OSError as error:
            raise (cannot_be_written(path, error) if store.is_there() else _removed(path)) from error
        if not store.is_there():
            raise _removed(path)
        put_store(part, path)


class StagedZarr(UnfinishedTiff):
    """A result whose pixels change until the end, such as samples: in a mapped file first, and in a store last."""

    def finish(self) -> None:
        """Write the store, and remove the hidden file."""
        metadata = {key: value for key, value in self._metadata.items() if key != "dtype"}
        write_store(self._path, self.pixels, **metadata)
        self._work.release()
        self.pixels = None
        with suppress(OSError):
            part_of(self._path).unlink()
