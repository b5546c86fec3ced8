"""Behaviour that all docks share."""

import importlib
import itertools
import json
import subprocess
import sys
import threading

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QPushButton,
    QWidget,
)

from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.widgets.docks.compare import CompareDock
from napari_smdiffusion.widgets.docks.enhance import EnhanceDock
from napari_smdiffusion.widgets.docks.generate import GenerateDock
from napari_smdiffusion.widgets.docks.train import TrainDock
from napari_smdiffusion.widgets.frame.preload import preload
from napari_smdiffusion.widgets.parts.folded import Folded
from napari_smdiffusion.widgets.parts.pickers import LayerList

NAMES = ("Train diffusion model", "Generate images", "Compare images", "Enhance widefield")


def test_buttons_have_their_names(open_dock):
    for name in NAMES:
        dock = open_dock(name)
        for text in ("Run", "Stop", "Copy as Python"):
            # The folded part that calibrates on a pair has a job of its own, whose code is copied there.
            (button,) = [b for b in dock.findChildren(QPushButton) if b.text() == text and b.isVisible()]
            assert button.objectName() == text
        assert dock.run_button.isEnabled()
        assert not dock.stop_button.isEnabled()


@pytest.mark.parametrize("name", NAMES)
def test_no_field_is_cut_off(viewer, open_dock, qtbot, storm_layer, name):
    bare = viewer.add_image(storm_layer.data, name="20231105_U2OS_aTubulin_AF647_10ms_STORM_ROI3_rendered_20nm_Pos0")
    dock = open_dock(name)
    for layer_list in dock.findChildren(LayerList):
        layer_list.choose([storm_layer, bare])  # shows the field for the pixel size
        layer_list.list.setCurrentRow(0)  # and the field for the weight
    frame = dock.parent()
    frame.setFloating(True)
    if name == "Enhance widefield":
        dock.model.choose("")
    for fold in dock.findChildren(Folded):
        fold.button.setChecked(True)
    # One viewer for all widths and themes, because making a viewer takes longest.
    # A change of the theme takes most of the rest; a viewer begins with the dark one.
    for theme, width in itertools.product(("dark", "light"), (360, 1000)):
        viewer.theme = theme
        frame.resize(width + frame.width() - dock.width(), 700)
        qtbot.wait(50)
        assert dock.width() == width
        assert dock._content.width() <= width
        for child in dock._content.findChildren(QWidget):
            assert not _sticks_out(child, dock._content), f"{child} {child.objectName()}, {width} pixels, {theme}"


def test_a_long_name_is_elided_and_complete_in_the_tooltip(viewer, open_dock, storm):
    name = "20231105_U2OS_aTubulin_AF647_10ms_STORM_ROI3_rendered_20nm_Pos0"
    bare = viewer.add_image(storm.pixels[0], name=name)
    layer_list = open_dock("Train diffusion model").layer_list
    layer_list.choose([bare])
    label = layer_list._pixel_size_label
    drawn = QLabel.text(label)
    assert "…" in drawn
    assert drawn.endswith("Pos0")
    assert label.fontMetrics().horizontalAdvance(drawn) <= label.width()
    assert label.toolTip() == name


def test_the_tab_key_skips_fields_of_folded_sections(open_dock):
    for name in NAMES:
        dock = open_dock(name)
        folds = dock.findChildren(Folded)
        assert folds
        for fold in folds:
            fields = [*fold.content.findChildren(QAbstractSpinBox), *fold.content.findChildren(QComboBox)]
            assert fields or fold.content.findChildren(QAbstractItemView)  # the figures of a report
            assert not any(field.isVisible() for field in fields)
            fold.button.setChecked(True)
            assert fold.content.isVisibleTo(fold)


@pytest.mark.parametrize(
    "remembered", ["{", "[]", 3, {"seed": "x", "minutes": None, "channels": [1], "training": 3, "model": 7}]
)
def test_docks_open_with_invalid_remembered_settings(open_dock, remembered):
    keys = ("train", "generate", "compare", "enhance")
    text = remembered if isinstance(remembered, str) else json.dumps(dict.fromkeys(keys, remembered))
    user_folder().mkdir(parents=True)
    (user_folder() / "docks.json").write_text(text, encoding="utf-8")
    for name, key in zip(NAMES, keys, strict=True):
        dock = open_dock(name)
        assert dock.key == key
        assert "x" not in dock.settings().values()


