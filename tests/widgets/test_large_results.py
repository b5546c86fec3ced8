"""Results that would fill the memory: the Enhance dock writes them into a store, and shows them from there."""

import numpy as np
import pytest

from napari_smdiffusion import load_enhancer
from napari_smdiffusion.base import memory
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.widgets.viewer.layers import kind

pytest.importorskip("zarr", minversion="3")


@pytest.fixture
def widefield(widefield):
    return widefield.crop(slice(0, 80), slice(0, 70))


@pytest.fixture
def coarse(viewer, widefield):
    """Return a widefield layer of 80 × 70 pixels of 80 nm, rotated and shifted."""
    place = {"scale": (80, 80), "translate": (1040, 540), "rotate": 10, "units": ("nm", "nm")}
    return viewer.add_image(widefield.pixels[0], name="cell: 1", **place)


@pytest.fixture
def dock(open_dock, my_enhancer, coarse):
    dock = open_dock("Enhance widefield")
    dock.model.choose(my_enhancer)
    return dock


def test_a_result_that_would_fill_the_memory_is_written_into_a_store_and_shown_lazily(
    viewer, dock, click, coarse, widefield, monkeypatch
):
    expected = load_enhancer("tiny").enhance(widefield).pixels[0]
    monkeypatch.setattr(memory, "free_bytes", lambda: 2 * 4 * 320 * 280 - 1)
    click(dock, dock.run_button)
    folder = user_folder() / "results"
    assert [path.name for path in folder.iterdir()] == ["cell_ 1_enhanced.zarr"]
    enhanced = viewer.layers[-1]
    first = enhanced.data[0] if enhanced.multiscale else enhanced.data
    assert type(first).__module__.startswith("dask")
    assert first.shape == (320, 280)
    np.testing.assert_allclose(np.asarray(first), expected, rtol=1e-3, atol=1e-3 * np.ptp(expected))
    corner = np.array([-0.5, -0.5])
    np.testing.assert_allclose(enhanced.data_to_world(corner), coarse.data_to_world(corner))
    assert (enhanced.name, kind(enhanced)) == ("enhanced ×4: cell: 1", "enhanced")
    assert "block by block into the store" in dock.status.text()
    click(dock, dock.run_button)  # the earlier store is in use: it stays
    assert sorted(path.name for path in folder.iterdir()) == ["cell_ 1_enhanced 2.zarr", "cell_ 1_enhanced.zarr"]


def test_a_result_that_fits_stays_in_memory(viewer, dock, click, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**9)
    click(dock, dock.run_button)
    assert isinstance(viewer.layers[-1].data, np.ndarray)
    assert not (user_folder() / "results").exists()


def test_maps_are_hidden_layers(viewer, dock, click, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 10_000)
    dock.uncertainty.setChecked(True)
    dock.error_map.setChecked(True)
    click(dock, dock.run_button)
    names = {layer.name: layer.visible for layer in viewer.layers}
    maps = {"uncertainty: cell: 1": False, "error map: cell: 1": False}
    assert names == {"cell: 1": True, "enhanced ×4: cell: 1": True, **maps}
    coarse, error = viewer.layers["cell: 1"], viewer.layers["error map: cell: 1"]
    for corner in ([-0.5, -0.5], [79.5, 69.5]):
        np.testing.assert_allclose(error.data_to_world(corner), coarse.data_to_world(corner))
