"""The docks in napari's window: their place, their look, and names that would be markup."""

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QDockWidget, QLabel, QTextBrowser, QWidget

from napari_smdiffusion.images.provenance import METADATA
from napari_smdiffusion.widgets.docks.compare import CompareDock
from napari_smdiffusion.widgets.docks.enhance import EnhanceDock
from napari_smdiffusion.widgets.docks.generate import GenerateDock
from napari_smdiffusion.widgets.docks.train import TrainDock
from napari_smdiffusion.widgets.frame.help import REFERENCE, help_page
from napari_smdiffusion.widgets.parts.pickers import LayerList
from napari_smdiffusion.widgets.parts.plain import plain_message, plain_tooltip
from napari_smdiffusion.widgets.viewer.layer_pixels import known_pixel_size

from .conftest import PATIENCE

NAMES = ("Train diffusion model", "Generate images", "Compare images", "Enhance widefield")
MARKUP = "<b>bold</b> <img src='file:///etc/hostname'> & <u>_%p"


def _is_in_sight(widget, window):
    """Return whether a widget is visible and lies above the status bar of a window that is 768 pixels high."""
    bottom = widget.mapTo(window, QPoint(0, widget.height())).y()
    return not widget.visibleRegion().isEmpty() and bottom < 768 - window.statusBar().height()


def test_four_docks_are_tabs_and_fit_a_small_screen(viewer, open_dock, qtbot):
    window = viewer.window._qt_window
    window.resize(1366, 768)
    docks = [open_dock(name) for name in NAMES]
    first, *others = frames = [dock.parent() for dock in docks]
    assert set(window.tabifiedDockWidgets(first)) == set(others)
    assert (window.width(), window.height()) == (1366, 768)
    assert docks[-1].run_button.isVisible()  # the new one is in front
    for dock, frame in zip(docks, frames, strict=True):
        frame.raise_()
        dock.show_status("A long sentence about what was done. " * 40)
        for widget in (dock.run_button, dock.stop_button, dock.copy_button, dock.progress, dock.status.parent()):
            qtbot.waitUntil(lambda widget=widget: _is_in_sight(widget, window), timeout=PATIENCE)
        assert dock._content.parent().height() > 200
    assert (window.width(), window.height()) == (1366, 768)
    # A dock that the user floats stays alone, and the next one finds its place among the others.
    docks[1].parent().setFloating(True)
    viewer.window.remove_dock_widget(docks[3])
    again = open_dock(NAMES[3])
    assert docks[1].parent().isFloating()
    assert set(window.tabifiedDockWidgets(again.parent())) == {frames[0], frames[2]}
    # So does one that the user puts on another side.
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, frames[2])
    viewer.window.remove_dock_widget(again)
    again = open_dock(NAMES[3])
    assert window.tabifiedDockWidgets(again.parent()) == [frames[0]]
    assert window.dockWidgetArea(frames[2]) == Qt.DockWidgetArea.LeftDockWidgetArea


def test_help_and_citation(viewer, open_dock, click):
    for name in NAMES:
        dock = open_dock(name)
        click(dock, dock.findChild(QWidget, "?"))
        text = dock.findChild(QTextBrowser).toPlainText()
        assert text.startswith(name)
        assert "Copy as Python" in text
        assert "![" not in help_page(dock.key)
    click(dock, dock.findChild(QWidget, "Cite"))
    assert QApplication.clipboard().text() == REFERENCE
    assert "10.1002/smtd.202400672" in dock.status.text()


def test_names_are_plain_text(viewer, open_dock, storm, qtbot, monkeypatch):
    shown = []
    monkeypatch.setattr("napari_smdiffusion.widgets.frame.dock.show_error", shown.append)
    viewer.add_image(storm.pixels[0], name=MARKUP)
    for name in NAMES:
        dock = open_dock(name)
        for layers in dock.findChildren(LayerList):
            layers.choose([viewer.layers[0]])
            layers.list.setCurrentRow(0)
            assert layers.list.item(0).text().startswith(MARKUP)
            assert "<img" not in layers.list.item(0).toolTip()
        dock.show_failure(f"{MARKUP} has NaN or infinite pixels.")
        assert dock.status.text().startswith(MARKUP)
        assert not Qt.mightBeRichText(shown[-1])
        for label in dock.findChildren(QLabel):
            assert label.textFormat() == Qt.TextFormat.PlainText, label.text()
        for widget in dock.findChildren(QWidget):
            assert "<img" not in widget.toolTip()


