"""The menu beside a list of models: resume, rename, delete, show in its folder, share, get, export and import."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QToolButton,
    QVBoxLayout,
)

from ...base.errors import InputError, is_user_error, sentence_of
from ...base.folders import user_folder
from ...diffusion.settings import ImportConfig
from ...recipes.train_diffusion import interrupted_training
from ...recipes.train_enhancer import interrupted_enhancer_training
from ...store.catalogue import checked_name, find_model, free_name
from ...store.managing import delete_model, is_own, rename_model
from .forms import ConfigForm
from .plain import plain_label
from .share_dialogs import GetDialog, ShareDialog

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QAction

    from ...base.events import Steps, Stop
    from ...recipes.get_model import ReceivedModel
    from ...recipes.share_model import SharedModel
    from ...store.folder import Kind
    from .model_box import ModelBox

_IMPORTED = ("image_size", "heads", "schedule", "diffusion_steps", "pixel_size", "intensity_range")


_NAMES = {"diffusion": "diffusion model", "enhancer": "enhancer"}


class Frame(Protocol):
    """The dock that shows the menu, and runs long work."""

    @property
    def running(self) -> bool:
        """Whether work is in progress."""

    def start(self, title: str, steps: Callable[[Stop], Steps[Any]], on_result: Callable[[Any], str]) -> None:
        """Run steps in a thread."""

    def show_status(self, message: str) -> None:
        """Show a message."""

    def show_failure(self, message: str) -> None:
        """Show an error."""


class ModelMenu(QToolButton):
    """A button with a menu for the chosen model of a `ModelBox`.

    Parameters
    ----------
    models
        The list of models.
    frame
        The dock.
    resume
        Shows the training of a model with this name, to resume it.
    """

    def __init__(self, models: ModelBox, frame: Frame, resume: Callable[[str], None]) -> None:
        super().__init__()
        self._models, self._frame, self._resume = models, frame, resume
        self._kind: Kind = models.kind
        self.setText("☰")
        self.setToolTip("resume, rename, delete, show, share, get, export or import a model")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.actions_of_menu: dict[str, QAction] = {}
        menu = QMenu(self)
        for name, text, work in (
            ("resume", "Resume its training …", self.resume),
            ("rename", "Rename …", self.rename),
            ("delete", "Delete …", self.delete),
            ("show", "Show in its folder", self.show_folder),
            ("share", "Share as one file …", self.share),
            ("get", "Get a shared model …", self.get),
            ("export", "Export for bioimage.io …", self.export),
            ("import", "Import a checkpoint of the paper …", self.import_checkpoint),
        ):
            if (name == "export" and self._kind != "enhancer") or (name == "import" and self._kind != "diffusion"):
                continue
            action = menu.addAction(text)
            assert action is not None
            action.triggered.connect(partial(self._tried, work))
            self.actions_of_menu[name] = action
        menu.aboutToShow.connect(self.enable)
        self.setMenu(menu)
        layout = models.layout()
        assert layout is not None
        layout.addWidget(self)

    def enable(self) -> None:
        """Enable the entries that are possible for the chosen model."""
        folder = self._folder()
        own = folder is not None and is_own(folder, self._kind)
        possible = {
            "resume": own and self._interrupted(folder),
            "rename": own,
            "delete": own,
            "show": folder is not None,
            "share": folder is not None,
            "get": True,
            "export": folder is not None,
            "import": True,
        }
        for name, action in self.actions_of_menu.items():
            action.setEnabled(bool(possible[name]) and not self._frame.running)

    def resume(self) -> None:
        """Show the training of the chosen model, to resume it."""
        name = self._chosen().name
        self._resume(name)
        self._frame.show_status(f"Tick the layers that {name} was trained on, and press Run.")

    def rename(self) -> None:
        """Ask for a new name of the chosen model."""
        folder = self._chosen()
        name, accepted = QInputDialog.getText(self, "Rename", "New name of the model:", text=folder.name)
        if accepted:
            renamed = rename_model(folder, name, self._kind)
            self._models.choose(renamed.name)
            self._frame.show_status(f"{folder.name} is now called {renamed.name}.")

    def delete(self) -> None:
        """Delete the chosen model after a question."""
        folder = self._chosen()
        question = QMessageBox(self)
        question.setWindowTitle("Delete")
        question.setTextFormat(_plain_text())
        question.setText(f"Delete the model {folder.name}? Its folder {folder} is removed, and cannot be restored.")
        question.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No)
        question.setDefaultButton(QMessageBox.StandardButton.No)
        if question.exec() == QMessageBox.StandardButton.Yes:
            delete_model(folder, self._kind)
            self._models.refresh()
            self._models.box.setCurrentIndex(0)
            self._frame.show_status(f"The model {folder.name} is deleted.")

    def show_folder(self) -> None:
        """Show the folder of the chosen model in the file manager."""
        folder = self._chosen()
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
        self._frame.show_status(f"The model is in {folder}.")

    def share(self) -> None:
        """Write the chosen model as one file, or put it on a hub, after a dialog."""
        dialog = ShareDialog(self._chosen(), self._kind, self)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            job = dialog.job()
            self._frame.start(job.title, job.steps, _shared)
        dialog.deleteLater()

    def get(self) -> None:
        """Get a model that another person shared, after a dialog."""
        dialog = GetDialog(self)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            job = dialog.job()
            self._frame.start(job.title, job.steps, self._received)
        dialog.deleteLater()

    def _received(self, model: ReceivedModel) -> str:
        added = "is added to your models" if model.is_new else "is there already"
        if model.kind != self._kind:
            docks = "the Enhance dock" if model.kind == "enhancer" else "Generate and Train"
            return f"The {_NAMES[model.kind]} {model.name} {added}: choose it in {docks}."
        chosen = self._models.choose(model.name)
        return f"The model {model.name} {added}{' and chosen' if chosen else ''}. Read its card before you use it."

    def export(self) -> None:
        """Write the chosen enhancer as a bioimage.io package; the file dialog asks before it replaces a file."""
        folder = self._chosen()
        wanted = str(Path.home() / f"{folder.name}.zip")
        text, _ = QFileDialog.getSaveFileName(self, "Export for bioimage.io", wanted, "bioimage.io package (*.zip)")
        if text:
            path = Path(text).with_suffix(".zip") if not text.lower().endswith(".zip") else Path(text)
            if path != Path(text) and path.exists():
                raise FileExistsError(f"{path} exists: choose another name.")
            self._frame.start(f"exporting {folder.name}", partial(_export_steps, folder, path), _exported)

    def import_checkpoint(self) -> None:
        """Import a checkpoint of the paper's code as a diffusion model of the user."""
        text, _ = QFileDialog.getOpenFileName(
            self, "Import a checkpoint", "", "checkpoints (*.pt *.pth);;all files (*)"
        )
        if not text:
            return
        dialog = ImportDialog(Path(text), self)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            config, name = dialog.values()
            steps = partial(_import_steps, Path(text), config, name)
            self._frame.start(f"importing {Path(text).name}", steps, self._imported)

    def _imported(self, name: str) -> str:
        self._models.choose(name)
        return f"The model {name} is imported and chosen."

    def _folder(self) -> Path | None:
        """Return the folder of the chosen model, or None if no model is chosen."""
        model = self._models.model()
        if not model:
            return None
        try:
            return find_model(model, self._kind)
        except (ValueError, OSError):
            return None

    def _chosen(self) -> Path:
        folder = self._folder()
        if folder is None:
            raise InputError("Choose a model first.")
        return folder

    def _interrupted(self, folder: Path | None) -> bool:
        if folder is None:
            return False
        interrupted = interrupted_training if self._kind == "diffusion" else interrupted_enhancer_training
        return interrupted(folder) is not None

    def _tried(self, work: Callable[[], None], checked: bool = False) -> None:
        """Do the work of an entry; an error for the user is a message."""
        try:
            work()
        except Exception as error:
            if not is_user_error(error):
                raise
            self._models.refresh()
            self._frame.show_failure(sentence_of(error))


