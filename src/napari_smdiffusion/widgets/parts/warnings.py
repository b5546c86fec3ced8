"""Warnings in a dock: why results are to be doubted, and whether images are unlike the training of an enhancer."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel

from ...enhance.facts import EnhancerRecord
from ...enhance.pixel_fit import PixelFit
from ...images.provenance import Provenance
from ...store.catalogue import find_model
from ...store.folder import read_facts
from ..viewer.enhanced_layers import live_widefield_source, original_name, widefield_pixels
from ..viewer.own_metadata import own_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.layers import Image as ImageLayer

    from ..viewer.layer_source import LayerSource
    from .save_results import SaveResults

    Question = tuple[str, LayerSource, PixelFit]

_SIGN = "\u26a0 "
THREAD_NAME = "looking at the images"
_INTERVAL = 100  # ms
_MOST = 3  # ticked layers that are looked at


class Warnings(QLabel):
    """Sentences in a frame with the color of a warning; hidden while there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("warning")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.show_sentences(())

    def show_sentences(self, sentences: Iterable[str]) -> None:
        """Show each of several sentences once."""
        lines = [f"{_SIGN}{sentence}" for sentence in dict.fromkeys(sentences)]
        self.setText("\n".join(lines))
        self.setVisible(bool(lines))


class ResultWarnings(Warnings):
    """Why the results of the newest run are to be doubted, as their provenance states."""

    def __init__(self, results: SaveResults) -> None:
        super().__init__()
        self._results = results
        results.changed.connect(self._refresh)

    def _refresh(self) -> None:
        stated = [own_metadata(layer).get("provenance") for layer in self._results.layers()]
        provenances = [Provenance.from_json(values) for values in stated if isinstance(values, dict)]
        self.show_sentences(sentence for provenance in provenances for sentence in provenance.doubts)


class FamiliarityWarnings(Warnings):
    """Whether the ticked widefield layers show another structure than the chosen enhancer, or are unlike its training.

    The images are looked at in a thread.

    The thread gets what it needs, and appends its sentences to a queue; it has no Qt object.
    """

    def __init__(self) -> None:
        super().__init__()
        self._asked: Any = None
        self._answers: deque[list[str]] = deque(maxlen=1)
        self._timer = QTimer(self)
        self._timer.setInterval(_INTERVAL)
        self._timer.timeout.connect(self._show_answer)

    def ask(self, model: str, layers: Sequence[ImageLayer]) -> None:
        """Look at the middle plane of each of the first layers; the sentences are shown later."""
        questions: list[Question] = []
        for layer in layers[:_MOST] if model else ():
            # A layer that cannot be enhanced as it is, such as one with channels, is refused by Run.
            with suppress(ValueError):
                source = live_widefield_source(layer)
                questions.append((original_name(layer), source, PixelFit(widefield_pixels(layer), None)))
        about = [(id(source.pixels), source.index, source.provenance.structure) for _, source, _ in questions]
        asked = (model, [(name, facts, fit) for (name, _, fit), facts in zip(questions, about, strict=True)])
        if asked == self._asked:
            return
        self._asked = asked
        self.show_sentences(())
        self._timer.stop()
        if not questions:
            return
        # A former thread may still append to its own queue.
        self._answers = deque(maxlen=1)
        arguments = (model, questions, self._answers)
        Thread(target=_answer, args=arguments, name=THREAD_NAME, daemon=True).start()
        self._timer.start()

    def _show_answer(self) -> None:
        if self._answers:
            self._timer.stop()
            self.show_sentences(self._answers.pop())


def _answer(model: str, questions: Sequence[Question], answers: deque[list[str]]) -> None:
    """Append the sentences on the images to `answers`; images and models that cannot be read have none."""
    sentences: list[str] = []
    try:
        for name, source, fit in questions:
            with suppress(ValueError, OSError, MemoryError):
                sentences += _sentences(model, name, source, fit)
    finally:
        answers.append(sentences)


def _sentences(model: str, name: str, source: LayerSource, fit: PixelFit) -> tuple[str, ...]:
    from ...recipes.doubting import doubts_about  # imports torch

    record = read_facts(find_model(model, "enhancer"), "enhancer", EnhancerRecord)
    return doubts_about(record, name, source.provenance.structure or "", [middle_plane(source)], fit.pixels)


def middle_plane(source: LayerSource) -> Any:
    """Return the plane (Y, X) in the middle of the chosen planes of a source, without reading the others."""
    lengths = source.pixels.shape[: source.pixels.ndim - source.behind - 2]
    index = source.index or (slice(None),) * len(lengths)
    place = tuple(
        range(n)[part][len(range(n)[part]) // 2] if isinstance(part, slice) else part
        for n, part in zip(lengths, index, strict=True)
    )
    return np.asarray(source.pixels[(*place, ..., *[0] * source.behind)])
