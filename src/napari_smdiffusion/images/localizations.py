"""Localization tables of the common programs, and their rendering as an image.

The table reader keeps the columns that rendering needs: x, y and the localization precision, all in nm. It also reads z
of a 3-D table; the rendered image is a projection along z.
"""

from __future__ import annotations

import math
import warnings
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from ..base.errors import InputError, InputWarning
from .image import Image, read_only
from .readers import READERS, image_reader

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

TABLE_SUFFIXES = (".csv", ".hdf5", ".h5")

# Headers of x, y and precision. All are in nm, except in DECODE's files, which state their unit.
_HEADERS: dict[str, tuple[str, str, str | None]] = {
    "ThunderSTORM": ("x [nm]", "y [nm]", "uncertainty [nm]"),
    "ThunderSTORM (older)": ("x[nm]", "y[nm]", "uncertainty[nm]"),
    "ThunderSTORM (3-D)": ("x [nm]", "y [nm]", "uncertainty_xy [nm]"),
    "SMAP": ("xnm", "ynm", "locprecnm"),
    "DECODE": ("x", "y", "x_sig"),
}
# Header of z for each header of x.
_DEPTH = {"x [nm]": "z [nm]", "x[nm]": "z[nm]", "xnm": "znm", "x": "z"}
_PIXEL_SIZE = 20.0  # nm; default of a rendered image
_MARGIN = 2  # pixels around the outermost molecules
_MAX_PIXELS = 2**28  # a table in the wrong unit would give an absurdly large image


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


def is_table(path: Path) -> bool:
    """Return whether a file looks like a localization table. Only its header is read."""
    try:
        if path.suffix.lower() == ".csv":
            import pandas as pd

            columns = _stripped(pd.read_csv(path, comment="#", skipinitialspace=True, nrows=0))
            # Any csv file may have columns x and y. DECODE's files also have a comment with the unit.
            return any(
                names[0] in columns and names[1] in columns and (names[0] != "x" or "xy_unit" in _comments(path))
                for names in _HEADERS.values()
            )
        import h5py

        with h5py.File(path) as file:
            return {"x", "y"} <= set(file["locs"].dtype.names or ())
    # Without h5py another reader may still read the file. An HDF5 group has no dtype.
    except (ImportError, OSError, ValueError, KeyError, AttributeError):
        return False


def read_table(path: Path) -> Localizations:
    """Read a localization table of ThunderSTORM, SMAP or DECODE (csv), or of Picasso (hdf5 with its yaml).

    Raises
    ------
    InputError
        If the file is none of these; the message names the file and the expected headers.
    """
    if path.suffix.lower() != ".csv":
        return _read_picasso(path)
    import pandas as pd

    try:
        table = pd.read_csv(path, comment="#", skipinitialspace=True)
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path} cannot be read as a table ({error}).") from error
    table = _stripped(table)
    # Headers that also match in the precision are tried before headers that match in x and y only.
    for x, y, precision in sorted(_HEADERS.values(), key=lambda names: names[2] not in table):
        if x in table and y in table:
            return _localizations(table, (x, y, precision), _decode_unit(path) if x == "x" else 1.0, path)
    raise InputError(
        f"{path} has the columns {', '.join(map(str, table.columns[:6]))}: a localization table needs "
        "'x [nm]' and 'y [nm]' (ThunderSTORM) or 'xnm' and 'ynm' (SMAP)."
    )


