"""The choice of an enhancer for the ticked layers: by pixel size and structure, with the card of the enhancer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from ...base.errors import InputError, sentence_of
from ...enhance.choosing import OTHER_STRUCTURE, fitting_enhancer, known_structures
from ...enhance.pixel_fit import PixelFit, in_words
from ..viewer.enhanced_layers import original_name, widefield_pixels
from ..viewer.layer_structure import layer_structure, set_structure
from .model_card import ModelCardView
from .warnings import FamiliarityWarnings

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer

    from .model_box import ModelBox
    from .pickers import LayerList

_ASK = "choose …"
_SEVERAL = "several"


class EnhancerChoice(QWidget):
    """The structure of the ticked layers, which is asked for once, and whether the chosen enhancer fits them.

    It warns if a layer is unlike the images that the enhancer was trained with.

    The enhancer is chosen by pixel size and structure, until the user chooses one.

    Parameters
    ----------
    model
        The list of enhancers.
    layers
        The list of widefield layers.
    """

    def __init__(self, model: ModelBox, layers: LayerList) -> None:
        super().__init__()
        self._model = model
        self._layers = layers
        self._preferred = ""  # the enhancer of the last session
        self._by_hand = False
        self._choosing = False
        self.structure = QComboBox()
        self.structure.setToolTip(
            "what the ticked widefield layers show; an enhancer draws the structure of its training into any image"
        )
        self.fit, self.familiarity = _text_label(), FamiliarityWarnings()
        self.card = ModelCardView()
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("structure", self.structure)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.fit)
        layout.addWidget(self.familiarity)
        self.structure.activated.connect(self._take_structure)
        model.changed.connect(self._on_model)
        layers.changed.connect(self.refresh)
        self._choose()
        self.refresh()

    def prefer(self, model: str) -> None:
        """Choose the enhancer of the last session where it fits; "" (train a new one) is chosen at once."""
        if not model:
            self._model.choose(model)
            return
        self._preferred, self._by_hand = model, False
        self._choose()
        self.refresh()

    @property
    def preferred(self) -> str | None:
        """The chosen enhancer, or that of the last session while none is chosen."""
        model = self._model.model()
        return self._preferred or None if model is None else model

    def check(self) -> None:
        """Raise an InputError if there is no enhancer, because the structure is unknown or none fits."""
        if self._model.model() is not None or self._model.is_missing:
            return
        unknown = [layer for layer in self._layers.layers() if not layer_structure(layer)]
        if unknown:
            raise InputError(
                f"Choose the structure that {original_name(unknown[0])} shows, or an enhancer: an enhancer draws the "
                "structure of its training into any image."
            )
        raise InputError(
            f"No enhancer here fits {self._described()}: choose one and check its result with care, or train a new one."
        )

    def refresh(self) -> None:
        """Show the structure of the ticked layers, and whether the enhancer fits them."""
        self._choose()
        structures = [layer_structure(layer) for layer in self._layers.layers()]
        distinct = set(structures)
        shown = distinct.pop() if len(distinct) == 1 else _SEVERAL if distinct else ""
        listed = [*known_structures(self._model.entries), OTHER_STRUCTURE]
        with QSignalBlocker(self.structure):
            self.structure.clear()
            self.structure.addItem(_ASK if shown in ("", *listed) else shown)
            self.structure.addItems(listed)
            self.structure.setCurrentIndex(max(0, self.structure.findText(shown)) if shown else 0)
        self.structure.setEnabled(bool(structures))
        self._show_fit()

    def _choose(self) -> None:
        """Choose the enhancer that fits the ticked layers, unless the user has chosen one."""
        if self._by_hand or self._choosing:
            return
        layers = self._layers.layers()
        structures = {layer_structure(layer) for layer in layers}
        sizes = {size for size in map(widefield_pixels, layers) if size}
        structure = structures.pop() if len(structures) == 1 else ""
        self._choosing = True
        self._model.choose_entry(fitting_enhancer(self._model.entries, sizes, structure, self._preferred))
        self._choosing = False

    def _on_model(self) -> None:
        self._by_hand = self._by_hand or not self._choosing
        self._show_fit()

    def _take_structure(self, index: int) -> None:
        """Store the structure of the ticked layers, and choose an enhancer for it."""
        if index == 0:
            return
        structure = self.structure.itemText(index)
        self._by_hand = False
        for layer in self._layers.layers():
            set_structure(layer, structure)
        self.refresh()

    def _show_fit(self) -> None:
        """Show the card of the enhancer, and what happens to the pixels of the ticked layers."""
        entry, layers = self._model.entry, self._layers.layers()
        self.card.show_model(self._model.model() or "", "enhancer")
        sentences = []
        if entry is not None:
            expected = entry.summary.widefield_pixel_size
            fits = {layer: PixelFit(widefield_pixels(layer), expected) for layer in layers}
            words = dict.fromkeys(fit.words for fit in fits.values() if fit.words)
            sentences = [
                f"{_names([layer for layer in layers if fits[layer].words == text])}: {text}." for text in words
            ]
        elif self._model.model() is None and layers:
            try:
                self.check()
            except InputError as error:
                sentences = [sentence_of(error)]
        self.fit.setText(" ".join(sentences))
        self.fit.setVisible(bool(sentences))
        self.familiarity.ask("" if entry is None else self._model.model() or "", layers)

    def _described(self) -> str:
        """Return the ticked layers by their structure and pixel size, for a message."""
        layers = self._layers.layers()
        structures = dict.fromkeys(filter(None, map(layer_structure, layers)))
        sizes = dict.fromkeys(f"{in_words(size)} nm" for size in map(widefield_pixels, layers) if size)
        pixels = f" with pixels of {' and '.join(sizes)}" if sizes else ""
        return f"images of {' and '.join(structures) or 'this structure'}{pixels}"


def _names(layers: list[ImageLayer]) -> str:
    """Return the names of layers for a sentence: up to two, and the number of the others."""
    names = [original_name(layer) for layer in layers]
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _text_label() -> QLabel:
    """Return a label of plain text that wraps."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
