"""napari's reader of the files that napari itself cannot read. Without Qt.

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
    """Return the function that reads such files, or None where one of them is of another kind.

    Parameters
    ----------
    path
        A file, or the files of a stack.
    """
    from ...images.readers import readers_of_suffix

    def known(one: Path) -> bool:
        return any(reader.in_napari and reader.supports(one) for reader in readers_of_suffix(one))

    return read_layers if all(known(one) for one in _paths(path)) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Return each file as an image layer at its place in nm; a localization table has pixels of 20 nm.

    Raises
    ------
    InputError
        If a file cannot be read; the sentence names it.

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
