"""After a run, the docks offer: saving the result, maps relative to the signal, and code that runs as a script."""

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog

from napari_smdiffusion import read_image
from napari_smdiffusion.base.errors import InputError
from napari_smdiffusion.base.folders import bundled_folder
from napari_smdiffusion.enhance.facts import EnhancerRecord
from napari_smdiffusion.enhance.trust import trust_sentence
from napari_smdiffusion.images.image import Image
from napari_smdiffusion.images.provenance import METADATA, layer_metadata
from napari_smdiffusion.images.tiff import write_image
from napari_smdiffusion.store.folder import read_facts
from napari_smdiffusion.widgets.parts.map_choice import ERROR, UNCERTAINTY, MapChoice, relative_uncertainty
from napari_smdiffusion.widgets.parts.save_results import SaveResults, file_name, free_paths
from napari_smdiffusion.widgets.viewer.opening import opening_code


class Frame:
    """A dock that runs steps at once."""

    running = False

    def __init__(self):
        self.messages, self.failures = [], []

    def start(self, title, steps, on_result):
        from napari_smdiffusion.base.events import run

        self.messages.append(on_result(run(steps(lambda: False))))

    def show_status(self, message):
        self.messages.append(message)

    def show_failure(self, message):
        self.failures.append(message)


@pytest.fixture
def model():
    """Return a viewer without a window."""
    return ViewerModel()


@pytest.fixture
def saving(model, qtbot):
    button = SaveResults(model, Frame())
    qtbot.addWidget(button)
    return button


def _result(model, name="tiny, seed 0 (synthetic)"):
    metadata = layer_metadata({"kind": "synthetic", "model": "tiny", "seed": 7})
    pixels = np.random.default_rng(0).random((2, 32, 48)).astype(np.float32)
    return model.add_image(pixels, name=name, scale=(1, 20, 20), units=("pixel", "nm", "nm"), metadata=metadata)


