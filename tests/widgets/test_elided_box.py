"""A combo box that elides a long entry, and shows all of it in its tooltip."""

import pytest
from qtpy.QtCore import Qt

from napari_smdiffusion.widgets.parts.elided_box import ElidedBox

LONG = "a model with a long <b>name</b> (bundled), ×5 with samples, from 96.8 to 19.36 nm"


@pytest.fixture
def box(qtbot):
    box = ElidedBox(Qt.TextElideMode.ElideRight, "the models")
    qtbot.addWidget(box)
    box.addItems(["short", LONG])
    box.resize(200, 30)
    box.show()
    return box


def test_a_long_entry_is_elided_and_whole_in_the_tooltip(box, qtbot):
    box.grab()
    assert (box.shown_text, box.toolTip()) == ("short", "the models")
    box.setCurrentIndex(1)
    box.grab()
    assert box.shown_text.startswith("a model with")
    assert box.shown_text.endswith("…")
    assert "with samples, from 96.8 to 19.36 nm" in box.toolTip()
    assert "&lt;b&gt;name" in box.toolTip()  # as text
    assert "the models" in box.toolTip()
    box.resize(1500, 30)
    box.grab()
    assert (box.shown_text, box.toolTip()) == (LONG, "the models")


def test_an_empty_box_shows_what_to_do(box):
    box.setPlaceholderText("choose a model")
    box.setCurrentIndex(-1)
    assert box.shown_text == "choose a model"
