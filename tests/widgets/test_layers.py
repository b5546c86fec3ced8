"""Layers: their pixels and files, the places of new layers, and saving."""

import gc
import json

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from npe2 import PluginManager
from qtpy.QtCore import Qt

from napari_smdiffusion import Image, read_image, simulate, write_image
from napari_smdiffusion.images.provenance import layer_metadata
from napari_smdiffusion.widgets.parts.pickers import LayerList
from napari_smdiffusion.widgets.viewer import layers
from napari_smdiffusion.widgets.viewer.enhanced_layers import original
from napari_smdiffusion.widgets.viewer.layer_pixels import (
    known_pixel_size,
    layer_pixel_size,
    set_pixel_size,
    typed_pixel_size,
)
from napari_smdiffusion.widgets.viewer.layer_structure import layer_structure, set_structure
from napari_smdiffusion.widgets.viewer.layer_watch import watch_file_facts
from napari_smdiffusion.widgets.viewer.layers import (
    METADATA,
    free_place,
    kind,
    layer_image,
    layer_provenance,
    layer_source,
    live_source,
    made_here,
    write_tiff,
)
from napari_smdiffusion.widgets.viewer.samples import simulated_pair_layers
from napari_smdiffusion.widgets.viewer.view import bring_into_view, look_at_plane, plane_seen, scene_camera


@pytest.fixture
def model():
    """Return a viewer without a window."""
    return ViewerModel()


def test_the_forms_choose_the_right_image_of_the_sample_pair(viewer, open_dock):
    fine, coarse = (viewer.add_image(pixels, **options) for pixels, options, _ in simulated_pair_layers())
    compare = open_dock("Compare images")
    assert compare.experimental.layer() is fine
    for size in (10, 20):  # the newest generated layer is chosen, at any pixel size
        viewer.add_image(
            np.eye(64), scale=(size, size), units=("nm", "nm"), metadata=layer_metadata({"kind": "synthetic"})
        )
    assert layer_pixel_size(compare.generated.layer()) == 20
    assert open_dock("Train diffusion model").layer_list.layers() == [fine]
    assert open_dock("Enhance widefield").layer_list.layers() == [coarse]


def test_a_nearest_training_patch_is_not_ticked_for_training(model, qtbot):
    layer_list = LayerList(model, finest=True)
    qtbot.addWidget(layer_list)
    plain = model.add_image(np.eye(64), name="plain")
    model.add_image(np.eye(32), name="nearest training patch", metadata=layer_metadata({"kind": "training patch"}))
    assert layer_list.layers() == [plain]