class ImportDialog(QDialog):
    """Asks for the name of an imported model, and for the facts that its checkpoint does not state."""

    def __init__(self, path: Path, parent: ModelMenu) -> None:
        super().__init__(parent)
        self.setWindowTitle("Import a checkpoint")
        self.name = QLineEdit(free_name(path.stem, "diffusion"))
        self.form = ConfigForm(ImportConfig, _IMPORTED)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(plain_label("Name of the model"))
        layout.addWidget(self.name)
        layout.addWidget(plain_label("Not stated by the checkpoint; the defaults are those of the paper's code"))
        layout.addWidget(self.form)
        layout.addWidget(buttons)

    def values(self) -> tuple[ImportConfig, str]:
        """Return the settings and the name."""
        return ImportConfig(**self.form.values()), checked_name(self.name.text())


def _plain_text() -> Any:
    from qtpy.QtCore import Qt

    return Qt.TextFormat.PlainText


def _shared(model: SharedModel) -> str:
    places = [str(place) for place in (model.path, model.link) if place]
    return f"The {_NAMES[model.kind]} {model.name} is shared: {' and '.join(places)}. SHA-256: {model.sha256}"


def _export_steps(folder: Path, path: Path, stop: Stop) -> Steps[Path]:
    yield from ()
    from ...enhance.export import export_enhancer

    return export_enhancer(folder, path)


def _exported(path: Path) -> str:
    return f"{path} is a bioimage.io package. State its authors and a license before you publish it."


def _import_steps(path: Path, config: ImportConfig, name: str, stop: Stop) -> Steps[str]:
    yield from ()
    from ...diffusion.imported import import_checkpoint
    from ...store.folder import check_place

    out = user_folder() / "diffusion" / name
    check_place(out)
    import_checkpoint(path, config, name=name).save(out)
    return name
