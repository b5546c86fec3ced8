"""The Generate dock, used by mouse clicks."""

import gc
import weakref

import dask.array
import numpy as np
import pytest
import torch
from qtpy.QtGui import QGuiApplication

from diffusion.test_imported import Shapes
from napari_smdiffusion import ImportConfig, import_checkpoint, load_diffusion_model
from napari_smdiffusion.base.events import Progress
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.images.provenance import layer_metadata
from napari_smdiffusion.widgets.viewer.layers import METADATA, drawn_extent, kind, layer_image, layer_provenance

from .conftest import PATIENCE


@pytest.fixture
def dock(open_dock, my_model):
    dock = open_dock("Generate images")
    dock.model.choose(my_model)
    dock.main.show_values({"count": 3, "height": 64, "width": 96, "seed": 5})
    dock.advanced.show_values({"steps": 4, "batch": 1})
    return dock


def _synthetic(viewer):
    return [layer for layer in viewer.layers if kind(layer) == "synthetic"]


def test_images_stream_into_one_layer(viewer, dock, click, qtbot):
    lengths, bases, finished = set(), set(), set()

    def watch():
        for layer in _synthetic(viewer):
            lengths.add(len(layer.data))
            bases.add(id(layer.data.base))
            if count := layer.metadata[METADATA].get("finished"):
                assert len(layer_image(layer)) == count
                finished.add(count)

    dock.advanced.show_values({"steps": 20})
    click(dock, dock.run_button, wait=False)

    def done():
        watch()
        return not dock.running

    qtbot.waitUntil(done, timeout=PATIENCE)
    (layer,) = _synthetic(viewer)
    assert layer.data.shape == (3, 64, 96)
    assert len(bases) == 1  # one array for all images, without a copy
    assert len(lengths) > 1
    assert {1, 2} & finished
    assert len(layer_image(layer)) == 3
    assert "synthetic" in layer.name
    assert layer_provenance(layer)["settings"]["seed"] == 5
    assert layer_provenance(layer)["training_data"]
    np.testing.assert_allclose(layer.scale, (1, 20, 20))
    assert [str(unit) for unit in layer.units] == ["pixel", "nanometer", "nanometer"]
    expected = load_diffusion_model("tiny").generate(3, size=(64, 96), seed=5, steps=20)
    np.testing.assert_allclose(layer.data, expected.pixels, atol=1e-3)


def test_images_are_shown_beside_a_stack_and_freed_with_their_layer(viewer, dock, click, qtbot):
    """The slider starts at the middle plane of the stack, where there is no generated image."""
    viewer.add_image(np.ones((40, 96, 96)), name="stack", scale=(0.3, 0.1, 0.1), units=("um", "um", "um"))
    flat = viewer.add_image(np.ones((96, 96)), name="flat", scale=(20, 20), units=("nm", "nm"))
    drawn = drawn_extent(viewer, flat, "nm")
    viewer.dims.set_current_step(0, 19)
    click(dock, dock.run_button)
    (layer,) = _synthetic(viewer)
    assert viewer.layers.extent.units is not None  # napari has no common units if the units of an axis differ
    np.testing.assert_array_equal(drawn_extent(viewer, flat, "nm"), drawn)
    np.testing.assert_array_equal(layer._slice.image.raw, layer.data[2])  # the newest
    assert viewer.dims.current_step[0] == 2
    reference = weakref.ref(layer)
    viewer.layers.remove(layer)
    del layer

    def collected():
        gc.collect()
        return reference() is None

    qtbot.waitUntil(collected, timeout=PATIENCE)


def test_the_slider_stays_at_a_plane_that_the_user_chose(viewer, dock, click, qtbot):
    viewer.add_image(np.ones((40, 64, 96)), name="stack", scale=(1, 20, 20))
    dock.main.show_values({"count": 200})
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: any(len(layer.data) > 2 for layer in _synthetic(viewer)), timeout=PATIENCE)
    viewer.dims.set_current_step(0, 30)
    before = len(_synthetic(viewer)[0].data)
    qtbot.waitUntil(lambda: len(_synthetic(viewer)[0].data) > before, timeout=PATIENCE)
    assert viewer.dims.current_step[0] == 30
    click(dock, dock.stop_button)


def test_an_exact_copy_of_integer_pixels_is_found(viewer, dock, click, storm_layer, storm):
    counts = np.round(200 * storm.pixels[0] / storm.pixels.max()).astype(np.uint8)
    storm_layer.data = counts
    viewer.add_image(
        counts[20:180, 11:171], name="copy", metadata=layer_metadata({"kind": "synthetic"}), scale=(20, 20)
    )
    click(dock, dock.nearest)
    assert "correlates by 1.00" in dock.status.text()


