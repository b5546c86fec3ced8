"""The report in the Compare dock: its picture is enlarged and saved, and a file is replaced after a question only."""

from types import SimpleNamespace

import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QColor, QPixmap
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from napari_smdiffusion.report.measures.enhanced import Enhanced
from napari_smdiffusion.report.report import Report
from napari_smdiffusion.widgets.parts.report_view import ReportView, VerdictBox


def _report(explained):
    return Report({"enhanced": Enhanced(0.1, 0.9, explained=explained)})


@pytest.fixture
def view(qtbot, tmp_path):
    said = []
    view = ReportView(SimpleNamespace(show_status=said.append, show_failure=said.append, said=said))
    qtbot.addWidget(view)
    folder = tmp_path / "new"
    folder.mkdir()
    picture = QPixmap(1200, 600)
    picture.fill(QColor("red"))
    assert picture.save(str(folder / "comparison.png"))
    _report(0.9).write(folder / "report.json")
    view.show_report(_report(0.9), folder)
    view.resize(360, 800)
    view.show()
    return view


def _answer(button, seen):
    """Press a button of the message box that is shown next."""

    def press():
        box = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox) and w.isVisible())
        seen.append(box.text())
        box.button(button).click()

    QTimer.singleShot(100, press)


def _choose_folder(monkeypatch, folder):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))


def test_an_earlier_report_is_replaced_after_a_question_only(view, qtbot, tmp_path, monkeypatch):
    target, asked = tmp_path / "mine", []
    _choose_folder(monkeypatch, target)
    qtbot.mouseClick(view.save, Qt.MouseButton.LeftButton)
    assert Report.read(target / "report.json")["enhanced"]["explained"] == 0.9
    _report(0.5).write(target / "report.json")
    _answer(QMessageBox.StandardButton.No, asked)
    qtbot.mouseClick(view.save, Qt.MouseButton.LeftButton)
    assert asked == [f"Replace comparison.png and report.json in {target}? The earlier content is lost."]
    assert Report.read(target / "report.json")["enhanced"]["explained"] == 0.5
    assert view._frame.said[-1] == "The report is not saved."
    _answer(QMessageBox.StandardButton.Yes, asked)
    qtbot.mouseClick(view.save, Qt.MouseButton.LeftButton)
    assert Report.read(target / "report.json")["enhanced"]["explained"] == 0.9


def test_a_file_of_a_person_is_not_replaced(view, qtbot, tmp_path, monkeypatch):
    (tmp_path / "comparison.png").write_text("precious")
    _choose_folder(monkeypatch, tmp_path)
    qtbot.mouseClick(view.save, Qt.MouseButton.LeftButton)
    assert "comparison.png exists" in view._frame.said[-1]
    assert (tmp_path / "comparison.png").read_text() == "precious"


def test_the_picture_is_enlarged_and_saved(view, qtbot, tmp_path, monkeypatch):
    qtbot.waitUntil(lambda: 300 < view.picture.width() < 400)
    assert view.picture.height() == pytest.approx(view.picture.width() / 2, abs=2)
    qtbot.mouseClick(view.picture, Qt.MouseButton.LeftButton)
    window = view._large
    qtbot.waitUntil(lambda: window.isVisible() and window.picture.width() > 700)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine"), ""))
    qtbot.mouseClick(window.save, Qt.MouseButton.LeftButton)
    assert QPixmap(str(tmp_path / "mine.png")).width() == 1200
    (tmp_path / "mine.png").write_text("another")
    _answer(QMessageBox.StandardButton.No, asked := [])
    qtbot.mouseClick(window.save, Qt.MouseButton.LeftButton)
    assert "Replace mine.png" in asked[0]
    assert (tmp_path / "mine.png").read_text() == "another"
    qtbot.mouseClick(window.picture, Qt.MouseButton.LeftButton)
    assert not window.isVisible()


def test_a_later_report_takes_the_place_of_the_former(view, qtbot):
    view.show_report(_report(0.5), None)
    qtbot.waitUntil(lambda: len(view.verdicts.findChildren(VerdictBox)) == 1)
    (box,) = view.verdicts.findChildren(VerdictBox)
    assert box.level == "warning"
    assert "does not explain" in box.text.text()
