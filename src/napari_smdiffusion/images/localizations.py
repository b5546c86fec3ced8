"""Localization tables of the common programs, and their rendering as an image.

A table is reduced to what rendering needs: x, y and the localization precision, all in nm. z of a 3-D table is read
too; an image is a projection along it.
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

# Headers of x, y and precision, in nm but for DECODE, whose files say their unit.
_HEADERS: dict[str, tuple[str, str, str | None]] = {
    "ThunderSTORM": ("x [nm]", "y [nm]", "uncertainty [nm]"),
    "ThunderSTORM (older)": ("x[nm]", "y[nm]", "uncertainty[nm]"),
    "ThunderSTORM (3-D)": ("x [nm]", "y [nm]", "uncertainty_xy [nm]"),
    "SMAP": ("xnm", "ynm", "locprecnm"),
    "DECODE": ("x", "y", "x_sig"),
}
# Header of z, by that of x.
_DEPTH = {"x [nm]": "z [nm]", "x[nm]": "z[nm]", "xnm": "znm", "x": "z"}
_PIXEL_SIZE = 20.0  # nm, of a rendered image by default
_MARGIN = 2  # pixels around the outermost molecules
_MOST_PIXELS = 2**28  # a table in the wrong unit asks for absurd images


@dataclass(frozen=True)
class Localizations:
    """Positions and localization precision of single molecules, each (n,) float64 in nm.

    Precision and z may be NaN; z is None where the table has none.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    z: npt.NDArray[np.float64] | None = None

    @property
    def depth(self) -> tuple[float, float] | None:
        """Least and greatest z in nm, or None where all molecules lie in one plane."""
        known = np.empty(0) if self.z is None else self.z[np.isfinite(self.z)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        return (low, high) if low < high else None


def is_table(path: Path) -> bool:
    """Return whether a file looks like a localization table; only its header is read."""
    try:
        if path.suffix.lower() == ".csv":
            import pandas as pd

            columns = _stripped(pd.read_csv(path, comment="#", skipinitialspace=True, nrows=0))
            # Columns that are called x and y may be anything, but for DECODE's comment.
            return any(
                names[0] in columns and names[1] in columns and (names[0] != "x" or "xy_unit" in _comments(path))
                for names in _HEADERS.values()
            )
        import h5py

        with h5py.File(path) as file:
            return {"x", "y"} <= set(file["locs"].dtype.names or ())
    # Without h5py another reader may be able to; a group has no dtype.
    except (ImportError, OSError, ValueError, KeyError, AttributeError):
        return False


def read_table(path: Path) -> Localizations:
    """Read a localization table of ThunderSTORM, SMAP (csv), Picasso (hdf5 with its yaml) or DECODE (csv).

    Raises
    ------
    InputError
        If the file is none of these; the sentence names it and the headers that were looked for.
    """
    if path.suffix.lower() != ".csv":
        return _read_picasso(path)
    import pandas as pd

    try:
        table = pd.read_csv(path, comment="#", skipinitialspace=True)
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path} cannot be read as a table ({error}).") from error
    table = _stripped(table)
    # A header whose precision is there too comes before one that fits in x and y alone.
    for x, y, precision in sorted(_HEADERS.values(), key=lambda names: names[2] not in table):
        if x in table and y in table:
            return _localizations(table, (x, y, precision), _decode_unit(path) if x == "x" else 1.0, path)
    raise InputError(
        f"{path} has the columns {', '.join(map(str, table.columns[:6]))}: a localization table needs "
        "'x [nm]' and 'y [nm]' (ThunderSTORM) or 'xnm' and 'ynm' (SMAP)."
    )


