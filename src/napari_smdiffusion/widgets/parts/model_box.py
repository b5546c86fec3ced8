"""A combo box of the available models, which updates itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QToolButton, QWidget

from ...base.errors import InputError, sentence_of
from ...base.folders import user_folder
from ...store.catalogue import find_model, list_models
from .elided_box import ElidedBox
from .plain import plain_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...store.catalogue import ModelEntry
    from ...store.folder import Kind

_WHERE = Qt.ItemDataRole.UserRole + 1  # role of a model's folder: another model may later have the same name


class ModelBox(QWidget):
    """A choice of one model: bundled, of the user, or from any folder.

    Parameters
    ----------
    kind
        "diffusion" or "enhancer".
    first
        Entries before the models: (text, value) pairs.
    imported
        Whether imported models of the paper's code are listed too.
    """

    changed = Signal()

    def __init__(self, kind: Kind, first: Sequence[tuple[str, str]] = (), *, imported: bool = True) -> None:
        super().__init__()
        self.kind = self._kind = kind
        self._imported = imported
        self._first = list(first)
        self._folders: list[str] = []
        self._entries: list[ModelEntry] = []
        self._wanted = ""  # the folder of the model that was chosen last
        tip = "bundled models, your own models, and model folders that you opened"
        self.box = ElidedBox(Qt.TextElideMode.ElideRight, tip)  # the name comes first
        self.box.setPlaceholderText("choose a model")
        self.open = QToolButton()
        self.open.setText("…")
        self.open.setToolTip("open a model folder at any place")
        self.open.clicked.connect(self._ask_folder)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box, 1)
        layout.addWidget(self.open)
        self.refresh()
        self.box.setCurrentIndex(0)
        self._on_choice()
        self.box.currentIndexChanged.connect(self._on_choice)

    def model(self) -> str | None:
        """Return the name or folder of the chosen model, or None if no model is chosen."""
        value = self.box.currentData()
        return None if value is None else str(value)

    def chosen(self) -> str:
        """Return the name or folder of the chosen model; raises InputError if no model is chosen."""
        model = self.model()
        if model is None and not self.is_missing:
            raise InputError("No model is chosen: choose one.")
        if model is None:
            raise InputError(f"The model in {self._wanted} is missing: choose another model, or restore the folder.")
        return model

    @property
    def is_missing(self) -> bool:
        """Whether the folder of the chosen model is missing."""
        return self.model() is None and bool(self._wanted)

    @property
    def entries(self) -> list[ModelEntry]:
        """The models of the catalogue in the list, as they were when it was last updated."""
        return self._entries

    @property
    def entry(self) -> ModelEntry | None:
        """The chosen model, if it is in the catalogue."""
        where = self.box.currentData(_WHERE)
        return next((entry for entry in self._entries if str(entry.folder) == where), None)

    def choose_entry(self, entry: ModelEntry | None) -> None:
        """Choose a model of the catalogue; None leaves no model chosen, so that the user has to choose one."""
        self.box.setCurrentIndex(-1 if entry is None else self.box.findData(str(entry.folder), _WHERE))

    def choose(self, model: str) -> bool:
        """Choose a model by its name or folder; return False if it is not in the list."""
        self.refresh()
        # If another folder has the same name, the model in the user's folder is chosen.
        for value in (model, str(user_folder() / self._kind / model)):
            if (index := self.box.findData(value)) >= 0:
                self.box.setCurrentIndex(index)
                return True
        return False

    def add_folder(self, folder: str) -> None:
        """Add a model folder to the list and choose it; raises ModelFolderError if it holds no such model."""
        find_model(folder, self._kind)
        from pathlib import Path

        from ...store.facts import ModelSummary
        from ...store.folder import read_facts

        read_facts(Path(folder), self._kind, ModelSummary)
        if folder not in self._folders:
            self._folders.append(folder)
        self.choose(folder)

    def refresh(self) -> None:
        """Update the list. The chosen model stays chosen; while its folder is missing, no model is."""
        before = self.model()
        with QSignalBlocker(self.box):
            self.box.clear()
            for text, value in self._first:
                self._add(text, value, f"{text}, {value}")
            listed = list_models(self._kind)
            self._entries = [entry for entry in listed if self._imported or not entry.imported]
            for entry in self._entries:
                place = " (bundled)" if entry.bundled else ""
                # `find_model` may find another folder of the same name first.
                unique = find_model(entry.name, self._kind) == entry.folder
                value = entry.name if unique else str(entry.folder)
                self._add(f"{entry.name}{place}, {entry.description}", value, str(entry.folder))
            for folder in self._folders:
                self._add(folder, folder, folder)
            self.box.setCurrentIndex(self.box.findData(self._wanted, _WHERE))
        if self.model() != before:
            self.changed.emit()

    def _add(self, text: str, value: str, where: str) -> None:
        self.box.addItem(text, value)
        self.box.setItemData(self.box.count() - 1, where, _WHERE)

    def _on_choice(self) -> None:
        where = self.box.currentData(_WHERE)
        self._wanted = "" if where is None else str(where)
        self.changed.emit()

    def showEvent(self, event: Any) -> None:
        """List models that other programs have trained since."""
        super().showEvent(event)
        self.refresh()

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, f"Choose the folder of a {self._kind} model")
        if folder:
            from napari.utils.notifications import show_error

            try:
                self.add_folder(folder)
            except (InputError, OSError) as error:
                show_error(plain_message(sentence_of(error)))
