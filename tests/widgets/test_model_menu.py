"""The menu beside the lists of models."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QDialog, QDialogButtonBox, QFileDialog, QInputDialog, QMessageBox

from napari_smdiffusion import ShareJob, load_diffusion_model, run_job
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.recipes.get_model import GetJob
from napari_smdiffusion.widgets.parts import model_menu
from napari_smdiffusion.widgets.parts.share_dialogs import GetDialog, ShareDialog

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
    assert {name for name, action in actions.items() if action.isEnabled()} == {
        "rename",
        "delete",
        "show",
        "share",
        "get",
        "import",
    }
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


def _in_dialog(qtbot, kind, *uses):
    """Let each function of `uses` work in the next dialog of this kind, and close it if it is still open."""
    problems = []

    def use():
        dialog = next(w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible())
        try:
            for work in uses:
                work(dialog)
        except Exception as error:  # of a timer, which would end in no test
            problems.append(error)
        finally:
            if dialog.isVisible():
                dialog.reject()

    QTimer.singleShot(200, use)
    return problems


def _typed(qtbot, **texts):
    """Return a function that types texts into the fields of a dialog."""

    def type_them(dialog):
        for name, text in texts.items():
            field = getattr(dialog, name)
            qtbot.mouseClick(field, Qt.MouseButton.LeftButton)
            field.selectAll()
            qtbot.keyClicks(field, text)

    return type_them


def _accepted(qtbot):
    def accept(dialog):
        button = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    return accept


def test_a_model_is_shared_and_gotten_in_the_docks(generate, my_model, qtbot, tmp_path):
    path = tmp_path / "shared.zip"
    problems = _in_dialog(
        qtbot,
        ShareDialog,
        _typed(qtbot, file=str(path), license="my own licence", authors="Ada Lovelace; Bob"),
        _accepted(qtbot),
        lambda dialog: qtbot.waitUntil(lambda: "SPDX identifier" in dialog.problem.text()),
        _typed(qtbot, license="CC-BY-4.0"),
        _accepted(qtbot),
    )
    generate.models.actions_of_menu["share"].trigger()
    assert not problems
    qtbot.waitUntil(lambda: not generate.running, timeout=PATIENCE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest in generate.status.text()
    assert str(path) in generate.status.text()
    with zipfile.ZipFile(path) as archive:
        facts = json.loads(archive.read("model.json"))
    assert (facts["authors"], facts["license"]) == (["Ada Lovelace", "Bob"], "CC-BY-4.0")
    for digest_typed, expected in (("0" * 64, "another file than its author wrote"), (digest, "added to your models")):
        problems = _in_dialog(
            qtbot, GetDialog, _accepted(qtbot), _typed(qtbot, source=str(path), name="from Ada", sha256=digest_typed),
            _accepted(qtbot),
        )  # fmt: skip
        generate.models.actions_of_menu["get"].trigger()
        assert not problems
        qtbot.waitUntil(lambda: not generate.running, timeout=PATIENCE)
        assert expected in generate.status.text()
    assert generate.model.model() == "from Ada"
    assert generate.model.entry.summary.authors == ("Ada Lovelace", "Bob")


def test_a_model_of_another_kind_is_added_for_its_dock(generate, my_enhancer, qtbot, tmp_path):
    run_job(ShareJob(my_enhancer, "enhancer", out=tmp_path / "a.zip"))
    before = generate.model.model()
    problems = _in_dialog(
        qtbot, GetDialog, _typed(qtbot, source=str(tmp_path / "a.zip"), name="mine"), _accepted(qtbot)
    )
    generate.models.actions_of_menu["get"].trigger()
    assert not problems
    qtbot.waitUntil(lambda: not generate.running, timeout=PATIENCE)
    assert generate.status.text() == "The enhancer mine is added to your models: choose it in the Enhance dock."
    assert generate.model.model() == before


def test_the_dialogs_set_every_field_of_their_jobs(generate, qtbot, monkeypatch, tmp_path):
    digest, file = "ab" * 32, tmp_path / "a.zip"
    share = ShareDialog(Path("m"), "diffusion", generate)
    qtbot.addWidget(share)
    assert Path(share.file.text()).name == "m.diffusion.zip"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "a"), ""))
    share._browse()
    _typed(qtbot, to="hf:ada/m", authors="Ada", license="CC0-1.0")(share)
    assert share.public.isEnabled()
    share.public.click()
    wanted = ShareJob(Path("m"), "diffusion", file, "hf:ada/m", ("Ada",), "CC0-1.0", public=True)
    assert share.job() == wanted
    _typed(qtbot, file=" ")(share)
    assert share.job().out is None
    get = GetDialog(generate)
    qtbot.addWidget(get)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    get._browse()
    _typed(qtbot, name="mine", sha256=digest)(get)
    assert get.job() == GetJob(str(file), "mine", digest)


def test_a_file_is_replaced_after_a_question_only(generate, qtbot, monkeypatch, tmp_path):
    (tmp_path / "a.zip").touch()
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    dialog = ShareDialog(Path("m"), "diffusion", generate)
    qtbot.addWidget(dialog)
    _typed(qtbot, file=str(tmp_path / "a.zip"))(dialog)
    dialog.accept()
    assert dialog.result() == QDialog.DialogCode.Rejected
    dialog.accept()
    assert dialog.result() == QDialog.DialogCode.Accepted
    assert not answers
