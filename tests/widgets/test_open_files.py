"""Tables and this program's own files in napari: where they belong, with a choice of pixel size and depth."""

import numpy as np
import pytest
import tifffile
from napari.errors import MultipleReaderError
from napari.layers import Image as ImageLayer

from napari_smdiffusion import Axis, Image, InputError, read_image, write_image
from napari_smdiffusion.base.errors import InputWarning
from napari_smdiffusion.images.provenance import METADATA
from napari_smdiffusion.widgets.parts.pickers import LayerList
from napari_smdiffusion.widgets.viewer.layer_pixels import layer_pixel_size, set_pixel_size
from napari_smdiffusion.widgets.viewer.layer_watch import watch_file_facts
from napari_smdiffusion.widgets.viewer.layers import kind, layer_image
from napari_smdiffusion.widgets.viewer.own_files import metadata_of_own_file
from napari_smdiffusion.widgets.viewer.shown import shown_in
from napari_smdiffusion.widgets.viewer.tables import rendered_table, table_layer

TABLE_3D = "x [nm];y [nm];z [nm];uncertainty [nm]\n1000,5;2000;-300;10\n3000;1500;250,5;20\n1800;2900;0;15\n"


@pytest.fixture
def deep(tmp_path):
    """Return a 3-D table of three molecules."""
    path = tmp_path / "deep.txt"
    path.write_text(TABLE_3D)
    return path


def watched(viewer, qtbot):
    """Open a list of layers as a dock does."""
    layers = LayerList(viewer, finest=True)
    qtbot.addWidget(layers)
    watch_file_facts(viewer, layers)
    return layers


def test_a_table_is_opened_and_rendered_again_with_other_values(viewer, open_dock, qtbot, deep, monkeypatch):
    with pytest.warns(InputWarning, match="is 3-D"):
        (layer,) = viewer.open(str(deep), plugin=None)  # as by drag and drop: no other reader reads such files
    assert layer.name == "deep"
    assert rendered_table(layer).pixel_size == 20
    widget = open_dock("Open tables and results")
    viewer.layers.selection.active = layer
    assert (widget.pixel_size.number(), widget.z_min.text()) == (20, "")
    widget.pixel_size.show_number(10)
    widget.z_min.setText("-1,5")
    widget.render.click()
    assert layer.name == "deep (z from -1.5 nm)"
    assert layer_pixel_size(layer) == 10
    assert layer.data.sum() == pytest.approx(2, rel=0.01)
    assert layer_image(layer).origin == pytest.approx((1500 - 20, 1800 - 20))
    assert layer.contrast_limits[1] > 0
    for z_min, message in (("a", "must be a number of nm"), ("900", "no localization with z of at least 900 nm")):
        widget.z_min.setText(z_min)
        widget.render.click()
        assert message in widget.status.text()
    widget.z_min.setText("")
    widget.z_max.setText("-100")
    (below,) = widget.open_files([deep])
    assert below.data.sum() == pytest.approx(1, rel=0.01)
    deep.unlink()
    viewer.layers.selection.active = layer
    widget._table = None
    widget.render.click()
    assert "is not there" in widget.status.text()
    viewer.add_points(np.zeros((1, 2)))
    assert not widget.render.isEnabled()
    assert len(viewer.layers) == 3


def test_a_table_that_would_not_fit_opens_with_larger_pixels(tmp_path):
    (tmp_path / "a.csv").write_text("xnm,ynm\n0,0\n1e6,1e6\n")
    with pytest.warns(InputWarning, match="rendered with pixels of 250 nm"):
        _, options, _ = table_layer(tmp_path / "a.csv")
    assert options["scale"] == (250, 250)
    with pytest.raises(InputError, match="Choose pixels of at least 250 nm"):
        table_layer(tmp_path / "a.csv", 20)


def test_rendered_tables_of_other_programs_metadata_are_not_trusted():
    good = {"path": "a.csv", "pixel_size_nm": 20, "z_range_nm": [None, 5]}
    changes = ({"path": 1}, {"pixel_size_nm": "20"}, {"z_range_nm": 3}, {"z_range_nm": ["a", None]})
    for ours in ("text", {"table": 5}, *({"table": {**good, **change}} for change in changes)):
        assert rendered_table(ImageLayer(np.eye(16), metadata={METADATA: ours})) is None
    assert rendered_table(ImageLayer(np.eye(16), metadata={METADATA: {"table": good}})).z_range == (None, 5)