def _stripped(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without blanks around the names of its columns."""
    return table.rename(columns=lambda name: str(name).strip())


def _comments(path: Path) -> str:
    """Return the comment lines at the beginning of a csv file."""
    with path.open(encoding="utf-8") as file:
        return "".join(line for line in islice(file, 10) if line.startswith("#"))


def _decode_unit(path: Path) -> float:
    """Return nm per unit of a DECODE csv, which says in its comment lines whether it is in nm or in pixels."""
    if '"xy_unit": "nm"' in _comments(path).replace("'", '"'):
        return 1.0
    raise InputError(
        f"{path} does not say that x and y are in nm: export it in nm, or name the columns 'x [nm]', 'y [nm]'."
    )


def _localizations(table: pd.DataFrame, names: tuple[str, str, str | None], unit: float, path: Path) -> Localizations:
    def column(name: str) -> npt.NDArray[np.float64]:
        try:
            return np.asarray(table[name].to_numpy(np.float64) * unit)
        except ValueError as error:
            raise InputError(f"{path} holds something other than numbers in {name!r} ({error}): mend it.") from error

    x, y = (column(name) for name in names[:2])
    precision = np.full(len(x), np.nan) if names[2] is None or names[2] not in table else column(names[2])
    depth = _DEPTH[names[0]]
    return _known(Localizations(x, y, precision, column(depth) if depth in table else None), path)


def _known(table: Localizations, path: Path) -> Localizations:
    """Return those whose x and y are numbers."""
    known = np.isfinite(table.x) & np.isfinite(table.y)
    if not known.any():
        raise InputError(f"{path} holds no localization: export it again with at least one.")
    z = None if table.z is None else table.z[known]
    return Localizations(table.x[known], table.y[known], table.precision[known], z)


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
    step = _picasso_pixel_size(path)
    x, y = (locs[name].astype(np.float64) * step for name in ("x", "y"))
    precise = locs["lpx"].astype(np.float64) * step if "lpx" in locs.dtype.names else np.full(len(x), np.nan)
    # z alone is in nm already.
    z = locs["z"].astype(np.float64) if "z" in locs.dtype.names else None
    return _known(Localizations(x, y, precise, z), path)


def _picasso_pixel_size(path: Path) -> float:
    """Return the side of a camera pixel in nm from the yaml file beside a Picasso file: one document per step."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
        """Reads Python's own types, such as a tuple that is the ROI, as None rather than refuse the whole file."""

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
                # YAML takes 1e2 for text: a float needs a point and a sign there.
                with suppress(ValueError, TypeError):
                    if 0 < float(value) < math.inf:
                        return float(value)
    raise InputError(
        f"{text} does not state 'Pixelsize' as a number (nm of a camera pixel): put it beside {path.name}."
    )


def render(localizations: Localizations, pixel_size: float, levels: int = 6) -> npt.NDArray[np.float32]:
    """Render each molecule as a normalised Gaussian of its own precision.

    The molecules are sorted into a few levels of precision, and each level's histogram is blurred once by its mean: a
    million localizations take a second.

    Parameters
    ----------
    localizations
        Positions and precision in nm. An unknown precision counts as half a pixel.
    pixel_size
        Side of the image's pixels in nm.
    levels
        Number of different blurs.

    Returns
    -------
    (Y, X) float32, molecules per pixel; a margin of two pixels is left around the outermost ones, and
    `rendered_corner` tells where its corner lies.

    Raises
    ------
    InputError
        If the image would have more than 2**28 pixels.
    """
    x, y = localizations.x - localizations.x.min(), localizations.y - localizations.y.min()
    shape = (int(y.max() / pixel_size) + 2 * _MARGIN + 1, int(x.max() / pixel_size) + 2 * _MARGIN + 1)
    if shape[0] * shape[1] > _MOST_PIXELS:
        raise InputError(
            f"Rendered at {pixel_size:g} nm the localizations fill {shape[0]} × {shape[1]} pixels: "
            "check that the table is in nm, or choose a larger pixel size."
        )
    shape = (max(shape[0], 16), max(shape[1], 16))
    blur = np.where(np.isfinite(localizations.precision), localizations.precision / pixel_size, 0.5)
    blur = np.clip(blur, 0.3, 20)
    order = np.array_split(np.argsort(blur), min(levels, len(blur)))
    image = np.zeros(shape, np.float32)
    for part in order:
        rows, columns = ((along[part] / pixel_size).astype(int) + _MARGIN for along in (y, x))
        counts = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
        image += gaussian_filter(counts.reshape(shape).astype(np.float32), float(blur[part].mean()))
    return image


def rendered_corner(localizations: Localizations, pixel_size: float) -> tuple[float, float]:
    """Return where the corner of the rendered image lies, (y, x) in nm."""
    y, x = (float(along.min()) - _MARGIN * pixel_size for along in (localizations.y, localizations.x))
    return y, x


@READERS.register("localization table")
@image_reader(*TABLE_SUFFIXES, supports=is_table)
def read_rendered(path: Path, pixel_size: float | None) -> Image:
    """Read a localization table and render it with pixels of 20 nm, or of another size.

    Warns
    -----
    InputWarning
        If the table is 3-D: its image is a projection along z.
    """
    table, step = read_table(path), pixel_size or _PIXEL_SIZE
    if table.depth:
        low, high = table.depth
        sentence = f"{path} is 3-D (z from {low:.4g} to {high:.4g} nm): its image is a projection along z."
        warnings.warn(InputWarning(sentence), stacklevel=3)
    return Image(read_only(render(table, step)), step, rendered_corner(table, step), path.name)
