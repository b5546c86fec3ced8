"""The names of the structures that the ticked layers of a training show, for one model of several structures."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from qtpy.QtWidgets import QCheckBox, QGridLayout, QLineEdit, QVBoxLayout, QWidget

from ...base.errors import InputError
from ...diffusion.groups import as_groups
from ..viewer.layer_structure import layer_structure
from .pickers import label_of_a_layer
from .plain import set_tooltip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Image as ImageLayer
    from superqt import QElidingLabel

    from .pickers import LayerList

_Item = TypeVar("_Item")


class StructureNames(QWidget):
    """A box *one model of several structures* and, while it is ticked, a name for each ticked layer.

    Layers with the same name show the same structure. A layer keeps its name until it is removed.
    """

    def __init__(self, layers: LayerList) -> None:
        super().__init__()
        self._layers = layers
        self._names: WeakKeyDictionary[ImageLayer, str] = WeakKeyDictionary()
        self._listed: list[ImageLayer] = []
        self.fields: list[QLineEdit] = []
        self._labels: list[QElidingLabel] = []
        self.several = QCheckBox("one model of several structures")
        self.several.setToolTip(
            "name what each ticked layer shows: the model then generates the structure that you choose by its name"
        )
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._grid.setContentsMargins(0, 0, 0, 0)
        for column in (0, 1):  # names of layers are elided
            self._grid.setColumnStretch(column, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.several)
        layout.addWidget(self._rows)
        self.several.toggled.connect(self._refresh)
        layers.changed.connect(self._refresh)
        self._refresh()

    def show_names(self, names: Mapping[str, str]) -> None:
        """Tick the box if there are names, and enter those of the ticked layers."""
        self.several.setChecked(bool(names))
        self.name_layers(names)

    def name_layers(self, names: Mapping[str, str]) -> None:
        """Enter names of structures, by the names of the layers."""
        self._refresh()
        for layer, field in zip(self._listed, self.fields, strict=True):
            if layer.name in names:
                field.setText(names[layer.name])

    def grouped(
        self, layers: Sequence[ImageLayer], sources: Sequence[Sequence[_Item]]
    ) -> tuple[_Item, ...] | dict[str, tuple[_Item, ...]]:
        """Return the sources of all layers; by the name of the structure while the box is ticked.

        Parameters
        ----------
        layers
            The ticked layers.
        sources
            The sources of each layer.

        Raises
        ------
        InputError
            If a layer has no name, or the names cannot be those of several structures.
        """
        if not self.several.isChecked():
            return tuple(source for own in sources for source in own)
        groups: dict[str, list[_Item]] = {}
        for layer, own in zip(layers, sources, strict=True):
            name = self._name(layer).strip()
            if not name:
                raise InputError(f"Name the structure that {layer.name} shows, or untick one model of several.")
            groups.setdefault(name, []).extend(own)
        return {name: tuple(own) for name, own in as_groups(groups).items()}

    def _name(self, layer: ImageLayer) -> str:
        return self._names.get(layer, layer_structure(layer))

    def _refresh(self, *_: object) -> None:
        """Show a field for each ticked layer."""
        listed = self._layers.layers() if self.several.isChecked() else []
        self._rows.setVisible(bool(listed))
        if not _same(listed, self._listed):  # otherwise a field that the user types in stays
            for widget in (*self._labels, *self.fields):
                widget.deleteLater()
            self._listed, self.fields, self._labels = listed, [], []
            for row, layer in enumerate(listed):
                self._add_row(row, layer)
        for layer, label in zip(listed, self._labels, strict=True):
            label.setText(layer.name)
            set_tooltip(label, layer.name)

    def _add_row(self, row: int, layer: ImageLayer) -> None:
        label, field = label_of_a_layer(), QLineEdit(self._name(layer))
        field.setObjectName("structure")
        field.setPlaceholderText("its structure")
        field.setToolTip("what the layer shows, such as microtubules; layers with the same name belong together")
        field.textChanged.connect(lambda text: self._names.__setitem__(layer, text))
        self._grid.addWidget(label, row, 0)
        self._grid.addWidget(field, row, 1)
        self.fields.append(field)
        self._labels.append(label)


def _same(layers: Sequence[ImageLayer], others: Sequence[ImageLayer]) -> bool:
    """Return whether two lists hold the same layers in the same order."""
    return [id(layer) for layer in layers] == [id(layer) for layer in others]