def test_a_saved_result_comes_back_where_and_as_it_was(viewer, qtbot, tmp_path):
    facts = {METADATA: {"provenance": {"kind": "enhanced", "model": "m"}}}
    saved = viewer.add_image(
        np.random.default_rng(0).random((40, 30)), name="cell (enhanced ×5)", scale=(0.02, 0.02), units=("um", "um"),
        translate=(1.51, 2.01), contrast_limits=(0.2, 0.5), colormap="magma", metadata=facts,
    )  # fmt: skip
    saved.save(str(tmp_path / "a.tif"), plugin="napari-smdiffusion")
    world = saved.data_to_world((7, 9))
    viewer.layers.clear()
    (layer,) = viewer.open(str(tmp_path / "a.tif"), plugin=None)  # napari's own reader, without a question
    watched(viewer, qtbot)
    assert (layer.name, kind(layer), layer.colormap.name) == ("cell (enhanced ×5)", "enhanced", "magma")
    assert layer.contrast_limits == pytest.approx((0.2, 0.5))
    assert np.array(layer.data_to_world((7, 9))) / 1000 == pytest.approx(world)
    assert layer_pixel_size(layer) == pytest.approx(20)
    assert {str(unit) for unit in layer.units} <= {"nm", "nanometer"}
    assert "layer" not in layer.metadata[METADATA]["provenance"]
    np.testing.assert_allclose(layer.data, saved.data.astype(np.float32))
    layer.save(str(tmp_path / "b.tif"), plugin="napari-smdiffusion")
    written = [metadata_of_own_file(tmp_path / name) for name in ("a.tif", "b.tif")]
    assert written[0].provenance == written[1].provenance
    assert written[0].origin == pytest.approx(written[1].origin)


def test_a_result_without_a_record_of_its_layer_gets_contrast_and_foreign_files_are_left_alone(viewer, qtbot, tmp_path):
    pixels = np.zeros((3, 64, 64), np.float32)
    pixels[:, ::7, ::5] = 1
    pixels[0, 0, 0] = 1000
    write_image(tmp_path / "g.tif", Image(pixels, 25.0, (100.0, 50.0), provenance={"kind": "synthetic"}))
    tifffile.imwrite(tmp_path / "foreign.tif", pixels[1], resolution=(4e5, 4e5), resolutionunit="CENTIMETER")
    foreign, moved, ours = (viewer.open(str(tmp_path / name))[0] for name in ("foreign.tif", "g.tif", "g.tif"))
    moved.translate = (0, 5, 5)
    watched(viewer, qtbot)
    assert layer_pixel_size(foreign) == pytest.approx(25)
    assert tuple(foreign.scale) == (1, 1)
    assert tuple(moved.scale) == (1, 1, 1)
    # The other layers are in pixels of 25 nm: beside them, so is this one.
    assert ours.data_to_world((0, -0.5, -0.5))[-2:] == pytest.approx((100 / 25, 50 / 25))
    assert ours.contrast_limits == [0, 1]
    assert ours.colormap.name == "inferno"


def test_values_of_other_types_in_the_record_of_a_layer_are_not_used():
    for record in ("text", {"name": 1, "contrast_limits": [1, "2"], "colormap": []}, {"contrast_limits": [3, 1]}):
        image = Image(np.eye(16), provenance={"layer": record})
        assert shown_in(image.provenance) == shown_in(Image(np.eye(16)).provenance)


def test_images_are_opened_with_their_place_by_the_widget(viewer, open_dock, tmp_path):
    write_image(tmp_path / "a.tif", Image(np.eye(32), 25.0, (100.0, 50.0), provenance={"kind": "synthetic"}))
    (layer,) = open_dock("Open tables and results").open_files([tmp_path / "a.tif"])
    assert layer.name == "a"
    assert layer_image(layer).origin == pytest.approx((100, 50))
    assert kind(layer) == "synthetic"


