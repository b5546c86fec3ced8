"""The planes of a Zarr array, which are read and written block by block."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, is_out_of_memory
from ..base.temporary import sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from ..base.arrays import Pixels

ZARR_SUFFIXES = (".zarr",)
_BLOCK = 1024  # pixels along a side that are read or written at once, at least


def imported_zarr(path: str | Path) -> Any:
    """Return the package zarr; raises InputError if it is missing or too old."""
    try:
        zarr = importlib.import_module("zarr")
    except ImportError as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"{path} needs the package zarr: install it with  pip install 'napari-smdiffusion[cluster]'."
        ) from error
    if int(zarr.__version__.split(".")[0]) < 3:
        raise InputError(f"{path} needs zarr 3, and {zarr.__version__} is installed: pip install 'zarr>=3'.")
    return zarr


@dataclass(frozen=True)
class StoredPlanes:
    """Where planes are stored: another process opens them.

    Parameters
    ----------
    folder
        Folder of the array.
    lengths, order
        See `ZarrPlanes`.
    """

    folder: str
    lengths: tuple[int, ...]
    order: tuple[int, ...]

    def opened(self) -> ZarrPlanes:
        """Return the planes, to be written."""
        array = imported_zarr(self.folder).open_array(self.folder, mode="r+")
        return ZarrPlanes(array, self.lengths, self.order, folder=Path(self.folder))


class ZarrPlanes:
    """An array of a store as (N, Y, X) planes, which are in memory block by block only.

    Parameters
    ----------
    array
        Array of zarr whose last axes are Y and X.
    lengths, order
        Lengths of the axes before Y and X in the order of the planes, and for each axis of the array its index in
        `lengths`.
    fixed
        Index of each axis of the array that is fixed, such as that of a channel, by the number of the axis.
    folder
        The folder of the array, for `flush`; None for an array that is only read.
    """

    def __init__(
        self,
        array: Any,
        lengths: Sequence[int],
        order: Sequence[int],
        fixed: dict[int, int] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.array = array
        self._lengths, self._order, self._fixed = tuple(lengths), tuple(order), fixed or {}
        self._folder = folder
        self._written: set[Path] = set()
        self.shape: tuple[int, int, int] = (math.prod(self._lengths), *array.shape[-2:])
        self.dtype = np.dtype(np.float32)
        self.ndim = 3

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Return a plane (int), or the pixels of a part of one: (plane, rows, columns)."""
        if isinstance(key, tuple):
            n, rows, columns = key
            return np.asarray(self.array[(*self._leading(n), rows, columns)], np.float32)
        return ZarrPlane(self, self._checked(key))

    def __setitem__(self, key: int | tuple[int, slice, slice], values: Pixels) -> None:
        if not isinstance(key, tuple):
            key = key, slice(0, self.shape[1]), slice(0, self.shape[2])
        n, rows, columns = key
        leading = self._leading(n)
        self.array[(*leading, rows, columns)] = values
        if self._folder is not None:
            self._written.update(self._files(self._folder, leading, rows, columns))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all pixels in memory."""
        return np.stack([np.asarray(self[n], dtype) for n in range(len(self))])

    def reshape(self, *shape: int) -> npt.NDArray[Any]:
        """Return all pixels in memory, in another shape."""
        return np.asarray(self).reshape(*shape)

    def taken(self) -> tuple[Path, ...]:
        """Return the files that were written since the last `flush`, which another process then waits for."""
        written, self._written = tuple(self._written), set()
        return written

    def wait_for(self, files: Iterable[Path]) -> None:
        """Let `flush` wait for files that another process has written."""
        self._written.update(files)

    def flush(self) -> None:
        """Wait until what was written is on the disk.

        Raises
        ------
        FileNotFoundError
            If a file of it was removed.
        """
        folders = {path.parent for path in self._written}
        for path in self._written:
            path.stat()
        for path in (*self._written, *folders):
            sync(path)
        self._written.clear()

    @property
    def stored(self) -> StoredPlanes:
        """Where the planes are; they must have a folder."""
        return StoredPlanes(str(self._folder), self._lengths, tuple(self._order))

    @property
    def chunk_sides(self) -> tuple[int, int]:
        """(Y, X) sides of the parts that are in a file each, in pixels: chunks, or shards of them."""
        rows, columns = (self.array.shards or self.array.chunks)[-2:]
        return int(rows), int(columns)

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yield (rows, columns) that cover a plane; each is whole chunks or shards of the array."""
        sides = [side * max(1, round(_BLOCK / side)) for side in self.chunk_sides]
        for y in range(0, self.shape[1], sides[0]):
            for x in range(0, self.shape[2], sides[1]):
                yield slice(y, min(y + sides[0], self.shape[1])), slice(x, min(x + sides[1], self.shape[2]))

    def read(self) -> Iterator[tuple[list[int], slice, slice, npt.NDArray[Any]]]:
        """Yield all pixels in parts of whole chunks: numbers of planes, rows, columns, and (planes, Y, X) values.

        A chunk with several planes is read once.
        """
        numbers = np.arange(len(self)).reshape(self._lengths or (1,))
        sides = [side for k, side in enumerate(self.array.chunks[:-2]) if k not in self._fixed]
        # For each axis of the planes, the length of a chunk along it.
        along = [sides[self._order.index(k)] for k in range(len(self._lengths))]
        for corner in product(*(range(0, length, side) for length, side in zip(self._lengths, along, strict=True))):
            part = tuple(slice(at, at + side) for at, side in zip(corner, along, strict=True))
            group = numbers[part] if part else numbers
            free = iter(self._order)
            index = tuple(self._fixed[k] if k in self._fixed else part[next(free)] for k in range(self.array.ndim - 2))
            for rows, columns in self.blocks():
                values = np.asarray(self.array[(*index, rows, columns)])
                values = values.transpose(*(self._order.index(k) for k in range(len(part))), -2, -1)
                yield group.ravel().tolist(), rows, columns, values.reshape(-1, *values.shape[-2:])

    def _checked(self, n: int) -> int:
        if not -len(self) <= n < len(self):
            raise IndexError(f"There is no plane {n}.")
        return n % len(self)

    def _leading(self, n: int) -> tuple[int, ...]:
        """Return the index of a plane along each axis of the array before Y and X."""
        index = np.unravel_index(self._checked(n), self._lengths) if self._lengths else ()
        free = iter(self._order)
        return tuple(self._fixed[k] if k in self._fixed else int(index[next(free)]) for k in range(self.array.ndim - 2))

    def _files(self, folder: Path, leading: tuple[int, ...], rows: slice, columns: slice) -> Iterator[Path]:
        """Yield the files of the chunks or shards that a part lies in."""
        sides = self.array.shards or self.array.chunks
        first = [index // side for index, side in zip(leading, sides, strict=False)]
        for y in range(rows.start // sides[-2], (rows.stop - 1) // sides[-2] + 1):
            for x in range(columns.start // sides[-1], (columns.stop - 1) // sides[-1] + 1):
                key = self.array.metadata.encode_chunk_key((*first, y, x))
                path = folder / key
                if path.exists():  # chunks of zeros have no file
                    yield path


class ZarrPlane:
    """One plane of `ZarrPlanes`: (Y, X). A slice of it is in memory."""

    def __init__(self, planes: ZarrPlanes, n: int) -> None:
        self._planes, self._n = planes, n
        self.shape: tuple[int, int] = planes.shape[1:]
        self.dtype, self.ndim = planes.dtype, 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        return self._planes[self._n, rows, columns]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all pixels in memory."""
        return np.asarray(self[:, :], dtype)

    def min(self) -> float:
        """Return the smallest pixel."""
        return min(float(self[block].min()) for block in self._planes.blocks())

    def max(self) -> float:
        """Return the largest pixel."""
        return max(float(self[block].max()) for block in self._planes.blocks())
