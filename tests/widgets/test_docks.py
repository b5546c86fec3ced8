"""What all docks have in common."""

import subprocess
import sys
import time

import pytest
from qtpy.QtWidgets import QPushButton, QWidget

NAMES = ("Train diffusion model", "Generate images", "Compare images", "Enhance widefield")


@pytest.mark.parametrize("name", NAMES)
def test_run_and_stop_have_their_names(open_dock, name):
    dock = open_dock(name)
    for text in ("Run", "Stop", "Copy as Python"):
        (button,) = [b for b in dock.findChildren(QPushButton) if b.text() == text]
        assert button.objectName() == text
        assert button.isVisible()
    assert dock.run_button.isEnabled()
    assert not dock.stop_button.isEnabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off(viewer, open_dock, qtbot, storm_layer, name, width, theme):
    viewer.theme = theme
    dock = open_dock(name)
    frame = dock.parent()
    frame.setFloating(True)
    frame.resize(width + frame.width() - dock.width(), 700)
    qtbot.wait(50)
    if name == "Enhance widefield":
        dock.model.choose("")
    for fold in dock.findChildren(QWidget):
        if type(fold).__name__ == "Folded":
            fold.button.setChecked(True)
    qtbot.wait(50)
    assert dock.width() == width
    content = dock._content
    assert content.width() <= width
    for child in content.findChildren(QWidget):
        if child.isVisible() and child.parentWidget() is not None and child.width() > 1:
            right = child.mapTo(content, child.rect().topRight()).x()
            assert right <= content.width() + 1, f"{child} {child.objectName()} ends at {right} of {content.width()}"


@pytest.mark.parametrize("name", NAMES)
def test_opening_is_quick(open_dock, name):
    began = time.monotonic()
    open_dock(name)
    assert time.monotonic() - began < 1


def test_opening_the_docks_loads_no_torch():
    names = ("train", "generate", "compare", "enhance")
    rooms = "\n".join(f"import napari_smdiffusion.widgets.{name}" for name in names)
    program = f"import sys\n{rooms}\nprint('torch' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]


def test_gpu_memory_can_be_released(viewer):
    from napari.utils.notifications import notification_manager
    from npe2 import PluginManager

    PluginManager.instance().commands.execute("napari-smdiffusion.release_memory")
    assert "given back" in notification_manager.records[-1].message


def test_what_run_needs_is_loaded_ahead(monkeypatch):
    import napari_smdiffusion
    from napari_smdiffusion import cards
    from napari_smdiffusion.widgets.jobs import load_ahead

    assert load_ahead("cards") is None
    monkeypatch.setattr(napari_smdiffusion, "cards", cards)  # put back afterwards, as what comes next is
    monkeypatch.delitem(sys.modules, "napari_smdiffusion.cards")
    thread = load_ahead("cards")
    assert thread is not None
    thread.join(20)
    assert "napari_smdiffusion.cards" in sys.modules
    broken = load_ahead("no_such_room")  # says nothing: whoever runs it is told
    assert broken is not None
    broken.join(20)
