"""Reads localization tables and files of microscopes for napari. Without Qt.

napari reads TIFF files itself. If a plugin had a TIFF reader, napari would ask the user which reader to use for each
file, and `viewer.open` in scripts would fail. The docks read the pixel size, place and provenance of TIFF files
themselves (`own_files`).
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
    """Return the function that reads the files, or None if it cannot read one of them.

    Parameters
    ----------
    path
        A file, or the files of a stack.
    """
    from ...images.readers import readers_of_suffix

    def supported(file: Path) -> bool:
        return any(reader.in_napari and reader.supports(file) for reader in readers_of_suffix(file))

    return read_layers if all(supported(file) for file in _paths(path)) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Return each file as image layers at their place in nm.

    A localization table is rendered with pixels of 20 nm, or with larger ones if its image would take too much memory.
    The widget *Open with pixel size and place* renders it with others. A file of a microscope has a layer for each
    channel of each scene, which is read while it is shown.

    Raises
    ------
    InputError
        If a file cannot be read. The message names it.

    Warns
    -----
    InputWarning
        If a table is 3-D, so that its image is a projection along z, or its pixels are larger than 20 nm.
    """
    from ...images.localizations import WHOLE_DEPTH
    from .tables import layers_of_files

    return layers_of_files(_paths(path), None, WHOLE_DEPTH)


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(file) for file in ([path] if isinstance(path, str) else path)]
