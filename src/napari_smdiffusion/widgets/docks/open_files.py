"""The widget that opens localization tables and images with a chosen pixel size, at their places."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from ...base.errors import InputError, InputWarning, is_user_error, sentence_of
from ...images.localizations import Localizations, ZRange, checked_z_range, read_table
from ...images.ome_zarr import is_store, open_store
from ...images.readers import image_suffixes
from ..parts.numbers import NumberField
from ..parts.plain import plain_label, plain_message, set_tooltip
from ..viewer.layers import image_layers
from ..viewer.tables import RenderedTable, layer_of_table, layers_of_files, rendered_table, show_rendered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer


class OpenFiles(QWidget):
    """Opens files with a pixel size and a range of z, and renders the table of a layer again with others."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer: Viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._table: tuple[Path, float, Localizations] | None = None  # the last table, with the time of its file
        self.pixel_size = NumberField(0, 10_000, suffix=" nm", zero="20 nm, or what fits")
        self.pixel_size.setObjectName("pixel_size")
        self.pixel_size.setToolTip("side of a pixel of a rendered localization table; images have their own")
        self.z_min, self.z_max = _bound("lowest"), _bound("highest")
        self.open = QPushButton("Open files…")
        self.open.setToolTip("localization tables, and images at the place and with the contrast that they were saved")
        self.open_store = QPushButton("Open a store…")
        self.open_store.setToolTip("the folder of an OME-Zarr store: its channels become layers that are read as shown")
        self.render = QPushButton("Render again")
        self.render.setToolTip("render the localization table of the selected layer with these values")
        self.status = plain_label()
        self.status.setWordWrap(True)
        self.open.clicked.connect(self._choose_files)
        self.open_store.clicked.connect(self._choose_store)
        self.render.clicked.connect(lambda: self._guarded(self._render_again))
        self._lay_out()
        selection = self.viewer.layers.selection.events
        # napari holds functions strongly, so they are disconnected when the widget is destroyed.
        self._on_selection: Callable[..., None] = lambda event=None: self._show_selected()
        selection.active.connect(self._on_selection)
        self.destroyed.connect(lambda _=None, on=self._on_selection: selection.active.disconnect(on))
        self._show_selected()

    def open_files(self, paths: Sequence[Path]) -> list[ImageLayer]:
        """Add files as layers, and return the layers.

        Raises
        ------
        InputError
            If a file cannot be read, or the range of z is not one.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InputWarning)
            layers = layers_of_files(list(paths), self._size(), self.z_range())
        added = [self.viewer.add_image(pixels, **options) for pixels, options, _ in layers]
        self._say(caught, f"{len(added)} file{'s are' if len(added) != 1 else ' is'} open.")
        return added

    def z_range(self) -> ZRange:
        """Return the range of z in nm; raises InputError if a bound is not a number."""
        low, high = (_number(field) for field in (self.z_min, self.z_max))
        return checked_z_range((low, high))

    def _size(self) -> float | None:
        return self.pixel_size.number() or None

    def _selected(self) -> tuple[ImageLayer, RenderedTable] | None:
        """Return the selected layer that was rendered from a table, and its table."""
        active = self.viewer.layers.selection.active
        layer = next((layer for layer in image_layers(self.viewer) if layer is active), None)
        table = None if layer is None else rendered_table(layer)
        return None if layer is None or table is None else (layer, table)

    def _show_selected(self) -> None:
        """Show the values of the selected layer's table."""
        selected = self._selected()
        self.render.setEnabled(selected is not None)
        if selected is None:
            self.status.setText("Open localization tables, or select the layer of one to render it again.")
            return
        _, table = selected
        self.pixel_size.show_number(table.pixel_size)
        for field, bound in zip((self.z_min, self.z_max), table.z_range, strict=True):
            field.setText("" if bound is None else f"{bound:g}")
        self.status.setText(f"The selected layer is rendered from {table.path.name}.")

    def _render_again(self) -> None:
        selected = self._selected()
        if selected is None:
            return
        layer, table = selected
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InputWarning)
            data = layer_of_table(self._read(table.path), table.path, self._size(), self.z_range())
        show_rendered(layer, data)
        self._show_selected()
        self._say(caught, f"{table.path.name} is rendered again.")

    def _read(self, path: Path) -> Localizations:
        """Return a table; it is read once, unless its file changed."""
        if not path.is_file():
            raise InputError(f"{path} is not there: open the table again from its new place.")
        changed = path.stat().st_mtime
        if self._table is None or self._table[:2] != (path, changed):
            self._table = path, changed, read_table(path)
        return self._table[2]

    def _say(self, caught: Sequence[warnings.WarningMessage], text: str) -> None:
        self.status.setText(" ".join([text, *(str(warning.message) for warning in caught)]))

    def _choose_files(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in image_suffixes())
        names, _ = QFileDialog.getOpenFileNames(self, "Open", "", f"Tables and images ({patterns});;All files (*)")
        if names:
            self._guarded(lambda: self.open_files([Path(name) for name in names]))

    def _choose_store(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a store")
        if folder and not is_store(Path(folder)):
            self._guarded(lambda: open_store(Path(folder)))  # states why it is none
        elif folder:
            self._guarded(lambda: self.open_files([Path(folder)]))

    def _guarded(self, work: Callable[[], object]) -> None:
        """Do work with a waiting cursor, and show the sentence of an error for users."""
        QGuiApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            work()
        except Exception as error:
            if not is_user_error(error):
                raise
            sentence = sentence_of(error)
            self.status.setText(sentence)
            show_error(plain_message(sentence))
        finally:
            QGuiApplication.restoreOverrideCursor()

    def _lay_out(self) -> None:
        depth = QHBoxLayout()
        for widget in (self.z_min, QLabel("to"), self.z_max, QLabel("nm")):
            depth.addWidget(widget)
        form = QFormLayout()
        form.addRow("pixel size", self.pixel_size)
        form.addRow("z", depth)
        buttons = QHBoxLayout()
        buttons.addWidget(self.open)
        buttons.addWidget(self.open_store)
        buttons.addWidget(self.render)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.status)
        layout.addStretch()


def _bound(which: str) -> QLineEdit:
    """Return a field for a bound of z."""
    field = QLineEdit()
    field.setObjectName(f"z_{which}")
    field.setPlaceholderText("all")
    set_tooltip(field, f"{which} z of the molecules that are rendered; empty: all")
    return field


def _number(field: QLineEdit) -> float | None:
    """Return the number in a field, None if it is empty; raises InputError for other text."""
    text = field.text().strip().replace(",", ".").replace("−", "-")
    try:
        return float(text) if text else None
    except ValueError:
        raise InputError(f"z must be a number of nm, or empty for all, not {field.text()[:20]!r}.") from None