def test_images_that_do_not_fit_into_memory_are_refused_at_the_start(viewer, dock, click):
    dock.main.show_values({"count": 1_000_000, "height": 4096, "width": 4096})
    click(dock, dock.run_button)
    assert "choose fewer or smaller images" in dock.status.text()
    assert not viewer.layers


def test_the_search_reads_only_the_shown_plane_of_a_stack_on_disk(viewer, dock, click, storm_layer):
    read = []

    def plane(block_info=None):
        read.append(block_info[None]["chunk-location"][0])
        return np.random.default_rng(0).random((1, 128, 128))

    lazy = dask.array.map_blocks(plane, chunks=((1,) * 9, 128, 128), dtype=float, meta=np.empty((0, 0, 0)))
    viewer.add_image(
        lazy, name="lazy", metadata=layer_metadata({"kind": "synthetic"}), contrast_limits=(0, 1), scale=(1, 20, 20)
    )
    viewer.dims.set_current_step(0, 4)
    read.clear()
    click(dock, dock.nearest)
    assert set(read) == {4}
    assert "correlates by" in dock.status.text()


def test_stop_keeps_finished_images(viewer, dock, click, qtbot, computed):
    dock.main.show_values({"count": 500})
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: any(len(layer.data) > 2 for layer in _synthetic(viewer)), timeout=PATIENCE)
    click(dock, dock.stop_button, wait=False)
    computed.stopped.set()
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert (computed.training, computed.using <= 1) == (0, True)  # the current solver step
    (layer,) = _synthetic(viewer)
    assert 1 < len(layer.data) < 500
    expected = load_diffusion_model("tiny").generate(2, size=(64, 96), seed=5, steps=4, batch=1)
    np.testing.assert_allclose(layer.data[:2], expected.pixels, atol=1e-3)


def test_contrast_is_set_once(viewer, dock, click, qtbot):
    dock.main.show_values({"count": 12})
    click(dock, dock.run_button, wait=False)
    qtbot.waitUntil(lambda: bool(_synthetic(viewer)), timeout=PATIENCE)
    layer = _synthetic(viewer)[0]
    layer.contrast_limits = (1, 2)
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    assert layer.contrast_limits == [1, 2]


def test_new_seed_gives_other_images(viewer, dock, click):
    click(dock, dock.run_button)
    click(dock, dock.new_seed)
    assert dock.main.values()["seed"] != 5
    click(dock, dock.run_button)
    first, second = _synthetic(viewer)
    assert not np.allclose(first.data, second.data)
    assert first.extent.world[1, -1] < second.extent.world[0, -1]  # beside each other


def test_a_size_that_does_not_fit_is_refused(dock, click):
    dock.main.show_values({"height": 64})
    dock.main.show_values({"height": 72})
    click(dock, dock.run_button)
    assert "multiple of 16" in dock.status.text()


def test_a_size_that_the_model_cannot_make_starts_no_run(viewer, dock, click):
    dock.main.show_values({"height": 32})
    click(dock, dock.run_button, wait=False)
    assert dock.status.text() == "height must be at least 64 for this model, not 32."
    assert dock.background is None
    assert not _synthetic(viewer)


def test_images_that_cannot_be_searched_are_named(viewer, dock, click):
    click(dock, dock.run_button)
    viewer.add_image(np.full((256, 256), np.nan), name="holes", scale=(20, 20), units=("nm", "nm"))
    click(dock, dock.nearest)
    assert dock.status.text() == "holes cannot be searched: check for NaN pixels."


def test_a_search_without_a_synthetic_image_is_refused(dock, click):
    click(dock, dock.nearest)
    assert "no synthetic image" in dock.status.text()


def test_copied_code_does_the_same(viewer, dock, click):
    click(dock, dock.run_button)
    click(dock, dock.copy_button)
    exec(QGuiApplication.clipboard().text(), {})
    first, second = _synthetic(viewer)
    np.testing.assert_allclose(first.data, second.data, atol=1e-3)
    np.testing.assert_allclose(first.scale, second.scale)


def test_a_folder_without_a_model_is_refused(dock, tmp_path):
    with pytest.raises(ValueError, match="model"):
        dock.model.add_folder(str(tmp_path))