def test_the_wheel_scrolls_the_form_and_changes_no_field(open_dock):
    for name in NAMES:
        dock = open_dock(name)
        fields = [*dock._content.findChildren(QAbstractSpinBox), *dock._content.findChildren(QComboBox)]
        values = [field.property("value") or field.property("currentIndex") for field in fields]
        for field in fields:
            middle = QPointF(field.rect().center())
            event = QWheelEvent(
                middle, QPointF(field.mapToGlobal(field.rect().center())), QPoint(), QPoint(0, -120),
                Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
            )  # fmt: skip
            QApplication.sendEvent(field, event)
            assert not event.isAccepted()  # so that Qt passes it on to the parent widget
        assert values == [field.property("value") or field.property("currentIndex") for field in fields]


def _sticks_out(child, content):
    if not child.isVisible() or child.parentWidget() is None or child.width() <= 1:
        return False
    return child.mapTo(content, child.rect().topRight()).x() > content.width() + 1


_OPEN_ALL = """
import sys
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
from napari_smdiffusion.widgets.docks import compare, enhance, generate, train

application, viewer = QApplication([]), ViewerModel()
docks = train.TrainDock(viewer), generate.GenerateDock(viewer), compare.CompareDock(viewer), enhance.EnhanceDock(viewer)
print(sorted({"torch", "diffusers", "matplotlib.pyplot", "pyqtgraph"} & set(sys.modules)))
"""


def test_making_the_docks_loads_no_slow_library():
    result = subprocess.run([sys.executable, "-c", _OPEN_ALL], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[-2] == "[]"


def test_a_pixel_size_is_entered_once_for_all_docks(viewer, open_dock, storm):
    bare = viewer.add_image(storm.pixels[0], name="bare")
    train, enhance, compare = (open_dock(name) for name in ("Train diffusion model", "Enhance widefield", NAMES[2]))
    for dock in (train, enhance):
        dock.layer_list.choose([bare])
        assert dock.layer_list.pixel_size.isVisible()
    train.layer_list.pixel_size.setValue(25)
    train.layer_list.pixel_size.editingFinished.emit()
    assert not train.layer_list.pixel_size.isVisible()
    assert not enhance.layer_list.pixel_size.isVisible()
    assert "25 nm" in enhance.layer_list.list.item(0).text()
    assert "25 nm" in compare.experimental.currentText()


def test_gpu_memory_can_be_released(viewer):
    from napari.utils.notifications import notification_manager
    from npe2 import PluginManager

    PluginManager.instance().commands.execute("napari-smdiffusion.release_memory")
    assert "released" in notification_manager.records[-1].message


def test_the_module_that_run_needs_is_preloaded(monkeypatch):
    from napari_smdiffusion import store
    from napari_smdiffusion.store import card

    assert preload("napari_smdiffusion.store.card") is None
    monkeypatch.setattr(store, "card", card)  # monkeypatch restores it afterwards
    monkeypatch.delitem(sys.modules, "napari_smdiffusion.store.card")
    thread = preload("napari_smdiffusion.store.card")
    assert thread is not None
    thread.join()
    assert "napari_smdiffusion.store.card" in sys.modules


@pytest.mark.parametrize("dock", [CompareDock, EnhanceDock, GenerateDock, TrainDock])
def test_each_dock_preloads_a_module_that_exists(dock):
    assert importlib.import_module(dock.preload_module)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("import no_such_library", None), ("from napari_smdiffusion import no_such_module", "ImportError"),
     ("import napari_smdiffusion.no_such_module", "ModuleNotFoundError")],
)  # fmt: skip
def test_preloading_reports_errors_of_our_own_modules_only(tmp_path, monkeypatch, text, problem):
    failures = []
    monkeypatch.setattr(threading, "excepthook", lambda args: failures.append(args.exc_type.__name__))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_module.py").write_text(text)
    preload("broken_module").join()
    assert failures == ([] if problem is None else [problem])