def test_a_result_is_saved_with_its_mark_and_place(model, saving, monkeypatch, tmp_path):
    layer, asked = _result(model), []
    assert not saving.isEnabled()
    saving.set_layers([layer])

    def ask(_, __, wanted, ___):
        asked.append(wanted)
        return str(tmp_path / "mine"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    saving.click()
    assert asked[0].endswith("tiny, seed 0 (synthetic).tif")
    image = read_image(tmp_path / "mine.tif")
    np.testing.assert_array_equal(image.pixels, layer.data)
    assert (image.pixel_size, image.provenance.kind, image.provenance.seed) == (20, "synthetic", 7)
    assert saving._frame.messages == [f"The result is in {tmp_path / 'mine.tif'}."]
    saving.click()
    assert "mine.tif exists: choose another name" in saving._frame.failures[0]
    model.layers.clear()
    saving.click()
    assert "no longer in the viewer" in saving._frame.failures[1]


def test_several_results_are_saved_into_a_folder_and_replace_nothing(model, saving, monkeypatch, tmp_path):
    saving.set_layers([_result(model, "enhanced ×4: a/b"), _result(model, "error map: a")])
    (tmp_path / "error map_ a.tif").write_text("of a person")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    saving.click()
    assert {path.name for path in tmp_path.iterdir()} == {
        "enhanced ×4_ a_b.tif",
        "error map_ a.tif",
        "error map_ a 2.tif",
    }
    assert (tmp_path / "error map_ a.tif").read_text() == "of a person"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    saving.click()
    assert len(saving._frame.messages) == 1


@pytest.mark.parametrize(
    ("name", "file"),
    [("a:b*c", "a_b_c"), ("...", "result"), ("x" * 400, "x" * 150), ("a\nb", "a_b"), (" cell. ", "cell")],
)
def test_names_of_layers_become_names_of_files(name, file):
    assert file_name(name) == file


def test_equal_names_get_numbers(tmp_path):
    assert [path.name for path in free_paths(tmp_path, ["a", "a"])] == ["a.tif", "a 2.tif"]


def test_one_kind_of_map_is_shown_relative_to_the_signal(model, qtbot):
    choice = MapChoice(model)
    qtbot.addWidget(choice)
    enhanced = np.full((40, 40), 10.0, np.float32)
    enhanced[:20] = 0.0
    half_width = np.full((40, 40), 2.0, np.float32)
    signal = model.add_image(enhanced, name="enhanced ×4: cell")
    layers = [model.add_image(half_width, name=f"{kind}: cell", visible=False) for kind in (UNCERTAINTY, ERROR)]
    assert not choice.isVisibleTo(choice.parentWidget())
    for kind, layer in zip((UNCERTAINTY, ERROR), layers, strict=True):
        choice.add(kind, layer, signal, np.linspace(0, 100, 10_000).reshape(2, 50, 100))
    choice.box.setCurrentText(UNCERTAINTY)
    shown = model.layers["relative uncertainty (%): cell"]
    np.testing.assert_allclose(shown.data[20:], 20)  # 2 of 10
    np.testing.assert_allclose(shown.data[:20], 200)  # of a tenth of the brightest value
    assert tuple(shown.contrast_limits) == (0, 100)
    assert "Half width of the intervals, in % of the enhanced value" in choice._words.text()
    choice.box.setCurrentText(ERROR)
    assert "relative uncertainty (%): cell" not in model.layers
    assert 2 < float(model.layers["relative error (%): cell"].data[0, 0]) < 5  # of the range of one plane
    assert not any(layer.visible for layer in layers)
    np.testing.assert_array_equal(layers[0].data, half_width)
    choice.box.setCurrentText("none")
    assert len(model.layers) == 3
    choice.box.setCurrentText(UNCERTAINTY)
    model.layers.remove(layers[0])
    choice.clear()
    assert [layer.name for layer in model.layers] == ["enhanced ×4: cell", "error map: cell"]


def test_a_map_of_another_size_is_refused():
    with pytest.raises(InputError, match="different sizes"):
        relative_uncertainty(np.ones((4, 4)), np.ones((5, 5)))


def test_the_dock_shows_how_far_intervals_can_be_trusted():
    record = read_facts(bundled_folder() / "enhancer" / "microtubules", "enhancer", EnhancerRecord)
    sentence = trust_sentence(record)
    assert sentence.startswith("Intervals of 90 % held for")
    assert "of simulated images" in sentence
    assert "77 to 78 % of the pixels with structure" in sentence
    assert "77 to 78 %" in trust_sentence(None)


def test_code_opens_the_files_of_layers_at_their_place(viewer, tmp_path):
    write_image(tmp_path / "cell.tif", Image(np.ones((16, 16), np.float32), 100.0))
    (layer,) = viewer.open(tmp_path / "cell.tif", name="my cell", scale=(3, 3), translate=(5, 6), units=("um", "um"))
    layer.metadata = {**layer.metadata, METADATA: {"pixel_size_nm": 97.0, "typed": True, "original": object()}}
    code, opened = opening_code(viewer, ["my cell"]), ViewerModel()
    exec(code, {"viewer": opened})
    again = opened.layers["my cell"]
    np.testing.assert_array_equal(again.data, layer.data)
    np.testing.assert_allclose([again.scale, again.translate], [(3, 3), (5, 6)])
    assert again.units == layer.units
    assert again.metadata[METADATA] == {"pixel_size_nm": 97.0, "typed": True}
    viewer.add_image(np.ones((4, 4)), name="made")
    with pytest.raises(SystemExit, match="'made' is not from a file: run this code in napari's console"):
        exec(opening_code(viewer, ["my cell", "made"]), {"viewer": ViewerModel()})


def test_copied_code_runs_as_a_script(viewer, open_dock, click, my_enhancer, monkeypatch, tmp_path):
    import napari

    write_image(tmp_path / "cell.tif", Image(np.random.default_rng(0).random((40, 40), np.float32), 80.0))
    viewer.open(tmp_path / "cell.tif", name="cell", scale=(80, 80), units=("nm", "nm"))
    dock = open_dock("Enhance widefield")
    dock.model.choose(my_enhancer)
    dock.layer_list.choose([viewer.layers["cell"]])
    click(dock, dock.copy_button)
    code = QGuiApplication.clipboard().text()
    scripted = ViewerModel()
    monkeypatch.setattr(napari, "current_viewer", lambda: None)
    monkeypatch.setattr(napari, "Viewer", lambda: scripted)
    monkeypatch.setattr(napari, "run", lambda: scripted.layers.selection.clear())
    exec(code, {})
    assert [layer.name for layer in scripted.layers] == ["cell", "enhanced ×4: cell"]
    assert not scripted.layers.selection
