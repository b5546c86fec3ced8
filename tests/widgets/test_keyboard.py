"""Numbers and commands by keyboard, with the events of real keys."""

import itertools

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QVBoxLayout, QWidget

from napari_smdiffusion.widgets.parts.folded import Folded
from napari_smdiffusion.widgets.parts.numbers import NumberField
from napari_smdiffusion.widgets.parts.pickers import LayerList
from napari_smdiffusion.widgets.viewer.layer_pixels import known_pixel_size

from .conftest import PATIENCE

NAMES = ("Train diffusion model", "Generate images", "Compare images", "Enhance widefield")
LEFT, CONTROL, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier


def _unfolded(dock):
    """Show all fields of a dock."""
    if hasattr(dock, "training") and hasattr(dock.training, "factor"):
        dock.model.choose("")
    for fold in dock.findChildren(Folded):
        fold.button.setChecked(True)


def _activated(widget, qtbot):
    """Give the window of a widget the keyboard: only then do widgets get and lose the focus."""
    widget.window().activateWindow()
    qtbot.waitUntil(widget.window().isActiveWindow, timeout=PATIENCE)


def _typed(field, text, key, *, double_click):
    """Select the number in a field, type another one, and press a key; return the number."""
    field.setFocus()
    assert field.hasFocus()
    edit = field.lineEdit()
    if double_click:
        QTest.mouseDClick(edit, LEFT)
    else:
        QTest.keyClick(edit, Qt.Key.Key_A, CONTROL)
    QTest.keyClicks(edit, text)
    QTest.keyClick(edit, key)
    return field.number()


@pytest.mark.parametrize("name", NAMES)
def test_each_number_is_the_one_that_was_typed(viewer, open_dock, storm_layer, qtbot, name):
    dock = open_dock(name)
    _activated(dock, qtbot)
    _unfolded(dock)
    fields = dock.findChildren(QAbstractSpinBox)
    assert all(isinstance(field, NumberField) for field in fields), "a spin box of Qt garbles what is typed"
    assert name == "Compare images" or len([field for field in fields if field.isVisible()]) >= 5
    for field in (field for field in fields if field.isVisible() and field.isEnabled()):
        for text in ("256", "512", "96", "1024", "20", "7", "32048", "640"):
            assert _typed(field, text, Qt.Key.Key_Tab, double_click=True) == float(text), field.objectName()
            assert _typed(field, "5", Qt.Key.Key_Return, double_click=False) == 5, field.objectName()
            assert _typed(field, text, Qt.Key.Key_Enter, double_click=False) == float(text), field.objectName()


def test_numbers_of_all_forms(viewer, qtbot):
    """Far outside the limits, with a decimal point or comma, with an exponent, with a unit, and none."""
    part, whole, window = NumberField(0.01, 10, suffix=" nm"), NumberField(32, 4096, whole=True, step=16), QWidget()
    qtbot.addWidget(window)
    layout = QVBoxLayout(window)
    for field in (part, whole):
        layout.addWidget(field)
        field.show_number(64)
    window.show()
    _activated(window, qtbot)
    typed = {"0.00015": 0.00015, "1,5": 1.5, "1e-4": 1e-4, "1e3": 1000, "-2.5": -2.5, ".5": 0.5}
    for text, number in typed.items():
        assert _typed(part, text, Qt.Key.Key_Tab, double_click=True) == pytest.approx(number, rel=1e-12), text
        assert _typed(part, "3", Qt.Key.Key_Tab, double_click=True) == 3, text  # a double click selects all of it
    assert part.text() == "3 nm"
    for text, number in (("99999999999", 99999999999), ("12.5", 12.5), ("-16", -16), ("0", 0), ("72", 72)):
        assert _typed(whole, text, Qt.Key.Key_Tab, double_click=True) == number, text
    assert [value for value in (32, 33.5, 31, 4096, True, "64", None) if whole.permits(value)] == [32, 4096]
    whole.show_number(64)
    QTest.keyClick(whole.lineEdit(), Qt.Key.Key_A, CONTROL)
    QTest.keyClick(whole.lineEdit(), Qt.Key.Key_Delete)
    whole.commit()
    assert whole.text() == "64"  # nothing was typed
    QTest.keyClick(whole, Qt.Key.Key_Up)
    assert whole.number() == 80
    whole.show_number(4096)
    QTest.keyClick(whole, Qt.Key.Key_Up)
    assert whole.number() == 4096


def test_numbers_are_taken_while_the_field_has_the_focus(viewer, open_dock, my_model, qtbot):
    dock = open_dock("Generate images")
    _activated(dock, qtbot)
    dock.model.choose(my_model)
    field = next(field for field in dock.findChildren(NumberField) if field.objectName() == "height")
    field.setFocus()
    QTest.mouseDClick(field.lineEdit(), LEFT)
    QTest.keyClicks(field.lineEdit(), "3256")
    dock.run()  # as the shortcut does: the focus stays in the field
    assert dock.status.text() == "height must be a multiple of 16, not 3256."
    QTest.mouseDClick(field.lineEdit(), LEFT)
    QTest.keyClicks(field.lineEdit(), "80")
    dock.copy_code()
    assert "height=80" in QApplication.clipboard().text()
    for count in dock.findChildren(NumberField):
        if count.objectName() in ("count", "steps"):
            count.show_number(2)
    QTest.keyClick(field.lineEdit(), Qt.Key.Key_Return, CONTROL)
    assert dock.running
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert viewer.layers[-1].data.shape[1] == 80


@pytest.mark.parametrize("name", NAMES)
def test_tab_leads_through_the_fields_to_run(open_dock, storm_layer, name):
    dock = open_dock(name)
    widget, reached = dock, []
    for _ in range(400):
        widget = widget.nextInFocusChain()
        if widget.isVisible() and widget.isEnabled() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            if widget is dock.run_button:
                break
            reached.append(widget)
    assert widget is dock.run_button
    assert reached
    assert all(dock._content.isAncestorOf(field) for field in reached), "fields come first, and nothing else"
    rows = [field.mapTo(dock, field.rect().center()).y() for field in reached]
    assert all(after > before - 10 for before, after in itertools.pairwise(rows))


def test_a_pixel_size_is_typed(qtbot):
    viewer = ViewerModel()
    layer = viewer.add_image(np.eye(64), name="bare")
    chooser = LayerList(viewer, finest=True)
    qtbot.addWidget(chooser)
    chooser.show()
    _activated(chooser, qtbot)
    chooser.choose([layer])
    assert chooser.pixel_size.text() == "unknown"
    _typed(chooser.pixel_size, "20,5", Qt.Key.Key_Tab, double_click=True)
    assert known_pixel_size(layer) == 20.5
    chooser.list.setCurrentRow(0)  # shows the field again
    for wrong in ("0", "20500"):
        _typed(chooser.pixel_size, wrong, Qt.Key.Key_Tab, double_click=True)
        assert known_pixel_size(layer) == 20.5
    _typed(chooser.pixel_size, "97", Qt.Key.Key_Return, double_click=False)
    assert known_pixel_size(layer) == 97
