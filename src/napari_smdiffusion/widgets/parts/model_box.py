"""A combo box of the models at hand, which stays up to date by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from ...base.errors import InputError
from ...base.folders import user_folder
from ...store.catalogue import find_model, list_models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...store.folder import Kind

_WHERE = Qt.ItemDataRole.UserRole + 1  # a model's folder: another one may come to have its name


class ModelBox(QWidget):
    """One of the models at hand, bundled or the user's own, or a folder.

    Parameters
    ----------
    kind
        "diffusion" or "enhancer".
    first
        What stands before the models: (text, value) pairs.
    imported
        Whether models of the paper's code are listed too.
    """

    changed = Signal()

    def __init__(self, kind: Kind, first: Sequence[tuple[str, str]] = (), *, imported: bool = True) -> None:
        super().__init__()
        self._kind = kind
        self._imported = imported
        self._first = list(first)
        self._folders: list[str] = []
        self._wanted = ""  # the folder of the model that was chosen last
        self.box = QComboBox()
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(12)
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.box.setToolTip("models that come with the program, your own, and folders that you opened")
        self.box.setPlaceholderText("choose a model")
        self.open = QToolButton()
        self.open.setText("…")
        self.open.setToolTip("use a model folder from anywhere")
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
        """Return the name or folder of the chosen model, or None if there is none."""
        value = self.box.currentData()
        return None if value is None else str(value)

    def chosen(self) -> str:
        """Return the same; raises ValueError with a sentence if there is none."""
        model = self.model()
        if model is None:
            raise InputError(f"The model in {self._wanted} is missing: choose another, or put it back.")
        return model

    def choose(self, model: str) -> bool:
        """Choose a model by its name or folder; tell whether there is such a one."""
        self.refresh()
        # Where a folder elsewhere has the same name, that of the user is meant.
        for value in (model, str(user_folder() / self._kind / model)):
            if (index := self.box.findData(value)) >= 0:
                self.box.setCurrentIndex(index)
                return True
        return False

    def add_folder(self, folder: str) -> None:
        """Add a model folder to the choices and choose it; raises ModelFolderError if it is none."""
        find_model(folder, self._kind)
        from pathlib import Path

        from ...store.facts import ModelSummary
        from ...store.folder import read_facts

        read_facts(Path(folder), self._kind, ModelSummary)
        if folder not in self._folders:
            self._folders.append(folder)
        self.choose(folder)

    def refresh(self) -> None:
        """List the models anew; what was chosen stays chosen, and while it is missing, nothing is."""
        before = self.model()
        with QSignalBlocker(self.box):
            self.box.clear()
            for text, value in self._first:
                self._add(text, value, f"{text}, {value}")
            for entry in list_models(self._kind):
                if entry.imported and not self._imported:
                    continue
                place = " (bundled)" if entry.bundled else ""
                # A folder of the same name elsewhere would be found before it.
                named = find_model(entry.name, self._kind) == entry.folder
                value = entry.name if named else str(entry.folder)
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
        self._wanted = str(self.box.currentData(_WHERE))
        self.changed.emit()

    def showEvent(self, event: Any) -> None:
        """List models that were trained elsewhere meanwhile."""
        super().showEvent(event)
        self.refresh()

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, f"Choose the folder of a {self._kind} model")
        if folder:
            from napari.utils.notifications import show_error

            try:
                self.add_folder(folder)
            except ValueError as error:
                show_error(str(error))