def test_napari_asks_for_csv_files_alone_which_it_reads_itself(viewer, tmp_path):
    (tmp_path / "a.csv").write_text("xnm,ynm\n1000,2000\n1900,3000\n")
    write_image(tmp_path / "a.tif", Image(np.eye(32), 25.0))
    with pytest.raises(MultipleReaderError):
        viewer.open(str(tmp_path / "a.csv"), plugin=None)
    (layer,) = viewer.open(str(tmp_path / "a.csv"), plugin="napari-smdiffusion")
    assert tuple(layer.scale) == (20, 20)
    (layer,) = viewer.open(str(tmp_path / "a.tif"), plugin=None)
    assert tuple(layer.scale) == (1, 1)


def test_use_as_scale_writes_the_known_sizes_into_the_layers(viewer, qtbot):
    fine = viewer.add_image(np.ones((80, 80)), name="fine", affine=np.array([[0.0, 1, 3], [-1, 0, 5], [0, 0, 1]]))
    coarse = viewer.add_image(np.ones((4, 20, 20)), name="coarse", translate=(2, 1, 1))
    set_pixel_size(fine, 20)
    layers = watched(viewer, qtbot)
    layers.choose([fine, coarse])
    assert layers.pixel_size.isVisibleTo(layers)
    layers.pixel_size.show_number(100)
    layers.pixel_size.editingFinished.emit()
    assert layer_pixel_size(coarse) == 100
    before = [layer_image(layer).origin for layer in (fine, coarse)]
    assert layers.use_as_scale.isVisibleTo(layers)
    layers.use_as_scale.click()
    assert [layer_pixel_size(layer) for layer in (fine, coarse)] == pytest.approx([20, 100])
    assert [layer_image(layer).origin for layer in (fine, coarse)] == [pytest.approx(origin) for origin in before]
    assert tuple(coarse.scale) == (1, 100, 100)
    assert tuple(coarse.translate) == (2, 100, 100)
    assert [str(unit) for unit in coarse.units[:1]] == ["pixel"]
    assert not layers.use_as_scale.isVisibleTo(layers)


def test_use_as_scale_takes_the_unit_of_the_other_layers(viewer, qtbot):
    viewer.add_image(np.ones((20, 20)), name="other", scale=(0.1, 0.1), units=("um", "um"))
    layer = viewer.add_image(np.ones((80, 80)), name="own")
    set_pixel_size(layer, 20)
    layers = watched(viewer, qtbot)
    layers.use_as_scale.click()
    assert tuple(layer.scale) == pytest.approx((0.02, 0.02))
    assert layer.units == viewer.layers["other"].units
    assert layer_pixel_size(layer) == pytest.approx(20)


def test_read_image_keeps_the_record_of_the_layer(tmp_path):
    write_image(tmp_path / "a.tif", Image(np.eye(32), 25.0, provenance={"layer": {"name": "a"}}))
    assert shown_in(read_image(tmp_path / "a.tif").provenance).name == "a"


def test_a_store_becomes_lazy_layers_at_its_place(viewer, open_dock, tmp_path, monkeypatch):
    pytest.importorskip("zarr", minversion="3")
    import dask.array as da
    from qtpy.QtWidgets import QFileDialog

    pixels = np.random.default_rng(0).random((6, 600, 40)).astype(np.float32)
    axes = (Axis("T", 2, 0.5), Axis("Z", 3, 300.0))
    path = tmp_path / "cell.zarr"
    write_image(path, Image(pixels, 100.0, (1000.0, 500.0), provenance={"kind": "simulated"}, axes=axes))
    folders = [str(path), str(tmp_path)]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: folders.pop(0))
    dock = open_dock("Open tables and results")
    dock.open_store.click()
    layer = viewer.layers["cell"]
    assert layer.multiscale
    assert isinstance(layer.data[0], da.Array)
    assert [level.shape for level in layer.data] == [(2, 3, 600, 40), (2, 3, 300, 20)]
    assert tuple(layer.scale) == (1, 300, 100, 100)
    assert tuple(layer.translate) == (0, 0, 1050, 550)
    image = layer_image(layer)
    assert np.array_equal(image.pixels, pixels)
    assert (image.pixel_size, image.origin) == (100.0, (1000.0, 500.0))
    assert image.provenance.kind == "simulated"
    dock.open_store.click()
    assert "is no OME-Zarr store" in dock.status.text()
