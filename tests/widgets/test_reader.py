"""Localization tables in napari."""

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManager
from npe2.io_utils import read

from napari_smdiffusion.base.errors import InputWarning
from napari_smdiffusion.widgets.viewer.layer_pixels import layer_pixel_size
from napari_smdiffusion.widgets.viewer.layers import layer_image
from napari_smdiffusion.widgets.viewer.reader import get_reader

TABLE = "xnm,ynm,locprecnm\n1000,2000,10\n3000,1500,20\n1800,2900,15\n"
TABLE_3D = "xnm,ynm,znm,locprecnm\n1000,2000,-300,10\n3000,1500,250.4,20\n"


@pytest.fixture
def table(tmp_path):
    """Return a table of three molecules."""
    path = tmp_path / "locs.csv"
    path.write_text(TABLE)
    return path


def test_a_table_opens_at_its_place_with_its_units(viewer, table):
    (layer,) = viewer.open(str(table), plugin="napari-smdiffusion")
    assert layer.name == "locs"
    assert layer_pixel_size(layer) == 20
    assert [str(unit) for unit in layer.units] in (["nm", "nm"], ["nanometer", "nanometer"])
    image = layer_image(layer)
    assert image.origin == pytest.approx((1500 - 40, 1000 - 40))
    row, column = np.unravel_index(image.pixels[0].argmax(), image.size)
    # The most precise molecule is the brightest.
    assert layer.data_to_world((row, column)) == pytest.approx((2000, 1000), abs=20)


def test_a_table_opens_without_a_window(table):
    model = ViewerModel()
    model.open(str(table), plugin="napari-smdiffusion")
    assert layer_pixel_size(model.layers[0]) == 20


@pytest.mark.usefixtures("viewer")
def test_a_3d_table_warns_of_its_projection(tmp_path):
    (tmp_path / "deep.csv").write_text(TABLE_3D)
    with pytest.warns(InputWarning, match=r"deep\.csv is 3-D \(z from -300 to 250.4 nm\): its image is a projection"):
        ((_, options, kind),) = read([str(tmp_path / "deep.csv")], stack=False, plugin_name="napari-smdiffusion")
    assert (options["name"], kind) == ("deep", "image")


def test_picasso_files_are_read(tmp_path):
    import h5py

    path = tmp_path / "locs.hdf5"
    (tmp_path / "locs.yaml").write_text("Pixelsize: 100\n")
    with h5py.File(path, "w") as file:
        file["locs"] = np.array([(10.0, 20.0, 0.1), (30.0, 15.0, 0.2)], [("x", "f4"), ("y", "f4"), ("lpx", "f4")])
    reader = get_reader(str(path))
    assert reader is not None
    ((pixels, options, _),) = reader(str(path))
    assert pixels.shape == (30, 105)
    assert options["scale"] == (20, 20)


@pytest.mark.parametrize("text", ["index,axis-0,axis-1\n0,1,2\n", "x,y\n1,2\n", "", "\x00\x01"])
def test_other_tables_are_left_to_other_readers(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    assert get_reader(str(tmp_path / "a.csv")) is None


def test_other_hdf5_files_are_left_to_other_readers(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["volume"] = np.zeros((3, 3))
    (tmp_path / "b.h5").write_bytes(b"no HDF5")
    for name in ("a.h5", "b.h5", "none.h5"):
        assert get_reader(str(tmp_path / name)) is None


@pytest.mark.usefixtures("viewer")
def test_tiff_files_are_left_to_napari():
    readers = PluginManager.instance().iter_compatible_readers(["a.tif"])
    assert "napari-smdiffusion" not in {reader.plugin_name for reader in readers}
