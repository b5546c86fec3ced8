"""The card of the chosen model in a dock: what it is for in two lines, and all rows when it is opened."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QToolButton, QVBoxLayout, QWidget

from ...store.folder import Kind, ModelFolderError
from ...store.model_card import ModelCard, read_model_card

_BRIEF = {"enhancer": ("structure", "widefield pixels", "optics"), "diffusion": ("structure", "pixel size")}


class ModelCardView(QWidget):
    """The card of a model, as plain text; hidden while there is no model."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, Kind] | None = None
        self.brief = _label()
        self.more = QToolButton()
        self.more.setText("about this model")
        self.more.setToolTip("what the model was trained and tested on, and what it is not for")
        self.more.setCheckable(True)
        self.more.setArrowType(Qt.ArrowType.RightArrow)
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setAutoRaise(True)
        self.rows = _label()
        self.rows.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.brief, self.more, self.rows):
            layout.addWidget(widget)
        self.more.toggled.connect(self._unfold)

    def show_model(self, model: str, kind: Kind) -> None:
        """Show the card of a model by its name or folder; "" or a model that cannot be read hides the card."""
        if (model, kind) == self._shown:
            return
        self._shown = model, kind
        card = _card(model, kind) if model else None
        self.setVisible(card is not None)
        if card is None:
            return
        rows = dict(card.rows)
        self.brief.setText("; ".join(f"{label}: {rows[label]}" for label in _BRIEF[kind]))
        self.rows.setText("\n".join(f"{label}: {text}" for label, text in card.rows))
        # A tooltip is rich text if it looks like it.
        self.setToolTip("<br>".join(escape(f"{label}: {text}") for label, text in card.rows))

    def reload(self) -> None:
        """Read the card of the model again, whose facts have changed."""
        if self._shown is not None:
            model, kind = self._shown
            self._shown = None
            self.show_model(model, kind)

    def _unfold(self, unfolded: bool) -> None:
        self.more.setArrowType(Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow)
        self.rows.setVisible(unfolded)


def _card(model: str, kind: Kind) -> ModelCard | None:
    try:
        return read_model_card(model, kind)
    except (ModelFolderError, OSError):
        return None


def _label() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