def test_text_with_markup_is_escaped_and_other_text_is_as_it_was():
    assert plain_tooltip("cell 3 < cell 4") == "cell 3 < cell 4"
    assert plain_message("cell 3 < cell 4") == "cell 3 < cell 4"
    assert plain_tooltip("a <b>b</b>\nc") == "<qt>a &lt;b&gt;b&lt;/b&gt;<br>c</qt>"


def _names(layers):
    return [layer.name for layer in layers]


def test_ticks_of_the_user_and_by_themselves(qtbot):
    viewer = ViewerModel()  # without a window, which takes longest
    chooser = LayerList(viewer, finest=False)
    qtbot.addWidget(chooser)
    assert "Open an image first" in chooser.hint.text()

    def add(name):
        return viewer.add_image(np.eye(32), name=name, scale=(80, 80), units=("nm", "nm"))

    cells = [add(f"cell {i}") for i in range(8)]
    assert set(_names(chooser.layers())) == set(_names(cells))
    cells += [add(f"cell {i}") for i in range(8, 11)]
    assert _names(chooser.layers()) == ["cell 10"]
    assert "11 images fit" in chooser.hint.text()
    finer = viewer.add_image(np.eye(64), name="finer", scale=(20, 20), units=("nm", "nm"))
    chooser.all.click()
    assert set(_names(chooser.layers())) == set(_names(cells))
    assert not chooser.hint.text()
    chooser.none.click()
    assert chooser.layers() == []
    add("after none")
    assert chooser.layers() == []  # what the user meant holds for new layers too
    chooser.choose([cells[3], finer])
    add("later")
    assert _names(chooser.layers()) == ["finer", "cell 3"]
    for layer in list(viewer.layers):
        viewer.layers.remove(layer)
    add("new")
    assert _names(chooser.layers()) == ["new"]  # the ticked layers are gone
    chooser.choose([])
    viewer.layers.remove(viewer.layers[0])
    add("next")
    assert _names(chooser.layers()) == ["next"]


def test_rows_of_long_names_have_two_lines(viewer, open_dock):
    name = "2024-03-11_U2OS_alphaTubulin_AF647_widefield_100nm_before_treatment_cell_07"
    viewer.add_image(np.eye(64), name=name, scale=(80, 80), units=("nm", "nm"))
    chooser = open_dock("Enhance widefield").layer_list
    assert chooser.list.item(0).text() == f"{name}\n64 × 64, 80 nm"
    assert chooser.list.visualItemRect(chooser.list.item(0)).height() >= 2 * chooser.list.fontMetrics().height()
    assert chooser.list.textElideMode() == Qt.TextElideMode.ElideMiddle


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_focus_is_seen(viewer, open_dock, theme):
    viewer.theme = theme
    dock = open_dock("Generate images")
    button = dock.run_button
    button.window().activateWindow()
    before = button.grab().toImage()
    button.setFocus()
    QApplication.processEvents()
    assert button.grab().toImage() != before
    assert isinstance(dock.parent(), QDockWidget)


@pytest.mark.parametrize("theirs", [None, 5, "text", [1], {"pixel_size_nm": 20.0}])
def test_docks_open_with_any_metadata_of_a_layer(qtbot, theirs):
    """As from a file that anyone can write. A value of a right type is used, next to wrong ones."""
    wrong = {"provenance": 3, "finished": "x", "unfinished": 1, "original": {"layer": 3}, "problem": [4], "typed": 1}
    layers = [
        {1: 2, METADATA: theirs, "kind": 3, "made_by": 7},
        *({METADATA: {**wrong, "pixel_size_nm": size}} for size in ("abc", [1], True, float("nan"), -1, 0, 10**400)),
        {METADATA: {"provenance": {"kind": 3, "seed": "x", "training_data": 5}}},
    ]
    viewer = ViewerModel()
    for metadata in layers:
        viewer.add_image(np.eye(64), metadata=metadata)
    for kind in (TrainDock, GenerateDock, CompareDock, EnhanceDock):
        dock = kind(viewer)
        qtbot.addWidget(dock)
        for chooser in dock.findChildren(LayerList):
            assert chooser.list.count() == len(layers)
    sizes = [known_pixel_size(layer) for layer in viewer.layers]
    assert sizes == [20.0 if isinstance(theirs, dict) else None, *[None] * (len(layers) - 1)]
