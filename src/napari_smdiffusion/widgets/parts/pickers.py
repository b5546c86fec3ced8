"""Lists and combo boxes of the viewer's image layers, which update themselves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from ..viewer.enhanced_layers import original, widefield_pixels
from ..viewer.layer_pixels import known_pixel_size, known_pixels, set_pixel_size, typed_pixel_size
from ..viewer.layer_watch import watch_layers
from ..viewer.layers import image_layers, made_here, size_text
from .channels import ChannelRow
from .elided_box import ElidedBox
from .numbers import NumberField
from .plain import plain_label, set_tooltip
from .scale_button import ScaleButton
from .ticks import HandTicks, likely_few

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer


_LAYER = Qt.ItemDataRole.UserRole


class LayerList(QWidget):
    """A list of image layers with check boxes, and a field for the pixel size of layers without one.

    Parameters
    ----------
    viewer
        The viewer whose layers are listed.
    finest
        Whether experimental images with the finest pixels (super-resolution) or the coarsest (widefield) are ticked
        at first.
    weighted
        Whether each chosen layer has a weight.
    excluded
        Function that returns layers that are not ticked at first, for example because another field uses them.
    """

    changed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        *,
        finest: bool,
        weighted: bool = False,
        excluded: Callable[[], Sequence[ImageLayer]] = list,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._excluded = excluded
        self._finest = finest
        self._weighted = weighted
        self._weights: WeakKeyDictionary[ImageLayer, float] = WeakKeyDictionary()
        self._hand = HandTicks()
        self._sized: ImageLayer | None = None  # the layer of the pixel size field
        self.hint = plain_label()
        self.hint.setWordWrap(True)
        self.all = _small_button("all", "tick all images that fit: those of one pixel size that were not made here")
        self.none = _small_button("none", "tick no image")
        self.all.clicked.connect(lambda: self.choose(self._fitting(image_layers(self._viewer))))
        self.none.clicked.connect(lambda: self.choose([]))
        head = QHBoxLayout()
        head.addWidget(self.hint, 1)
        head.addWidget(self.all, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.none, 0, Qt.AlignmentFlag.AlignTop)
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names often differ at their end
        self.list.setUniformItemSizes(True)
        self._pixel_size_row = QWidget()
        row = QHBoxLayout(self._pixel_size_row)
        row.setContentsMargins(0, 0, 0, 0)
        self._pixel_size_label = label_of_a_layer()
        self.pixel_size = NumberField(0, 10_000, suffix=" nm", zero="unknown")
        self.pixel_size.setObjectName("pixel_size")
        self.pixel_size.setToolTip(
            "pixel size in nm of the named layer, whose file gives none; select the layer to correct the size later"
        )
        row.addWidget(self._pixel_size_label, 1)
        row.addWidget(self.pixel_size)
        self.use_as_scale = ScaleButton(viewer)
        self.channel = ChannelRow()
        self._weight_row = QWidget()
        weight_row = QHBoxLayout(self._weight_row)
        weight_row.setContentsMargins(0, 0, 0, 0)
        self._weight_label = label_of_a_layer("weight")
        self.weight = NumberField(0, 1000)
        self.weight.setObjectName("weight")
        self.weight.show_number(1)
        self.weight.setToolTip(
            "how often a training patch comes from the selected layer, relative to the other ticked layers"
        )
        weight_row.addWidget(self._weight_label, 1)
        weight_row.addWidget(self.weight)
        self._weight_row.setVisible(weighted)
        self._arrange(head)
        self._connect()
        watch_layers(viewer, self, self.refresh)

    def _arrange(self, head: QHBoxLayout) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(self.list)
        layout.addWidget(self._pixel_size_row)
        layout.addWidget(self.use_as_scale)
        layout.addWidget(self.channel)
        layout.addWidget(self._weight_row)

    def _connect(self) -> None:
        self.pixel_size.editingFinished.connect(self._take_pixel_size)
        self.weight.valueChanged.connect(self._take_weight)
        self.list.currentItemChanged.connect(self._show_weight)
        self.list.currentItemChanged.connect(self._show_pixel_size)
        self.list.currentItemChanged.connect(self._show_channel)
        self.list.itemChanged.connect(self._on_tick)

    def layers(self) -> list[ImageLayer]:
        """Return the chosen layers."""
        return [item.data(_LAYER) for item in self._items() if item.checkState() == Qt.CheckState.Checked]

    def weights(self) -> list[float]:
        """Return the weight of each chosen layer."""
        return [self._weights.get(layer, 1.0) for layer in self.layers()]

    def choose(self, layers: Sequence[ImageLayer]) -> None:
        """Choose exactly these layers."""
        with QSignalBlocker(self.list):
            for item in self._items():
                ticked = any(item.data(_LAYER) is layer for layer in layers)
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
        self._on_tick()

    def refresh(self) -> None:
        """Update the list. The user's ticks stay, and nothing else is ticked while one of these layers is there."""
        layers = image_layers(self._viewer)
        fitting = [] if self._hand.decides(layers) else self._hand.without_refused(self._fitting(layers))
        chosen = self.layers() if self._hand.decides(layers) else likely_few(fitting)
        self._show_hint(layers, fitting, chosen)
        item = self.list.currentItem()
        selected = None if item is None else item.data(_LAYER)
        with QSignalBlocker(self.list):
            self.list.clear()
            for layer in layers:
                item = QListWidgetItem(f"{layer.name}\n{size_text(layer)}")
                set_tooltip(item, item.text())
                item.setData(_LAYER, layer)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                ticked = any(layer is other for other in chosen)
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
                self.list.addItem(item)
                if layer is selected:
                    self.list.setCurrentItem(item)
        rows = min(max(len(layers), 1), 4)
        self.list.setFixedHeight(rows * (2 * self.list.fontMetrics().lineSpacing() + 5) + 8)
        self.list.setVisible(bool(layers))
        self._show_pixel_size()
        self._show_channel()
        self.changed.emit()

    def _items(self) -> list[QListWidgetItem]:
        return [self.list.item(i) for i in range(self.list.count())]

    def _fitting(self, layers: Sequence[ImageLayer]) -> list[ImageLayer]:
        """Return the layers that are most likely meant: experimental ones with the finest, or the coarsest, pixels.

        A layer that was enhanced in place counts as its widefield original, which is enhanced again.
        """
        candidates, sizes = [], {}
        excluded = self._excluded()
        for layer in layers:
            restorable = not self._finest and original(layer) is not None
            unlikely = made_here(layer) and not restorable
            if layer.rgb or unlikely or any(layer is other for other in excluded):
                continue
            candidates.append(layer)
            pixels = widefield_pixels(layer) if not self._finest else known_pixel_size(layer)
            sizes[id(layer)] = max(pixels) if isinstance(pixels, tuple) else pixels
        known_sizes = [size for size in sizes.values() if size]
        if not known_sizes:
            return candidates[:1]
        best = min(known_sizes) if self._finest else max(known_sizes)
        return [layer for layer in candidates if sizes[id(layer)] == best]

    def _show_hint(self, layers: Sequence[ImageLayer], fitting: Sequence[ImageLayer], chosen: Sequence[object]) -> None:
        """Show what to do if there is no image, or why not all likely images are ticked."""
        text = "" if layers else "Open an image first: File → Open File(s)."
        if len(fitting) > len(chosen):
            text = f"{len(fitting)} images fit, and only the topmost one is ticked: tick yours, or press all."
        self.hint.setText(text)
        for button in (self.all, self.none):
            button.setVisible(bool(layers))

    def _on_tick(self, item: QListWidgetItem | None = None) -> None:
        self._hand.decide(image_layers(self._viewer), self.layers())
        self.hint.setText("")
        self._show_pixel_size()
        self._show_channel()
        self.changed.emit()

    def _show_channel(self) -> None:
        """Ask for the channel of a ticked layer with several, or let the user correct that of the selected layer."""
        item = self.list.currentItem()
        selected = [] if item is None else [item.data(_LAYER)]
        self.channel.show_layers([*selected, *self.layers()])

    def _layer_to_size(self) -> ImageLayer | None:
        """Return the layer of the pixel size field: a ticked one without a size, or a selected one to correct."""
        without = next((layer for layer in self.layers() if not layer.rgb and not known_pixels(layer)), None)
        item = self.list.currentItem()
        if without is not None or item is None:
            return without
        layer: ImageLayer = item.data(_LAYER)
        return layer if typed_pixel_size(layer) else None

    def _show_pixel_size(self) -> None:
        layer = self._layer_to_size()
        self._pixel_size_row.setVisible(layer is not None)
        self.use_as_scale.update_shown()
        if layer is not None:
            # Other layers may change while the user enters a number.
            if layer is self._sized and self.pixel_size.lineEdit().isModified():
                return
            self._sized = layer
            self._pixel_size_label.setText(f"pixel size of {layer.name}")
            set_tooltip(self._pixel_size_label, layer.name)
            with QSignalBlocker(self.pixel_size):
                self.pixel_size.show_number(typed_pixel_size(layer) or 0)

    def _take_pixel_size(self) -> None:
        self.pixel_size.lineEdit().setModified(False)
        layer, size = self._layer_to_size(), self.pixel_size.number()
        if layer is not None and size > 0 and self.pixel_size.permits(size):
            set_pixel_size(layer, size)

    def _show_weight(self, item: QListWidgetItem | None) -> None:
        if item is not None and self._weighted:
            layer = item.data(_LAYER)
            self._weight_label.setText(f"weight of {layer.name}")
            set_tooltip(self._weight_label, layer.name)
            with QSignalBlocker(self.weight):
                self.weight.show_number(self._weights.get(layer, 1.0))

    def _take_weight(self, value: float) -> None:
        item = self.list.currentItem()
        if item is not None:
            self._weights[item.data(_LAYER)] = value


