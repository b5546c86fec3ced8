"""The button that saves the results of a run as TIFF files with their mark, pixel size and place."""

from __future__ import annotations

import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton

from ...base.errors import InputError, Stopped, is_user_error, sentence_of
from ...base.events import Progress
from ..viewer.layers import write_tiff

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...base.events import Steps, Stop
    from .model_menu import Frame

_LONGEST = 150  # characters of a file's name
_NOT_IN_NAMES = '<>:"/\\|?*'


class SaveResults(QPushButton):
    """*Save result …*: writes the layers of the newest run that are still in the viewer.

    Attributes
    ----------
    changed
        Signal when the results to save are others.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, frame: Frame) -> None:
        super().__init__("Save result …")
        self.setObjectName("save result")
        self.setToolTip(
            "save the results of the newest run as TIFF files, which state their pixel size, place and settings, and "
            "that they are synthetic or enhanced. The File menu of napari leaves these out, unless you choose the type "
            "'TIFF with pixel size and origin'."
        )
        self._viewer, self._frame = viewer, frame
        # Weak: a reference would keep deleted layers in memory.
        self._layers: list[weakref.ref[ImageLayer]] = []
        self.setEnabled(False)
        self.clicked.connect(self.save)

    def set_layers(self, layers: Iterable[ImageLayer]) -> None:
        """Offer to save these results."""
        self._layers = [weakref.ref(layer) for layer in layers]
        self.setEnabled(bool(self._layers))
        self.changed.emit()

    def add_layers(self, layers: Iterable[ImageLayer]) -> None:
        """Offer to save these results too."""
        self.set_layers([*self.layers(), *layers])

    def layers(self) -> list[ImageLayer]:
        """Return the results that are still in the viewer."""
        results = [reference() for reference in self._layers]
        return [layer for layer in results if layer is not None and layer in self._viewer.layers]

    def save(self) -> None:
        """Ask for a file, or for a folder if there are several results, and save them in a thread."""
        try:
            layers = self.layers()
            if self._frame.running:
                raise InputError("Wait until the work is done: the result is not complete.")
            if not layers:
                raise InputError("The results are no longer in the viewer: there is nothing to save.")
            paths = self._ask_file(layers[0]) if len(layers) == 1 else self._ask_folder(layers)
        except Exception as error:
            if not is_user_error(error):
                raise
            self._frame.show_failure(sentence_of(error))
            return
        if paths:
            data = [layer.as_layer_data_tuple() for layer in layers]
            self._frame.start("saving the result", partial(_save_steps, data, paths), _saved)

    def _ask_file(self, layer: ImageLayer) -> list[Path]:
        wanted = str(_default_folder(layer) / f"{file_name(layer.name)}.tif")
        text, _ = QFileDialog.getSaveFileName(self, "Save result", wanted, "TIFF (*.tif *.tiff)")
        if not text:
            return []
        path = Path(text)
        if path.suffix.lower() not in (".tif", ".tiff"):
            path = path.with_name(f"{path.name}.tif")
            if path.exists():  # the dialog has asked about the name without the ending only
                raise FileExistsError(f"{path} exists: choose another name.")
        return [path]

    def _ask_folder(self, layers: Sequence[ImageLayer]) -> list[Path]:
        text = QFileDialog.getExistingDirectory(
            self, f"Save {len(layers)} results into a folder", str(_default_folder(layers[0]))
        )
        return free_paths(Path(text), [layer.name for layer in layers]) if text else []


def file_name(name: str) -> str:
    """Return the name of a layer as that of a file on any system, without its ending."""
    plain = "".join("_" if c in _NOT_IN_NAMES or ord(c) < 32 else c for c in name)[:_LONGEST]
    return plain.strip(" .") or "result"


def free_paths(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return a new file in `folder` for each name; a number is added to a name that is taken."""
    paths: list[Path] = []
    for name in map(file_name, names):
        path, k = folder / f"{name}.tif", 1
        while path.exists() or path in paths:
            k += 1
            path = folder / f"{name} {k}.tif"
        paths.append(path)
    return paths


def _default_folder(layer: ImageLayer) -> Path:
    source = layer.source.path
    folder = Path(source).parent if source else Path.home()
    return folder if folder.is_dir() else Path.home()


def _save_steps(
    data: Sequence[tuple[Any, dict[str, Any], str]], paths: Sequence[Path], stop: Stop
) -> Steps[list[Path]]:
    saved: list[Path] = []
    for layer, path in zip(data, paths, strict=True):
        yield Progress("saving", len(saved), len(paths), float("inf"))
        if stop():
            break
        write_tiff(str(path), [layer])
        saved.append(path)
    if not saved:
        raise Stopped("Stopped: nothing was saved.")
    return saved


def _saved(paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return f"The result is in {paths[0]}."
    return f"{len(paths)} results are in {paths[0].parent}."
