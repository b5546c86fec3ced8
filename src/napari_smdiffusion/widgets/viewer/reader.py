"""napari's reader of localization tables. Without Qt.

TIFF files are left to napari: a plugin that claims them makes napari ask which reader to use, for every TIFF file. The
docks read the pixel size and the provenance of these files themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .samples import LayerData

if TYPE_CHECKING:
    Reader = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the function that reads localization tables, or None where a file is anything else.

    Parameters
    ----------
    path
        A file, or the files of a stack.
    """
    from ...images.localizations import is_table

    return read_tables if all(is_table(one) for one in _paths(path)) else None


def read_tables(path: str | Sequence[str]) -> list[LayerData]:
    """Return each table as an image layer at its place in nm, rendered with pixels of 20 nm.

    Raises
    ------
    InputError
        If a table cannot be read; the sentence names it.

    Warns
    -----
    InputWarning
        If a table is 3-D: its image is a projection along z.
    """
    from ...images.reading import read_image
    from .samples import layer_data

    return [layer_data(read_image(one), one.stem) for one in _paths(path)]


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(one) for one in ([path] if isinstance(path, str) else path)]
