"""Make the pictures of the docks for the README and these pages, by clicking through the whole work.

    python docs/make_screenshots.py                    # needs a screen: on a server, xvfb-run -a before it
    python docs/make_screenshots.py --only train enhance

The images are the SFSRM microtubules of File > Open Sample, which are fetched once.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QScrollArea, QWidget

from napari_smdiffusion.images.registration import crop_to_common_field
from napari_smdiffusion.widgets.viewer.layers import layer_image
from napari_smdiffusion.widgets.viewer.view import canvas_grid, scene_camera

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent / "images"
PLUGIN = "napari-smdiffusion"
SEEN = 960  # columns of the STORM image that the bundled model was trained on
FACTOR = 5
PART = slice(100, 228), slice(130, 258)  # rows and columns of the widefield image that are enhanced
PICTURES = ("train", "generate", "compare", "enhance", "napari")


def main() -> None:
    """Click through everything and take a picture of each dock, and one of the whole work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to train for the picture")
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=list(PICTURES), help="the pictures to make")
    options = parser.parse_args()
    # The user's own models and settings stay out of the pictures; the sample images are kept.
    with tempfile.TemporaryDirectory() as home:
        os.environ["SMDIFFUSION_HOME"] = str(Path(home) / "models")
        viewer = napari.Viewer(show=True, title="napari")
        viewer.window.resize(1500, 950)
        story(viewer, options.minutes, options.only)
        viewer.close()


def story(viewer: napari.Viewer, minutes: float, pictures: Sequence[str]) -> None:
    """Open the sample, train, generate, compare and enhance."""
    viewer.open_sample(PLUGIN, "microtubule_pair")
    storm, widefield = viewer.layers["microtubule, STORM"], viewer.layers["microtubule, widefield"]
    storm.contrast_limits = (0, 90)
    widefield.visible = False
    wait(1)
    if "train" in pictures:
        show_training(viewer, minutes)
    if {"generate", "compare", "napari"} & set(pictures):
        show_generation(viewer)
    if "compare" in pictures:
        show_comparison(viewer, storm)
    if {"enhance", "napari"} & set(pictures):
        enhanced = show_enhancement(viewer, storm, widefield)
    if "napari" in pictures:
        show_all(viewer, storm, widefield, enhanced)


def show_training(viewer: napari.Viewer, minutes: float) -> None:
    """Train for some minutes, with small patches: in this time there are enough steps on a slow machine too."""
    train = opened(viewer, "Train diffusion model")
    train.time.set_minutes(minutes)
    train.name.setText("microtubules of cell 1")
    train.advanced.show_values({"patch": 64, "batch": 8})
    clicked(train.run_button)
    wait_until(lambda: train.progress.value() > 0.75 * max(train.progress.maximum(), 2), 60 * minutes + 600)
    picture(viewer, "train")
    clicked(train.stop_button)
    wait_until(lambda: not train.running, 60 * minutes + 600)
    closed(viewer, train)


def show_generation(viewer: napari.Viewer) -> None:
    """Generate images, and find the training patch that is nearest to one of them."""
    generate = opened(viewer, "Generate images")
    generate.model.choose("microtubules")
    generate.main.show_values({"count": 2, "height": 512, "width": 512, "seed": 3})
    clicked(generate.run_button)
    wait_until(lambda: not generate.running, 1200)
    viewer.layers.selection.active = viewer.layers[-1]
    clicked(generate.nearest)
    wait_until(lambda: not generate.running, 600)
    only(viewer, "synthetic", "STORM", "patch", "place in")
    picture(viewer, "generate")
    closed(viewer, generate)
    removed(viewer, "patch")
    removed(viewer, "place in")


def show_comparison(viewer: napari.Viewer, storm: Any) -> None:
    """Compare the generated images with the part of the STORM image that the bundled model was not trained on."""
    place = {name: getattr(storm, name) for name in ("scale", "units", "colormap", "contrast_limits")}
    corner = storm.data_to_world((0, SEEN))
    seen = viewer.add_image(storm.data[:, :SEEN], name="microtubule, seen", translate=storm.translate, **place)
    held_out = viewer.add_image(storm.data[:, SEEN:], name="microtubule, held out", translate=corner, **place)
    compare = opened(viewer, "Compare images")
    compare.experimental.choose(held_out)
    compare.training.choose([seen])
    clicked(compare.run_button)
    wait_until(lambda: not compare.running, 1200)
    clicked(compare.side_by_side)
    wait(1)
    scrolled_to(compare.report)
    picture(viewer, "compare")
    clicked(compare.side_by_side)
    closed(viewer, compare)