def _stripped(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose column names have no surrounding blanks."""
    return table.rename(columns=lambda name: str(name).strip())


def _comments(path: Path) -> str:
    """Return the comment lines at the beginning of a csv file."""
    with path.open(encoding="utf-8") as file:
        return "".join(line for line in islice(file, 10) if line.startswith("#"))


def _decode_unit(path: Path) -> float:
    """Return the nm per unit of a DECODE csv file, whose comment lines state its unit (nm or pixels)."""
    if '"xy_unit": "nm"' in _comments(path).replace("'", '"'):
        return 1.0
    raise InputError(
        f"{path} does not state that x and y are in nm: export it in nm, or name the columns 'x [nm]', 'y [nm]'."
    )


def _localizations(table: pd.DataFrame, names: tuple[str, str, str | None], unit: float, path: Path) -> Localizations:
    def column(name: str) -> npt.NDArray[np.float64]:
        try:
            return np.asarray(table[name].to_numpy(np.float64) * unit)
        except ValueError as error:
            raise InputError(
                f"{path} holds something other than numbers in {name!r} ({error}): correct this column."
            ) from error

    x, y = (column(name) for name in names[:2])
    precision = np.full(len(x), np.nan) if names[2] is None or names[2] not in table else column(names[2])
    depth = _DEPTH[names[0]]
    return _with_finite_position(Localizations(x, y, precision, column(depth) if depth in table else None), path)


def _with_finite_position(table: Localizations, path: Path) -> Localizations:
    """Return the localizations whose x and y are finite; raises InputError if there is none."""
    finite = np.isfinite(table.x) & np.isfinite(table.y)
    if not finite.any():
        raise InputError(f"{path} holds no localization: export it again with at least one.")
    z = None if table.z is None else table.z[finite]
    return Localizations(table.x[finite], table.y[finite], table.precision[finite], z)


def _read_picasso(path: Path) -> Localizations:
    """Read Picasso's `locs` dataset (camera pixels) and the pixel size from the yaml file beside it."""
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"Reading {path} needs h5py: pip install h5py.") from error
    try:
        with h5py.File(path) as file:
            locs: Any = file["locs"][:]
    except (OSError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a Picasso localization file ({error}).") from error
    missing = {"x", "y"} - set(locs.dtype.names or ())
    if missing or len(locs) == 0:
        raise InputError(f"{path} holds no x and y of localizations: export it from Picasso again.")
    camera_pixel = _picasso_pixel_size(path)
    x, y = (locs[name].astype(np.float64) * camera_pixel for name in ("x", "y"))
    precision = locs["lpx"].astype(np.float64) * camera_pixel if "lpx" in locs.dtype.names else np.full(len(x), np.nan)
    # Picasso stores x and y in camera pixels, but z in nm.
    z = locs["z"].astype(np.float64) if "z" in locs.dtype.names else None
    return _with_finite_position(Localizations(x, y, precision, z), path)


def _picasso_pixel_size(path: Path) -> float:
    """Return the side of a camera pixel in nm from the yaml file beside a Picasso file.

    The yaml file has one document per processing step.
    """
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
        """Reads Python's own types as None, for example a tuple for the ROI, so that the file stays readable."""

    Loader.add_multi_constructor("", lambda *_: None)
    text = path.with_suffix(".yaml")
    try:
        documents = list(yaml.load_all(text.read_bytes(), Loader)) if text.exists() else []
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{text} is not a yaml file ({reason}): export {path.name} from Picasso again.") from error
    for document in documents:
        for key, value in document.items() if isinstance(document, dict) else ():
            if str(key).lower() == "pixelsize" and not isinstance(value, bool):
                # YAML reads 1e2 as text: its floats need a point and a sign.
                with suppress(ValueError, TypeError):
                    if 0 < float(value) < math.inf:
                        return float(value)
    raise InputError(
        f"{text} does not state 'Pixelsize' as a number (nm of a camera pixel): put it beside {path.name}."
    )


def render(localizations: Localizations, pixel_size: float, levels: int = 6) -> npt.NDArray[np.float32]:
    """Render each molecule as a normalised Gaussian of its own precision.

    The molecules are sorted into a few levels of precision. The histogram of each level is blurred once by the level's
    mean precision. A million localizations take about a second.

    Parameters
    ----------
    localizations
        Positions and precision in nm. An unknown precision is replaced by half a pixel.
    pixel_size
        Side of the image's pixels in nm.
    levels
        Number of different blurs.

    Returns
    -------
    (Y, X) float32, molecules per pixel, with a margin of two pixels around the outermost molecules. `rendered_corner`
    returns the position of its corner.

    Raises
    ------
    InputError
        If the image would have more than 2**28 pixels.
    """
    x, y = localizations.x - localizations.x.min(), localizations.y - localizations.y.min()
    shape = (int(y.max() / pixel_size) + 2 * _MARGIN + 1, int(x.max() / pixel_size) + 2 * _MARGIN + 1)
    if shape[0] * shape[1] > _MAX_PIXELS:
        raise InputError(
            f"Rendered at {pixel_size:g} nm the localizations fill {shape[0]} × {shape[1]} pixels: "
            "check that the table is in nm, or choose a larger pixel size."
        )
    shape = (max(shape[0], 16), max(shape[1], 16))
    blur = np.where(np.isfinite(localizations.precision), localizations.precision / pixel_size, 0.5)
    blur = np.clip(blur, 0.3, 20)
    level_indices = np.array_split(np.argsort(blur), min(levels, len(blur)))
    image = np.zeros(shape, np.float32)
    for indices in level_indices:
        rows, columns = ((positions[indices] / pixel_size).astype(int) + _MARGIN for positions in (y, x))
        counts = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
        image += gaussian_filter(counts.reshape(shape).astype(np.float32), float(blur[indices].mean()))
    return image


def rendered_corner(localizations: Localizations, pixel_size: float) -> tuple[float, float]:
    """Return the upper left corner of the rendered image, (y, x) in nm."""
    y, x = (float(positions.min()) - _MARGIN * pixel_size for positions in (localizations.y, localizations.x))
    return y, x


@READERS.register("localization table")
@image_reader(*TABLE_SUFFIXES, supports=is_table)
def read_rendered(path: Path, pixel_size: float | None) -> Image:
    """Read a localization table and render it with pixels of `pixel_size` nm (None: 20 nm).

    Warns
    -----
    InputWarning
        If the table is 3-D: its image is a projection along z.
    """
    table, rendered_pixel = read_table(path), pixel_size or _PIXEL_SIZE
    if table.depth:
        low, high = table.depth
        message = f"{path} is 3-D (z from {low:.4g} to {high:.4g} nm): its image is a projection along z."
        warnings.warn(InputWarning(message), stacklevel=3)
    pixels = read_only(render(table, rendered_pixel))
    return Image(pixels, rendered_pixel, rendered_corner(table, rendered_pixel), path.name)
