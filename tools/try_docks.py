"""Opens every dock of the installed package in a viewer, and generates one image with a click on Run."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import display

DOCKS = ("Train diffusion model", "Generate images", "Compare images", "Enhance widefield", "Open tables and results")
_PATIENCE = 120  # s


def main() -> None:
    """Open the docks, and press Run in Generate."""
    if problem := display.problem():
        sys.exit(problem)
    screen = display.start_screen()
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    import napari_smdiffusion

    assert Path(__file__).resolve().parents[1] not in Path(napari_smdiffusion.__file__).parents, "not the installed one"
    viewer = napari.Viewer()
    docks = {name: viewer.window.add_plugin_dock_widget("napari-smdiffusion", name)[1] for name in DOCKS}
    viewer.open_sample("napari-smdiffusion", "simulated_pair")
    names = [layer.name for layer in viewer.layers]
    assert len(names) >= 2, names
    generate = docks["Generate images"]
    generate.main.show_values({"count": 1, "height": 64, "width": 64})
    generate.advanced.show_values({"steps": 2})
    QTest.mouseClick(generate.run_button, Qt.MouseButton.LeftButton)
    end = time.monotonic() + _PATIENCE
    while generate.running and time.monotonic() < end:
        QTest.qWait(50)
    print(generate.status.text())
    added = [layer for layer in viewer.layers if layer.name not in names]
    assert len(added) == 1, [layer.name for layer in viewer.layers]
    assert added[0].data.shape[-2:] == (64, 64), added[0].data.shape
    viewer.close()
    if screen is not None:
        screen.terminate()
    print("All docks open, and an image was generated.")


if __name__ == "__main__":
    main()