def show_enhancement(viewer: napari.Viewer, storm: Any, widefield: Any) -> Any:
    """Draw samples of a part of the widefield image, show their map of trust, and return the best estimate."""
    rows, columns = PART
    cell = viewer.add_image(
        widefield.data[rows, columns],
        name="part of cell 1",
        translate=widefield.data_to_world((rows.start, columns.start)),
        **{name: getattr(widefield, name) for name in ("scale", "units", "colormap", "metadata")},
    )
    storm.visible = False
    enhance = opened(viewer, "Enhance widefield")
    enhance.layer_list.choose([cell])
    enhance.model.choose("microtubules")
    clicked(enhance.enhance_as.samples)
    enhance.enhance_as.count.show_number(4)
    clicked(enhance.run_button)
    wait_until(lambda: not enhance.running, 1800)
    only(viewer, "part of cell 1")
    in_a_grid(viewer)
    enhance.maps.box.setCurrentText("trust")
    scrolled_to(enhance.enhance_as)
    picture(viewer, "enhance")
    canvas_grid(viewer).enabled = False
    closed(viewer, enhance)
    return next(layer for layer in viewer.layers if "enhanced" in layer.name)


def show_all(viewer: napari.Viewer, storm: Any, widefield: Any, enhanced: Any) -> None:
    """Show the whole work in one picture: experimental, generated, widefield and enhanced images of one size."""
    synthetic = next(layer for layer in viewer.layers if "synthetic" in layer.name)
    _, part, (y, x) = crop_to_common_field(layer_image(storm), layer_image(widefield), FACTOR)
    rows, columns = (slice(cut.start - first, cut.stop - first) for cut, first in zip(PART, (y, x), strict=True))
    widefield.data = widefield.data[y : y + part.size[0], x : x + part.size[1]][rows, columns]
    storm.data = storm.data[rows.start * FACTOR : rows.stop * FACTOR, columns.start * FACTOR : columns.stop * FACTOR]
    enhance = opened(viewer, "Enhance widefield")
    enhance.layer_list.choose([widefield])
    enhance.model.choose("microtubules")
    side_by_side(viewer, (storm, synthetic, widefield, enhanced))
    wait(1)
    picture(viewer, "napari")


def only(viewer: napari.Viewer, *words: str) -> None:
    """Show the layers whose names hold one of `words`, and nothing else, as large as there is room."""
    for layer in viewer.layers:
        layer.visible = any(word in layer.name for word in words)
    fitted(viewer)


def fitted(viewer: napari.Viewer) -> None:
    """Show what is visible as large as there is room."""
    viewer.reset_view()
    shown = [layer.extent.world[:, -2:] for layer in viewer.layers if layer.visible]
    low, high = np.min([one[0] for one in shown], axis=0), np.max([one[1] for one in shown], axis=0)
    camera, whole = scene_camera(viewer), viewer.layers.extent.world[:, -2:]
    camera.zoom *= (whole[1] - whole[0]).max() / (high - low).max()
    camera.center = (*camera.center[:-2], *(low + high) / 2)


def side_by_side(viewer: napari.Viewer, layers: Sequence[Any]) -> None:
    """Put layers at one place and show each in a cell of the grid, and nothing else."""
    for layer in viewer.layers:
        layer.visible = layer in layers
        place = layer.translate.copy()
        place[-2:] = layer.scale[-2:] / 2
        layer.translate = place
    in_a_grid(viewer)
    fitted(viewer)


def in_a_grid(viewer: napari.Viewer) -> None:
    """Show each visible layer in a cell of the grid."""
    grid = canvas_grid(viewer)
    grid.shape = (2, 2)
    grid.enabled = True


def scrolled_to(widget: QWidget) -> None:
    """Scroll the dock that a widget is in, so that it is seen from its top."""
    area = widget.parentWidget()
    while not isinstance(area, QScrollArea):
        area = area.parentWidget()
    bar = area.verticalScrollBar()
    bar.setValue(widget.mapTo(area.widget(), widget.rect().topLeft()).y())
    wait(0.3)


def opened(viewer: napari.Viewer, name: str) -> Any:
    """Open a dock as the Plugins menu does."""
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    wait(0.3)
    return dock


def closed(viewer: napari.Viewer, dock: Any) -> None:
    """Close a dock."""
    viewer.window.remove_dock_widget(dock)
    wait(0.2)


def removed(viewer: napari.Viewer, word: str) -> None:
    """Remove the layers whose names hold `word`."""
    for layer in [layer for layer in viewer.layers if word in layer.name]:
        # Without a graphics card, napari 0.9 crashes some time after a hidden layer was removed.
        layer.visible = True
        wait(0.2)
        viewer.layers.remove(layer)


def clicked(button: Any) -> None:
    """Click a button."""
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def picture(viewer: napari.Viewer, name: str) -> None:
    """Save what the window shows, without notifications of napari."""
    for widget in QApplication.allWidgets():
        if type(widget).__name__ == "NapariQtNotification":
            widget.close()
    wait(0.7)
    viewer.window.screenshot(path=str(HERE / f"dock_{name}.png"), flash=False)
    print(name)


def wait(seconds: float) -> None:
    """Let the event loop run."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end, seconds + 1)


def wait_until(done: Callable[[], bool], at_most: float) -> None:
    """Let the event loop run until something is done."""
    end = time.monotonic() + at_most
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("It took too long.")
        QApplication.processEvents()
        time.sleep(0.005)


if __name__ == "__main__":
    main()
