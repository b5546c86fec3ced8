"""The choice of the structure that a model of several structures generates, and of its guidance."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ...base.errors import InputError
from ...diffusion.settings import GenerateConfig
from ...store.catalogue import find_model
from ...store.facts import ModelSummary
from ...store.folder import read_facts
from .elided_box import ElidedBox
from .forms import ConfigForm
from .plain import plain_label


class StructureChoice(QWidget):
    """A list of the structures of a model, and the strength of the guidance; hidden for a model of one structure."""

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""  # the structure that was chosen last
        self.box = ElidedBox(Qt.TextElideMode.ElideRight, "structure that the images show")
        self.box.setObjectName("structure")
        self.guidance = ConfigForm(GenerateConfig, ("guidance",))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(plain_label("Structure", bold=True))
        layout.addWidget(self.box)
        layout.addWidget(self.guidance)
        self.box.activated.connect(self._take)
        self.setVisible(False)

    def show_model(self, model: str) -> None:
        """List the structures of a model by its name or folder; the chosen one stays if the model has it."""
        structures = _structures(model)
        with QSignalBlocker(self.box):
            self.box.clear()
            self.box.addItems(structures)
            self.box.setCurrentIndex(max(0, self.box.findText(self._wanted)) if structures else -1)
        self.setVisible(bool(structures))

    def choose(self, structure: str) -> None:
        """Choose a structure, now or when a model that has it is shown."""
        self._wanted = structure
        if (index := self.box.findText(structure)) >= 0:
            self.box.setCurrentIndex(index)

    def values(self) -> dict[str, Any]:
        """Return the settings of the structure; nothing for a model of one structure."""
        return {"structure": self.box.currentText(), **self.guidance.values()} if self.box.count() else {}

    def remembered(self) -> dict[str, Any]:
        """Return the choices to remember, also while they are hidden."""
        return {"structure": self.box.currentText() or self._wanted, **self.guidance.values()}

    def show_values(self, values: dict[str, Any]) -> None:
        """Show remembered choices."""
        self.choose(str(values.get("structure") or ""))
        self.guidance.show_values(values)

    def _take(self) -> None:
        self._wanted = self.box.currentText()


def _structures(model: str) -> tuple[str, ...]:
    """Return the structures of a model; () for a model of one structure, and for one that cannot be read."""
    if not model:
        return ()
    try:
        return read_facts(find_model(model, "diffusion"), "diffusion", ModelSummary).structures
    except (InputError, OSError):
        return ()
