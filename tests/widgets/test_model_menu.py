"""The menu beside the lists of models."""

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QDialog, QFileDialog, QInputDialog, QMessageBox

from napari_smdiffusion import load_diffusion_model
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.widgets.parts import model_menu

from .conftest import PATIENCE


def _answer(button):
    """Press a button of the message box that is shown next."""

    def press():
        box = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox) and w.isVisible())
        assert "cannot be restored" in box.text()
        box.button(button).click()

    QTimer.singleShot(200, press)


@pytest.fixture
def generate(open_dock, my_model):
    dock = open_dock("Generate images")
    assert dock.model.choose(my_model)
    return dock


def test_a_model_is_renamed_and_deleted_after_a_question(generate, my_model, monkeypatch):
    actions = generate.models.actions_of_menu
    generate.models.enable()
    assert {name for name, action in actions.items() if action.isEnabled()} == {"rename", "delete", "show", "import"}
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("<b>renamed</b>", True))
    actions["rename"].trigger()
    assert "cannot be the name of a model" in generate.status.text()
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("renamed", True))
    actions["rename"].trigger()
    assert generate.model.model() == "renamed"
    folder = user_folder() / "diffusion" / "renamed"
    _answer(QMessageBox.StandardButton.No)
    actions["delete"].trigger()
    assert folder.exists()
    _answer(QMessageBox.StandardButton.Yes)
    actions["delete"].trigger()
    assert not folder.exists()
    assert generate.model.model() not in (None, "renamed", my_model)
    assert generate.status.text() == "The model renamed is deleted."
    generate.models.enable()  # for a bundled model
    assert not actions["delete"].isEnabled()
    assert not actions["rename"].isEnabled()
    assert actions["show"].isEnabled()


def test_the_folder_of_a_model_is_shown(generate, my_model, monkeypatch):
    shown = []
    monkeypatch.setattr(model_menu.QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    generate.models.actions_of_menu["show"].trigger()
    assert shown == [str(user_folder() / "diffusion" / my_model)]


def test_a_checkpoint_of_the_paper_is_imported(generate, click, qtbot, monkeypatch, tmp_path):
    bad = tmp_path / "ema_0.9999_000010.pt"
    bad.write_bytes(b"no checkpoint")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(bad), ""))
    asked = []

    def accept(dialog):
        asked.append(dialog.name.text())
        dialog.form.show_values({"pixel_size": 23.4})
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(model_menu.ImportDialog, "exec", accept)
    generate.models.actions_of_menu["import"].trigger()
    qtbot.waitUntil(lambda: not generate.running, timeout=PATIENCE)
    assert str(bad) in generate.status.text()
    model = load_diffusion_model("start-any")
    imported = []

    def import_checkpoint(path, config, name):
        imported.append((path, config.pixel_size, name))
        return model

    monkeypatch.setattr("napari_smdiffusion.diffusion.imported.import_checkpoint", import_checkpoint)
    generate.models.actions_of_menu["import"].trigger()
    qtbot.waitUntil(lambda: not generate.running, timeout=PATIENCE)
    assert imported == [(bad, 23.4, bad.stem)]
    assert generate.model.model() == bad.stem
    assert generate.status.text() == f"The model {bad.stem} is imported and chosen."
    assert asked == [bad.stem] * 2


def test_an_enhancer_is_exported(open_dock, qtbot, monkeypatch, tmp_path):
    pytest.importorskip("bioimageio.spec")
    dock = open_dock("Enhance widefield")
    dock.model.choose("microtubules-x4")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine"), ""))
    exported = []

    def export_enhancer(folder, path):
        exported.append((folder.name, path))
        return path

    monkeypatch.setattr("napari_smdiffusion.enhance.export.export_enhancer", export_enhancer)
    dock.models.actions_of_menu["export"].trigger()
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert exported == [("microtubules-x4", tmp_path / "mine.zip")]
    assert "is a bioimage.io package" in dock.status.text()
    (tmp_path / "mine.zip").touch()
    dock.models.actions_of_menu["export"].trigger()
    assert "choose another name" in dock.status.text()
    assert len(exported) == 1


def test_an_interrupted_training_is_shown_to_resume_it(open_dock, interrupted):
    generate = open_dock("Generate images")
    generate.model.choose("interrupted")
    generate.models.enable()
    assert generate.models.actions_of_menu["resume"].isEnabled()
    generate.models.actions_of_menu["resume"].trigger()
    train = open_dock("Train diffusion model")
    assert train.name.text() == "interrupted"
    assert train.resume.isChecked()
    assert "press Run" in generate.status.text()