def test_layers_that_cannot_be_training_images_do_not_stop_the_search(viewer, dock, click, storm_layer, storm):
    viewer.add_image(np.zeros((2, 2, 200, 200), np.float32), name="four axes")
    viewer.add_image(np.full((200, 200), np.nan, np.float32), name="not a number")
    viewer.add_image(storm.pixels[0, 32:160, 32:160], name="planted", metadata=layer_metadata({"kind": "synthetic"}))
    click(dock, dock.nearest)
    assert "patch: storm" in " ".join(layer.name for layer in viewer.layers)


def test_a_run_stopped_before_its_first_image_is_not_an_error(viewer, dock, click, qtbot, monkeypatch):
    shown = []
    monkeypatch.setattr("napari_smdiffusion.widgets.frame.dock.show_error", shown.append)
    dock.main.show_values({"height": 512, "width": 512})
    dock.advanced.show_values({"steps": 500})
    click(dock, dock.run_button, wait=False)
    click(dock, dock.stop_button)
    assert not _synthetic(viewer)
    assert "nothing was generated" in dock.status.text()
    assert not shown


def test_the_chosen_model_is_used_if_another_has_its_name(viewer, dock, click, tiny_model):
    from napari_smdiffusion.base.folders import bundled_folder
    from napari_smdiffusion.store.catalogue import find_model

    tiny_model.save(user_folder() / "diffusion" / "microtubules")
    dock.model.refresh()
    texts = [dock.model.box.itemText(i) for i in range(dock.model.box.count())]
    dock.model.box.setCurrentIndex(next(i for i, t in enumerate(texts) if t.startswith("microtubules (bundled)")))
    assert find_model(dock.model.model(), "diffusion") == bundled_folder() / "diffusion" / "microtubules"
    dock.model.box.setCurrentIndex(next(i for i, t in enumerate(texts) if t.startswith("microtubules, ")))
    assert find_model(dock.model.model(), "diffusion") == user_folder() / "diffusion" / "microtubules"
    (user_folder() / "diffusion" / "microtubules").rename(user_folder() / "away")
    dock.model.refresh()
    assert dock.model.model() is None  # not the bundled model of the same name
    click(dock, dock.run_button)
    assert "microtubules is missing" in dock.status.text()
    assert not _synthetic(viewer)


@pytest.mark.parametrize("where", ["on_result", "on_end"])
def test_an_error_at_the_end_does_not_leave_the_dock_locked(dock, click, monkeypatch, caplog, where):
    def fail(*_):
        raise KeyError("scaling")

    with monkeypatch.context() as patch:  # the dock is closed without an error
        patch.setattr(dock, where, fail)
        click(dock, dock.run_button)
    assert "failed ('scaling')" in dock.status.text()
    assert "Traceback" in caplog.text
    assert dock.background is None
    assert dock._content.isEnabled()
    assert dock.run_button.isEnabled()
    assert not dock.stop_button.isEnabled()


def test_an_error_at_the_start_starts_no_run(viewer, dock, click, monkeypatch):
    def fail(_):
        raise OSError("There is no room.")

    monkeypatch.setattr(dock, "on_start", fail)
    click(dock, dock.run_button)
    assert dock.status.text() == "There is no room."
    assert dock.background is None
    assert not _synthetic(viewer)


def test_a_checkpoint_of_the_papers_code_generates(viewer, open_dock, click, tmp_path):
    torch.save(Shapes(32, 32).random(), tmp_path / "ema_0.9999_002000.pt")
    model = import_checkpoint(tmp_path / "ema_0.9999_002000.pt", ImportConfig(pixel_size=20.0), name="theirs")
    model.save(user_folder() / "diffusion" / "theirs")
    dock = open_dock("Generate images")
    assert dock.model.choose("theirs")
    dock.main.show_values({"count": 2, "height": 32, "width": 48, "seed": 1})
    dock.advanced.show_values({"steps": 4})
    click(dock, dock.run_button)
    (layer,) = _synthetic(viewer)
    np.testing.assert_allclose(layer.data, model.generate(2, size=(32, 48), steps=4, seed=1).pixels, atol=0.1)
    np.testing.assert_allclose(layer.scale, (1, 20, 20))
    assert layer_provenance(layer)["model"] == "theirs"


def test_the_time_left_is_shown_if_it_is_known(dock):
    for seconds, text in ((float("inf"), "searching 3/5"), (65.0, "searching 3/5, 1:05 left")):
        dock._show_progress(Progress("searching", 3, 5, seconds))
        assert dock.progress.format() == text
