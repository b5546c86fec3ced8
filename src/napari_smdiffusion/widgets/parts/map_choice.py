"""The choice of the map that is shown over enhanced images, one at a time, with a color bar and its meaning."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import ensure_colormap
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ...base.errors import InputError
from ...images.provenance import layer_metadata
from ..viewer.contrast import shown_range
from ..viewer.trust_map import LEGEND, LEVELS, trust_colormap
from .plain import plain_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

UNCERTAINTY, ERROR, TRUST = KINDS = "uncertainty", "error map", "trust"
_NONE = "none"
_TITLES = {UNCERTAINTY: "relative uncertainty (%)", ERROR: "relative error (%)"}
_WORDS = {
    UNCERTAINTY: (
        "Half width of the intervals, in % of the enhanced value, and in dark parts in % of a tenth of the brightest "
        "value. 100 %: the structure may not be there."
    ),
    ERROR: (
        "Difference between the widefield image and the enhanced image, blurred again, in % of the range of the "
        "widefield image. A low value proves nothing."
    ),
    TRUST: LEGEND,
}
_MOST = {UNCERTAINTY: 100.0, ERROR: 50.0}  # % at the bright end of the color bar
_COLORMAPS = {UNCERTAINTY: "magma", ERROR: "viridis"}
_FLOOR = 0.1  # of the brightest value: the smallest signal that a value is compared with


@dataclass(frozen=True)
class _Map:
    """A map layer in absolute units, and the layer that shows the signal that it is compared with."""

    kind: str
    layer: weakref.ref[ImageLayer]
    signal: weakref.ref[ImageLayer]
    widefield: tuple[float, float]  # contrast range of the widefield image


class MapChoice(QWidget):
    """Shows the maps of the newest run, one kind at a time: the uncertainty and the error relative to the signal.

    The layers of these two have the units of the images, for files and measurements, and stay hidden. The map of trust
    has no unit: its layer is shown itself.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._maps: list[_Map] = []
        self._shown: list[weakref.ref[ImageLayer]] = []
        self.box = QComboBox()
        self.box.addItems([_NONE, *KINDS])
        self.box.setToolTip("the map to show over the enhanced images, relative to the signal; one at a time")
        self.box.currentTextChanged.connect(self._show)
        self._bar = QLabel()
        self._bar.setFixedHeight(12)
        self._bar.setScaledContents(True)
        self._low, self._middle, self._high, self._words = (plain_label() for _ in range(4))
        self._words.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(plain_label("map shown"))
        row.addWidget(self.box, 1)
        self._legend = QWidget()
        legend = QGridLayout(self._legend)
        legend.setContentsMargins(0, 0, 0, 0)
        legend.addWidget(self._bar, 0, 0, 1, 3)
        legend.addWidget(self._low, 1, 0)
        legend.addWidget(self._middle, 1, 1, Qt.AlignmentFlag.AlignCenter)
        legend.addWidget(self._high, 1, 2, Qt.AlignmentFlag.AlignRight)
        legend.addWidget(self._words, 2, 0, 1, 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self._legend)
        self.clear()

    def clear(self) -> None:
        """Forget the maps of the previous run, whose layers stay."""
        self.box.setCurrentText(_NONE)
        self._maps = []
        self._enable()
        self._show()

    def add(self, kind: str, layer: ImageLayer, signal: ImageLayer, widefield: Any) -> None:
        """Add the map of an enhanced layer.

        Parameters
        ----------
        kind
            `UNCERTAINTY`, `ERROR` or `TRUST`.
        layer, signal
            The map in absolute units, and the enhanced image.
        widefield
            Pixels of the widefield image, (..., Y, X), of which one plane is read.
        """
        while widefield.ndim > 2:
            widefield = widefield[0]
        self._maps.append(_Map(kind, weakref.ref(layer), weakref.ref(signal), shown_range(np.asarray(widefield))))
        self._enable()

    def _enable(self) -> None:
        """Enable the kinds of which there is a map."""
        model = self.box.model()
        kinds = {entry.kind for entry in self._maps}
        for index, kind in enumerate(KINDS, 1):
            item = model.item(index) if hasattr(model, "item") else None
            if item is not None:
                item.setEnabled(kind in kinds)
        self.setVisible(bool(kinds))

    def _show(self) -> None:
        """Show the maps of the chosen kind, and remove those that were shown before."""
        for reference in self._shown:
            layer = reference()
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._shown = []
        kind = self.box.currentText()
        self._legend.setVisible(kind != _NONE)
        self._show_trust(kind == TRUST)
        if kind == _NONE:
            return
        if kind == TRUST:
            colors = trust_colormap().map(np.repeat([share + 0.01 for *_, share in LEVELS], 100))
            ends = [word for word, *_ in LEVELS]
        else:
            entries = [entry for entry in self._maps if entry.kind == kind]
            self._shown = [weakref.ref(layer) for entry in entries for layer in self._added(entry)]
            colors = ensure_colormap(_COLORMAPS[kind]).map(np.linspace(0, 1, 256))
            ends = ["0 %", "", f"{_MOST[kind]:g} % and more"]
        self._bar.setPixmap(_bar(colors))
        for label, text in zip((self._low, self._middle, self._high), ends, strict=True):
            label.setText(text)
        self._words.setText(_WORDS[kind])

    def _show_trust(self, visible: bool) -> None:
        """Show or hide the layers of the maps of trust."""
        for entry in self._maps:
            layer = entry.layer() if entry.kind == TRUST else None
            if layer is not None and layer in self._viewer.layers:
                layer.visible = visible

    def _added(self, entry: _Map) -> Sequence[ImageLayer]:
        """Add the relative map of one layer; nothing if a layer that it needs is gone."""
        layer, signal = entry.layer(), entry.signal()
        layers = self._viewer.layers
        if layer is None or signal is None or layer not in layers or signal not in layers:
            return []
        if entry.kind == ERROR:
            low, high = entry.widefield
            pixels = 100 * np.asarray(layer.data) / (high - low)
        else:
            pixels = relative_uncertainty(np.asarray(layer.data), np.asarray(signal.data))
        name = layer.name.partition(": ")[2] or layer.name
        return [
            self._viewer.add_image(
                pixels,
                name=f"{_TITLES[entry.kind]}: {name}",
                colormap=_COLORMAPS[entry.kind],
                contrast_limits=(0, _MOST[entry.kind]),
                metadata=layer_metadata({"kind": f"{entry.kind}, in % of the signal"}),
                scale=layer.scale,
                translate=layer.translate,
                rotate=layer.rotate,
                shear=layer.shear,
                affine=layer.affine,
                units=layer.units,
            )
        ]


def _bar(colors: Any) -> QPixmap:
    """Return a picture of colors (n, 4) side by side."""
    pixels = (np.asarray(colors) * 255).astype(np.uint8)
    image = QImage(pixels.tobytes(), len(pixels), 1, 4 * len(pixels), QImage.Format.Format_RGBA8888)
    return QPixmap.fromImage(image.copy())


def relative_uncertainty(half_width: Any, enhanced: Any) -> Any:
    """Return half widths of intervals in % of the enhanced values, both (..., Y, X).

    Values below a tenth of the brightest ones count as this tenth: there the image is empty.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    if half_width.shape != enhanced.shape:
        raise InputError("The map and the enhanced image have different sizes: enhance the image again.")
    _, bright = shown_range(enhanced)
    floor = _FLOOR * bright if bright > 0 else 1.0
    return (100 * half_width / np.maximum(enhanced, floor)).astype(np.float32)
