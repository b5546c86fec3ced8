"""Localization tables of the common programs.

The table reader keeps the columns that rendering needs: x, y, z and the localization precision, all in nm.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..base.errors import InputError, InputWarning
from .image import Image, read_only
from .readers import READERS, image_reader
from .rendering import DEFAULT_PIXEL_SIZE, render, rendered_corner

if TYPE_CHECKING:
    import os

TABLE_SUFFIXES = (".csv", ".hdf5", ".h5")
# Files with these suffixes are often something else.
TEXT_SUFFIXES = (".tsv", ".txt", ".xls")
_HDF5_SUFFIXES = (".hdf5", ".h5")
_LARGEST = 1e10  # nm; a position is within metres of the origin of any stage


@dataclass(frozen=True)
class Localizations:
    """Positions and localization precision of single molecules, each (n,) float64 in nm.

    Precision and z may be NaN; z is None if the table has no such column.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    z: npt.NDArray[np.float64] | None = None

    @property
    def depth(self) -> tuple[float, float] | None:
        """Lowest and highest z in nm, or None if all molecules are in one plane."""
        finite = np.empty(0) if self.z is None else self.z[np.isfinite(self.z)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        return (low, high) if low < high else None

    def slab(self, z_range: ZRange, name: str = "The table") -> Localizations:
        """Return the molecules whose z is within a range.

        Parameters
        ----------
        z_range
            (lowest, highest) z in nm, both included; None for no bound.
        name
            Name of the table for the message.

        Raises
        ------
        InputError
            If the table has no z, or no molecule in this range.
        """
        low, high = checked_z_range(z_range)
        if low is None and high is None:
            return self
        if self.z is None:
            raise InputError(f"{name} has no z: leave out the range of z.")
        bounds = -math.inf if low is None else low, math.inf if high is None else high
        inside = (self.z >= bounds[0]) & (self.z <= bounds[1])
        if not inside.any():
            depth = self.depth or (float(np.nanmin(self.z)), float(np.nanmax(self.z)))
            raise InputError(
                f"{name} holds no localization with z {_in_words(low, high)} nm: "
                f"choose a range within {depth[0]:.4g} to {depth[1]:.4g} nm."
            )
        return Localizations(self.x[inside], self.y[inside], self.precision[inside], self.z[inside])


def _in_words(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"of at most {high:.4g}" if low is None else f"of at least {low:.4g}"
    return f"from {low:.4g} to {high:.4g}"


ZRange = tuple[float | None, float | None]
WHOLE_DEPTH: ZRange = (None, None)


def checked_z_range(z_range: ZRange) -> ZRange:
    """Return a range of z in nm; raises InputError if a bound is not a number, or the lower one is the higher one."""
    low, high = z_range
    for bound in (low, high):
        if bound is not None and not math.isfinite(bound):
            raise InputError(f"The range of z must have finite bounds in nm, not {bound:g}.")
    if low is not None and high is not None and low >= high:
        raise InputError(f"The range of z must begin below its end, not go from {low:g} to {high:g} nm.")
    return z_range


def is_table(path: Path) -> bool:
    """Return whether a file looks like a localization table. Only its beginning is read."""
    try:
        if not path.is_file():
            return False
        if path.suffix.lower() == ".npy":
            from .table_npy import is_npy_table

            return is_npy_table(path)
        if _is_hdf5(path):
            from .table_hdf5 import is_hdf5_table

            return is_hdf5_table(path)
        from .table_format import table_format

        # Any text file may have columns x and y. Tables of localizations also state the unit.
        return table_format(path).columns.units_are_known
    # Without h5py, another reader may still read the file. h5py raises RuntimeError for damaged files.
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, TypeError, ImportError):
        return False


def _is_hdf5(path: Path) -> bool:
    """Return whether a file is an HDF5 file, by its suffix or its signature."""
    if path.suffix.lower() in _HDF5_SUFFIXES:
        return True
    with path.open("rb") as file:
        # The signature of MATLAB's files is after a block of their own.
        return file.read(8) == b"\x89HDF\r\n\x1a\n" or (file.seek(512), file.read(8))[1] == b"\x89HDF\r\n\x1a\n"


def read_table(path: Path) -> Localizations:
    """Read a localization table.

    Parameters
    ----------
    path
        A text file of ThunderSTORM, SMAP, N-STORM, rapidSTORM, Elyra, Nanoimager, DECODE or a similar program. Or an
        HDF5 file of Picasso (with its yaml file), DECODE or SMAP, or a NumPy file of a MINFLUX microscope. The names of
        the columns state the units.

    Raises
    ------
    InputError
        If the file is none of these, a row has another number of fields than the first, or a value is no number. The
        message names the file, the reason and the line.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a regular file: give a file with a table.")
    if path.suffix.lower() == ".npy":
        from .table_npy import read_npy

        values = read_npy(path)
    elif _is_hdf5(path):
        from .table_hdf5 import read_hdf5

        values = read_hdf5(path)
    else:
        values = _read_text(path)
    x, y = values["x"], values["y"]
    if x is None or y is None:
        raise InputError(f"{path} holds no x and y of localizations: export it again.")
    return localizations(x, y, values["z"], values["precision"], path)


def _read_text(path: Path) -> dict[str, npt.NDArray[np.float64] | None]:
    """Return the columns x, y, z and precision of a text file in nm; None for an absent one."""
    from .picasso_yaml import camera_pixel_beside, camera_pixel_in_comments
    from .table_columns import checked_columns
    from .table_format import table_format
    from .table_text import read_fields

    layout = table_format(path)
    columns = checked_columns(layout.columns, path)
    pixel = None
    if columns.in_pixels:
        pixel = camera_pixel_in_comments(layout.comments, path)
        if pixel is None and path.with_suffix(".yaml").is_file():
            pixel = camera_pixel_beside(path)
        if pixel is None:
            raise InputError(
                f"{path} has positions in camera pixels and does not state the size of a pixel: export it in nm, or "
                "begin it with the line '# pixel size: 100 nm', with your size."
            )
    read = read_fields(path, layout, [column.index for column in columns.all])
    values = {
        column.index: numbers * column.nanometres(pixel) for column, numbers in zip(columns.all, read, strict=True)
    }
    named = {"x": columns.x, "y": columns.y, "z": columns.z, "precision": columns.precision}
    return {name: None if column is None else values[column.index] for name, column in named.items()}


def localizations(
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    z: npt.NDArray[np.float64] | None,
    precision: npt.NDArray[np.float64] | None,
    path: Path,
) -> Localizations:
    """Return the localizations whose x and y are finite.

    Raises
    ------
    InputError
        If there is none, or a position is too far away to be one.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.any():
        raise InputError(f"{path} holds no localization: export it again with at least one.")
    precision = np.full(len(x), np.nan) if precision is None else precision
    if not finite.all():
        x, y, precision = x[finite], y[finite], precision[finite]
        z = None if z is None else z[finite]
    for values in (x, y):
        farthest = float(np.abs(values).max())
        if farthest > _LARGEST:
            raise InputError(
                f"{path} holds a position of {farthest:.3g} nm, which is outside any microscope: "
                "correct this value, or the unit of its column."
            )
    return Localizations(x, y, np.where(precision > 0, precision, np.nan), z)


def render_table(path: Path, pixel_size: float | None, z_range: ZRange = WHOLE_DEPTH) -> Image:
    """Read a localization table and render it.

    Parameters
    ----------
    path
        File of the table.
    pixel_size
        Side of a pixel of the image in nm; None: 20 nm.
    z_range
        (lowest, highest) z of the molecules in nm; None for no bound.

    Raises
    ------
    InputError
        As `read_table`, `Localizations.slab` and `render`.

    Warns
    -----
    InputWarning
        If the table is 3-D and no range of z is chosen: its image is a projection along z.
    """
    table, rendered_pixel = read_table(path), pixel_size or DEFAULT_PIXEL_SIZE
    if z_range != WHOLE_DEPTH:
        table = table.slab(z_range, str(path))
    elif table.depth:
        low, high = table.depth
        message = f"{path} is 3-D (z from {low:.4g} to {high:.4g} nm): its image is a projection along z."
        warnings.warn(InputWarning(message), stacklevel=3)
    pixels = read_only(render(table, rendered_pixel, str(path)))
    return Image(pixels, rendered_pixel, rendered_corner(table, rendered_pixel), path.name)


@dataclass(frozen=True)
class TableSlab:
    """A localization table of which a job uses the molecules within a range of z.

    A job takes it instead of the path of the table: `TrainJob(TableSlab("locs.csv", -200, 200))`.

    Parameters
    ----------
    path
        File of the table.
    z_min, z_max
        Lowest and highest z in nm; None for no bound.
    pixel_size
        Side of a pixel of the rendered image in nm; None: that of the job, or 20 nm.

    Raises
    ------
    InputError
        If the range of z is empty.
    """

    path: str | os.PathLike[str]
    z_min: float | None = None
    z_max: float | None = None
    pixel_size: float | None = None

    def __post_init__(self) -> None:
        checked_z_range((self.z_min, self.z_max))

    @property
    def name(self) -> str:
        """Name of the table in messages and in the provenance of results."""
        return str(Path(self.path))

    def read(self, stop: object = None, pixel_size: float | None = None) -> Image:
        """Render the table.

        Parameters
        ----------
        stop
            Not used: the table is read at once.
        pixel_size
            Side of a pixel in nm, instead of that of the slab.

        Raises
        ------
        InputError
            As `render_table`.
        """
        return render_table(Path(self.path), pixel_size or self.pixel_size, (self.z_min, self.z_max))


@READERS.register("localization table")
@image_reader(*TABLE_SUFFIXES, *TEXT_SUFFIXES, supports=is_table, also_other_files=TEXT_SUFFIXES)
def read_rendered(path: Path, pixel_size: float | None) -> Image:
    """Read a localization table and render it with pixels of `pixel_size` nm (None: 20 nm).

    Warns
    -----
    InputWarning
        If the table is 3-D: its image is a projection along z.
    """
    return render_table(path, pixel_size)


# napari opens NumPy files itself: a second reader would make it ask for each of them.
READERS.register("localization array")(
    image_reader(".npy", supports=is_table, in_napari=False, also_other_files=(".npy",))(
        lambda path, pixel_size: read_rendered.read(path, pixel_size)
    )
)