def test_the_kind_of_an_image_is_read_from_its_file(viewer, qtbot, tmp_path):
    facts = {"kind": "synthetic", "model": "m", "training_data": []}
    write_image(tmp_path / "g.tif", Image(np.eye(64), 25.0, provenance=facts))
    write_image(tmp_path / "plain.tif", Image(np.eye(64), 30.0))
    layer_list = LayerList(viewer, finest=True)
    qtbot.addWidget(layer_list)
    watch_file_facts(viewer, layer_list)
    slab = {"resolution": (1e5, 5e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "slab.tif", np.eye(64, dtype=np.float32), **slab)
    names = ("g.tif", "slab.tif", "plain.tif")
    synthetic, flat, plain = viewer.open([str(tmp_path / name) for name in names], plugin="napari")
    assert kind(synthetic) == "synthetic"
    assert layer_provenance(synthetic)["model"] == "m"
    assert layer_pixel_size(synthetic) == 25
    assert layer_pixel_size(plain) == 30
    with pytest.raises(ValueError, match="pixels of 200 by 100 nm"):
        layer_pixel_size(flat)
    assert layer_list.layers() == [plain]
    set_pixel_size(flat, 150)
    assert layer_pixel_size(flat) == 150


def test_layers_are_saved_with_their_provenance(viewer, tmp_path):
    facts = {"kind": "synthetic", "model": "m", "settings": {"seed": 3}, "odd": np.eye(2)}
    layer = viewer.add_image(
        np.ones((2, 20, 30)), name="made", scale=(1, 25, 25), translate=(0, 112.5, 12.5),
        units=("pixel", "nm", "nm"), metadata=layer_metadata(facts),
    )  # fmt: skip
    written = layer.save(str(tmp_path / "made.tif"), plugin="napari-smdiffusion")
    assert written == [str(tmp_path / "made.tif")]
    image = read_image(tmp_path / "made.tif")
    assert image.pixels.shape == (2, 20, 30)
    assert image.pixel_size == 25
    assert image.origin == (100, 0)
    shown = {"name": "made", "contrast_limits": [0, 1], "colormap": "gray"}
    assert image.provenance == {"kind": "synthetic", "model": "m", "settings": {"seed": 3}, "layer": shown}


@pytest.mark.parametrize(
    ("dtype", "written"),
    [("uint8", "uint8"), ("uint16", "uint16"), ("bool", "uint8"), ("int32", "uint8"), ("float64", "float32")],
)
def test_layers_keep_the_bit_depth_of_their_pixels(tmp_path, dtype, written):
    pixels = np.eye(40).astype(dtype)
    write_tiff(str(tmp_path / "a.tif"), [(pixels, {}, "image")])
    saved = tifffile.imread(tmp_path / "a.tif")
    assert saved.dtype == written
    np.testing.assert_array_equal(saved, pixels)


@pytest.mark.usefixtures("viewer")
def test_napari_uses_its_own_writer_by_default():
    manifests = {manifest.name: manifest for manifest in PluginManager.instance().iter_manifests()}
    for order in (("napari", "napari-smdiffusion"), ("napari-smdiffusion", "napari")):
        plugins = PluginManager()
        for name in order:
            plugins.register(manifests[name])
        for path in ("a.tif", "a"):
            assert plugins.get_writer(path, ["image"])[0].command.startswith("napari.")
        assert plugins.get_writer("a.tif", ["image"], "napari-smdiffusion")[0] is not None
    image = (np.eye(32), {}, "image")
    for several in ([image, image], [(np.eye(32, dtype=int), {}, "labels")]):
        with pytest.raises(ValueError, match="one image layer"):
            write_tiff("a.tif", several)


def test_layers_at_the_same_place_have_the_same_origin(model, tmp_path):
    coarse = model.add_image(np.ones((20, 20)), scale=(1, 1))
    set_pixel_size(coarse, 100)
    fine = model.add_image(np.ones((80, 80)), scale=(0.25, 0.25), translate=(-0.375, -0.375))
    set_pixel_size(fine, 25)
    places = [layer_image(layer).origin for layer in (coarse, fine)]
    assert places[0] == pytest.approx(places[1])


def test_metadata_that_no_file_can_hold_are_left_out():
    layer = ImageLayer(np.eye(32), metadata={"a": 1, "array": np.eye(2), "nan": float("nan"), "self": object()})
    assert json.loads(json.dumps(dict(layer_source(layer).provenance))) == {"a": 1}


def test_metadata_of_other_programs_are_ignored(viewer, open_dock, click, storm):
    theirs = {"kind": "movie", "training_data": "all", "made_by": 3, "model": "x", "stage": 1}
    movie = viewer.add_image(storm.pixels[0], name="movie", scale=(20, 20), units=("nm", "nm"), metadata=theirs)
    facts = {"kind": "synthetic", "training_data": []}
    synthetic = viewer.add_image(storm.pixels[0, :64, :64], name="made", scale=(20, 20), metadata=layer_metadata(facts))
    assert kind(movie) == "experimental"
    assert dict(layer_image(movie).provenance) == {"stage": 1}
    compare, generate = open_dock("Compare images"), open_dock("Generate images")
    assert compare.experimental.layer() is movie
    viewer.layers.selection.active = synthetic
    click(generate, generate.nearest)
    assert viewer.layers[-1].name.endswith(": movie")
    assert movie.metadata == theirs


def test_records_of_scripts_for_an_earlier_version_are_recognized():
    earlier = {"kind": "synthetic", "made_by": "napari-smdiffusion 0.1.0", "model": "m"}
    layer = ImageLayer(np.eye(32), metadata=earlier)
    assert made_here(layer)
    assert dict(layer_provenance(layer)) == earlier
    set_pixel_size(layer, 20)
    assert dict(layer_provenance(layer)) == earlier
    assert not made_here(ImageLayer(np.eye(32), metadata={"kind": "synthetic"}))


def test_a_layer_whose_file_has_no_metadata_is_unchanged(viewer, qtbot, tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "bare.tif", np.eye(64, dtype=np.float32))
    (layer,) = viewer.open(str(tmp_path / "bare.tif"), plugin="napari")
    before, reads = dict(layer.metadata), []
    layer_list = LayerList(viewer, finest=True)
    qtbot.addWidget(layer_list)
    read = layers.read_metadata
    monkeypatch.setattr(layers, "read_metadata", lambda path: (reads.append(path), read(path))[1])
    watch_file_facts(viewer, layer_list)
    viewer.add_image(np.eye(32))
    assert layer.metadata == before
    assert len(reads) == 1


def test_pixels_that_are_not_square_are_refused_without_a_unit():
    layer = ImageLayer(np.eye(32), scale=(0.3, 0.1), name="slab")
    set_pixel_size(layer, 100)
    with pytest.raises(ValueError, match="slab has pixels of"):
        layer_pixel_size(layer)
    assert not made_here(layer)


def test_a_unit_of_length_takes_precedence_over_an_entered_pixel_size():
    layer = ImageLayer(np.eye(32), name="a")
    set_pixel_size(layer, 100)
    assert layer_pixel_size(layer) == typed_pixel_size(layer) == 100
    layer.scale, layer.units = (0.02, 0.02), ("um", "um")
    assert layer_pixel_size(layer) == pytest.approx(20)
    assert typed_pixel_size(layer) is None


def test_an_affine_determines_pixel_size_and_origin():
    turned = np.array([[0.0, 20, 0], [-20, 0, 0], [0, 0, 1]])
    layer = ImageLayer(np.eye(32), affine=turned, translate=(5, 7), units=("nm", "nm"), name="a")
    assert layer_pixel_size(layer) == pytest.approx(20)
    assert layer_image(layer).origin == pytest.approx(layer.data_to_world((-0.5, -0.5)))
    stack = ImageLayer(np.ones((3, 32, 32)), scale=(400, -20, 20), units=("nm",) * 3)
    assert layer_pixel_size(stack) == pytest.approx(20)
    with pytest.raises(ValueError, match="a is sheared"):
        layer_pixel_size(ImageLayer(np.eye(32), shear=[0.3], name="a"))


def test_layers_are_saved_with_their_affine(viewer, tmp_path):
    turned = np.array([[0.0, 20, 0], [-20, 0, 0], [0, 0, 1]])
    layer = viewer.add_image(np.eye(32), affine=turned, units=("nm", "nm"), name="a")
    layer.save(str(tmp_path / "a.tif"), plugin="napari-smdiffusion")
    saved = read_image(tmp_path / "a.tif")
    assert saved.pixel_size == pytest.approx(20)
    assert saved.origin == pytest.approx(layer_image(layer).origin)


def test_a_sheared_layer_stops_no_other_layer(model, qtbot):
    sheared = model.add_image(np.eye(100), shear=[0.3], name="a")
    set_pixel_size(sheared, 20)
    assert free_place(model, 20.0, 2)["scale"] == (1, 1)
    layer_list = LayerList(model, finest=True)
    qtbot.addWidget(layer_list)
    sheared.shear = [0]
    assert layer_list.list.item(0).text().endswith("20 nm")
    assert free_place(model, 10.0, 2)["scale"] == (0.5, 0.5)


def test_only_finished_images_of_a_growing_layer_are_read():
    layer = ImageLayer(np.ones((3, 32, 32)), name="grows", metadata={METADATA: {"finished": 2}})
    assert len(layer_image(layer)) == 2
    assert layer_image(ImageLayer(layer.data[0], metadata=dict(layer.metadata))).size == (32, 32)  # a projection
    layer.metadata[METADATA]["finished"] = 0
    with pytest.raises(ValueError, match="The first image of grows is still being generated"):
        layer_image(layer)


def test_new_layers_match_the_scale_of_a_layer_with_an_entered_pixel_size(model):
    layer = model.add_image(np.ones((100, 100)), scale=(0.02, 0.02))
    set_pixel_size(layer, 20)
    place = free_place(model, 10.0, 2)
    assert place["scale"] == pytest.approx((0.01, 0.01))
    assert place["translate"][1] == pytest.approx(2.0, abs=0.2)


def test_new_layers_are_placed_beside_layers_of_several_units(model):
    model.add_image(np.ones((100, 100)), scale=(20, 20), units=("nm", "nm"))
    model.add_image(np.ones((20, 20)), scale=(0.1, 0.1), units=("um", "um"))
    place = free_place(model, 20.0, 2)
    assert str(place["units"][0]) in ("um", "micrometer")
    assert place["scale"] == pytest.approx((0.02, 0.02))
    assert place["translate"][1] == pytest.approx(2.1, rel=0.05)
    beside = model.add_image(np.ones((100, 100)), **place)
    model.reset_view()
    scene_camera(model).zoom *= 5
    close = scene_camera(model).zoom
    bring_into_view(model, beside)
    assert scene_camera(model).zoom < close


def test_new_layers_are_placed_beside_layers_with_and_without_a_unit_of_length(model):
    model.add_image(np.ones((100, 100)), scale=(20, 20), units=("nm", "nm"))
    typed = model.add_image(np.ones((1000, 1000)))
    set_pixel_size(typed, 20)
    assert free_place(model, 20.0, 2)["translate"][1] == pytest.approx(2100, rel=0.05)


def test_the_nearest_patch_of_other_images_is_no_sign_of_a_copy(viewer, open_dock, click):
    other = simulate("microtubules", 1, 256, 20.0, seed=4)
    viewer.add_image(other.pixels[0], name="other", scale=(20, 20), units=("nm", "nm"))
    facts = {"kind": "synthetic", "training_data": [{"name": "mine.tif", "sha256": "0"}]}
    viewer.add_image(other.pixels[:, :128, :128], name="made", scale=(1, 20, 20), metadata=layer_metadata(facts))
    dock = open_dock("Generate images")
    click(dock, dock.nearest)
    assert "The training images of the model are not open (mine.tif)" in dock.status.text()
    assert viewer.layers[-1].name == "nearest patch: other"


def test_the_view_changes_only_for_new_layers_outside_of_it(model):
    first = model.add_image(np.ones((100, 100)), scale=(20, 20), units=("nm", "nm"))
    model.reset_view()

    def view():
        camera = scene_camera(model)
        return tuple(camera.center), camera.zoom

    before = view()
    bring_into_view(model, first)
    assert view() == before
    beside = model.add_image(np.ones((100, 100)), **free_place(model, 20, 2))
    bring_into_view(model, beside)
    assert view()[1] < before[1]
    fitted = view()
    bring_into_view(model, beside)
    assert view() == fitted


def test_lists_follow_the_scale_of_a_layer_until_it_is_deleted(model, qtbot):
    layer = model.add_image(np.eye(64), scale=(20, 20), units=("nm", "nm"))
    layer_list = LayerList(model, finest=True)
    qtbot.addWidget(layer_list)
    layer.scale = (30, 30)
    assert layer_list.list.item(0).text().endswith("30 nm")
    model.layers.remove(layer)
    changes = []
    layer_list.changed.connect(lambda: changes.append(True))
    layer.scale = (20, 20)
    assert not changes


def test_lists_follow_the_units_and_the_size_of_a_layer(model, qtbot):
    layer = model.add_image(np.zeros((64, 64)), name="a", scale=(0.02, 0.02))
    layer_list = LayerList(model, finest=True)
    qtbot.addWidget(layer_list)
    assert "pixel size unknown" in layer_list.list.item(0).text()
    layer.units = ("um", "um")
    assert layer_list.list.item(0).text() == "a\n64 × 64, 20 nm"
    layer.data = np.zeros((32, 48))
    assert layer_list.list.item(0).text() == "a\n32 × 48, 20 nm"


def test_changes_of_other_layers_do_not_disturb_typing_a_pixel_size(viewer, open_dock, qtbot, storm):
    bare = viewer.add_image(storm.pixels[0], name="bare")
    grows = viewer.add_image(
        np.zeros((1, 64, 64)), name="grows", metadata=layer_metadata({"kind": "synthetic"}), scale=(1, 20, 20)
    )
    dock = open_dock("Train diffusion model")
    dock.layer_list.choose([bare])
    box = dock.layer_list.pixel_size
    box.setFocus()
    box.clear()
    qtbot.keyClicks(box, "20")
    grows.data = np.zeros((2, 64, 64))
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert layer_pixel_size(bare) == 20


def test_the_plane_of_the_slider_is_found_for_all_units(model):
    images = model.add_image(np.zeros((5, 64, 64)), scale=(0.3, 0.02, 0.02), units=("um", "um", "um"))
    model.add_image(np.zeros((9, 64, 64)), scale=(400, 20, 20), units=("nm", "nm", "nm"))
    model.layers.move(1, 0)
    for index in (0, 3, 7):  # the last is outside of the stack
        look_at_plane(model, images, index)
        assert plane_seen(model, images) == index
    look_at_plane(model, images, 3)
    assert round(images.world_to_data(_in_units_of(model, images))[0]) == 3


def _in_units_of(model, layer):
    pairs = zip(model.dims.point, model.layers.extent.units, layer.units, strict=True)
    return [float((number * unit).to(own).magnitude) for number, unit, own in pairs]


def test_a_weight_is_deleted_with_its_layer(model, qtbot):
    layer_list = LayerList(model, finest=True, weighted=True)
    qtbot.addWidget(layer_list)
    layer_list.choose([model.add_image(np.eye(64)), model.add_image(np.eye(64))])
    layer_list.list.setCurrentRow(1)
    layer_list.weight.setValue(5)
    assert layer_list.weights() == [1, 5]
    # A new layer may get the memory address of the deleted one.
    model.layers.pop(0)
    gc.collect()
    assert not layer_list._weights


@pytest.mark.parametrize(
    "foreign",
    [
        3,
        ["microtubules"],
        {
            "provenance": ["microtubules"],
            "pixel_size_nm": "80",
            "finished": "all",
            "original": {"layer": 3},
            "problem": 1,
        },
        {"provenance": {1: 2, "structure": 5, "kind": ["synthetic"]}, "pixel_size_nm": float("nan"), "finished": -1},
        {"pixel_size_nm": True, "typed": "yes", 5: 6},
    ],
    ids=str,
)
def test_wrong_types_under_our_own_key_are_not_used(foreign):
    layer = ImageLayer(
        np.zeros((3, 32, 32)), metadata={"napari_smdiffusion": foreign, "structure": "mitochondria", 7: 8}
    )
    assert kind(layer) == "experimental"
    assert known_pixel_size(layer) is None
    assert typed_pixel_size(layer) is None
    assert original(layer) is None
    assert layer_structure(layer) == ""
    assert len(live_source(layer).pixels) == 3
    set_structure(layer, "microtubules")
    set_pixel_size(layer, 80)
    assert (layer_structure(layer), layer_pixel_size(layer)) == ("microtubules", 80)
