"""The dialogs that share a model as one file or on a hub, and that get one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...base.errors import InputError, is_user_error, sentence_of
from ...recipes.get_model import GetJob
from ...recipes.share_model import ShareJob
from ...store.shared_file import file_name
from .plain import plain_label, plain_message

if TYPE_CHECKING:
    from ...store.folder import Kind

_ZIP = "shared models (*.zip);;all files (*)"


class _JobDialog(QDialog):
    """A form of texts. *OK* closes it only if they make a job; otherwise the reason is shown."""

    def __init__(self, title: str, introduction: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(520)
        self.form = QFormLayout()
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.problem.setVisible(False)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        text = plain_label(introduction)
        text.setWordWrap(True)
        layout.addWidget(text)
        layout.addLayout(self.form)
        layout.addWidget(self.problem)
        layout.addWidget(self.buttons)

    def add_text(self, label: str, hint: str, value: str = "") -> QLineEdit:
        """Add a row with a text."""
        text = QLineEdit(value)
        text.setPlaceholderText(hint)
        self.form.addRow(plain_label(label), text)
        return text

    def add_file(self, label: str, hint: str, value: str = "") -> tuple[QLineEdit, QToolButton]:
        """Add a row with the name of a file, and a button that asks for it."""
        text, button = QLineEdit(value), QToolButton()
        text.setPlaceholderText(hint)
        button.setText("…")
        button.setToolTip("choose a file")
        row = QHBoxLayout()
        row.addWidget(text)
        row.addWidget(button)
        self.form.addRow(plain_label(label), row)
        return text, button

    def job(self) -> ShareJob | GetJob:
        """Return the job that the form describes; raises InputError if it describes none."""
        raise NotImplementedError

    def accept(self) -> None:
        """Close the dialog if the form describes a job, and show the reason otherwise."""
        try:
            self.job()
        except Exception as error:
            if not is_user_error(error):
                raise
            self.problem.setText(plain_message(f"⚠ {sentence_of(error)}"))
            self.problem.setVisible(True)
            self.adjustSize()
            return
        super().accept()


class ShareDialog(_JobDialog):
    """Asks where a model is shared, and for its authors and its licence.

    Parameters
    ----------
    folder, kind
        The model.
    parent
        The widget that the dialog belongs to.
    """

    def __init__(self, folder: Path, kind: Kind, parent: QWidget) -> None:
        super().__init__(
            f"Share {folder.name}",
            "Writes the model as one file. It holds the weights, the card, and the names of the training images, but "
            "not their pixels. Another person gets it with “Get a shared model …” or `smdiffusion get`.",
            parent,
        )
        self._folder, self._kind = folder, kind
        suggested = Path.home() / file_name(folder.name, kind)
        self.file, browse = self.add_file("File", "leave it empty to share on a hub only", str(suggested))
        browse.clicked.connect(self._browse)
        self.to = self.add_text("Hub (optional)", "hf:USER/NAME")
        self.public = QCheckBox("everyone can read a new repository")
        self.form.addRow("", self.public)
        self.public.setEnabled(False)
        self.to.textChanged.connect(lambda text: self.public.setEnabled(bool(text.strip())))
        self.authors = self.add_text("Authors (optional)", "Ada Lovelace; Charles Babbage")
        self.license = self.add_text("Licence (optional)", "CC-BY-4.0, BSD-3-Clause, …")

    def job(self) -> ShareJob:
        """Return the job that the form describes."""
        file, to = self.file.text().strip(), self.to.text().strip()
        return ShareJob(
            self._folder,
            self._kind,
            out=None if to and not file else Path(file or file_name(self._folder.name, self._kind)),
            to=to or None,
            authors=tuple(name.strip() for name in self.authors.text().split(";") if name.strip()),
            license=self.license.text().strip() or None,
            public=bool(to) and self.public.isChecked(),
        )

    def accept(self) -> None:
        """Close the dialog; ask first if a file would be replaced."""
        file = Path(self.file.text().strip()).expanduser()
        if self.file.text().strip() and file.exists() and not self._may_replace(file):
            return
        super().accept()

    def _may_replace(self, file: Path) -> bool:
        answer = QMessageBox.question(self, "Share", plain_message(f"{file} exists. Replace it?"))
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _browse(self) -> None:
        options = QFileDialog.Option.DontConfirmOverwrite  # `accept` asks
        text, _ = QFileDialog.getSaveFileName(self, "Share", self.file.text(), _ZIP, options=options)
        if text:
            self.file.setText(text if text.lower().endswith(".zip") else f"{text}.zip")


class GetDialog(_JobDialog):
    """Asks for the file, the link or the place on a hub of a model that another person shared."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            "Get a shared model",
            "Takes a model that “Share as one file …” or `smdiffusion share` wrote, or an enhancer exported for "
            "bioimage.io. It is checked before it is added to your models, and nothing in it is executed.",
            parent,
        )
        self.source, browse = self.add_file("File, link or hub", "my-enhancer.zip, https://… or hf:USER/NAME")
        browse.clicked.connect(self._browse)
        self.name = self.add_text("Name (optional)", "its own name")
        self.sha256 = self.add_text("SHA-256 (optional)", "64 digits that its author states")

    def job(self) -> GetJob:
        """Return the job that the form describes."""
        source = self.source.text().strip()
        if not source:
            raise InputError("No model is named: choose a file, or enter a link or a place on a hub.")
        name, digest = self.name.text().strip(), self.sha256.text().strip()
        return GetJob(source, name=name or None, sha256=digest or None)

    def _browse(self) -> None:
        text, _ = QFileDialog.getOpenFileName(self, "Get a shared model", self.source.text(), _ZIP)
        if text:
            self.source.setText(text)