def label_of_a_layer(text: str = "") -> QElidingLabel:
    """Return a label for the name of a layer. A name that is too long is elided."""
    label = QElidingLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setEllipsesWidth(8)  # the width of the margins, which the label ignores
    label.setElideMode(Qt.TextElideMode.ElideMiddle)  # file names often differ at their end
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def _small_button(text: str, tooltip: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName("small")
    button.setText(text)
    button.setToolTip(tooltip)
    return button


class LayerBox(ElidedBox):
    """A choice of one image layer.

    Parameters
    ----------
    viewer
        The viewer whose layers are listed.
    likely
        Whether the user most likely wants a layer. The topmost of these layers is chosen at first.
    finest
        Whether the first choice is the topmost of the likely layers with the finest pixels.
    optional
        Whether "none" can be chosen. It is the first choice if no layer is likely.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        likely: Callable[[ImageLayer], bool],
        *,
        finest: bool = False,
        optional: bool = False,
    ) -> None:
        super().__init__(Qt.TextElideMode.ElideMiddle)  # names often differ at their end
        self._viewer = viewer
        self._finest = finest
        self._optional = optional
        self._likely = likely
        self._touched = False
        self.setPlaceholderText("open an image first")
        self.activated.connect(self._on_activated)
        watch_layers(viewer, self, self.refresh)

    def layer(self) -> ImageLayer | None:
        """Return the chosen layer, or None if no layer is chosen."""
        chosen = self.currentData()
        return next((layer for layer in image_layers(self._viewer) if layer is chosen), None)

    def choose(self, layer: ImageLayer | None) -> None:
        """Choose a layer; None chooses no layer."""
        self._touched = True
        self.setCurrentIndex(next((i for i in range(self.count()) if self.itemData(i) is layer), -1))

    def refresh(self) -> None:
        """Update the list. Chosen layers stay chosen."""
        before = self.currentData()
        layers: list[ImageLayer | None] = [layer for layer in image_layers(self._viewer) if not layer.rgb]
        if self._optional:
            layers.insert(0, None)
        with QSignalBlocker(self):
            self.clear()
            for layer in layers:
                self.addItem("none" if layer is None else f"{layer.name}   {size_text(layer)}", layer)
            index = next((i for i, layer in enumerate(layers) if layer is before), None)
            if index is None or not self._touched:
                index = self._first_likely(layers, index or 0)
            self.setCurrentIndex(index if layers else -1)

    def _first_likely(self, layers: Sequence[ImageLayer | None], default: int) -> int:
        """Return the index of the layer to choose at first."""

        def rank(entry: tuple[int, ImageLayer]) -> float:
            return known_pixel_size(entry[1]) or math.inf if self._finest else 0.0

        likely = [(i, layer) for i, layer in enumerate(layers) if layer is not None and self._likely(layer)]
        return min(likely, key=rank)[0] if likely else default

    def _on_activated(self, index: int) -> None:
        self._touched = True
