"""The axes of layers: times, depths and channels, from labels, from files and as the user chooses."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer

from napari_smdiffusion import Axis, Enhancement, Image, InputError, read_image
from napari_smdiffusion.images.provenance import layer_metadata
from napari_smdiffusion.widgets.parts.channels import ChannelRow
from napari_smdiffusion.widgets.parts.pickers import LayerList
from napari_smdiffusion.widgets.viewer.enhanced_layers import (
    restore,
    show_enhanced,
    widefield_pixel_size,
    widefield_source,
)
from napari_smdiffusion.widgets.viewer.layer_axes import channel_choices, choose_channel
from napari_smdiffusion.widgets.viewer.layer_pixels import known_pixel_size, layer_pixel_size, set_pixel_size
from napari_smdiffusion.widgets.viewer.layers import METADATA, add_file_facts, layer_image, size_text, write_tiff

LENGTHS = {"T": 2, "Z": 3, "C": 4, "Y": 32, "X": 40}


def _pixels(letters):
    shape = [LENGTHS[letter] for letter in letters]
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def _layer(letters, labels=(), **options):
    labels = labels or tuple(letters.lower())
    return ImageLayer(_pixels(letters), axis_labels=labels, name="cell", **options)


def _result(image, factor=2):
    """Return an enhanced image: each pixel is repeated."""
    fine = Image(
        image.pixels.repeat(factor, 1).repeat(factor, 2),
        image.pixel_size and image.pixel_size / factor,
        image.origin,
        provenance={"kind": "enhanced"},
        axes=image.axes,
    )
    return Enhancement(fine)


@pytest.mark.parametrize(
    ("shape", "scale", "expected"),
    [
        ((1, 1, 32, 40), (1, 1, 97, 97), (1, 32, 40)),
        ((1, 1, 3, 32, 40), (1, 1, 1, 97, 97), (3, 32, 40)),
        ((3, 1, 32, 40), (1, 1, 97, 97), (3, 32, 40)),
        ((32, 40, 1), (97, 97, 1), (1, 32, 40)),
        ((3, 32, 40, 1), (1, 97, 97, 1), (3, 32, 40)),
    ],
)
def test_axes_of_length_one_are_dropped_and_come_back_in_the_result(shape, scale, expected):
    viewer = ViewerModel()
    pixels = np.random.default_rng(0).random(shape)
    units = tuple("nm" if step == 97 else "pixel" for step in scale)
    layer = viewer.add_image(pixels, scale=scale, units=units, rgb=False, translate=[step * 3 for step in scale])
    image = layer_image(layer)
    np.testing.assert_array_equal(image.pixels, pixels.reshape(expected).astype(np.float32))
    assert image.pixel_size == 97
    assert image.origin == pytest.approx((97 * 2.5, 97 * 2.5))
    (enhanced,) = show_enhanced(viewer, layer, _result(image), 2, in_place=False)
    assert enhanced.data.shape == tuple(2 * n if step == 97 else n for n, step in zip(shape, scale, strict=True))
    low = [np.where(np.array(scale) == 97, -0.5, 0)] * 2
    np.testing.assert_allclose(enhanced.data_to_world(low[0]), layer.data_to_world(low[1]))


@pytest.mark.parametrize("letters", ["TZYX", "ZTYX", "TCZYX", "CTZYX", "ZYX", "CYX"])
def test_results_have_the_axes_of_their_layer(letters):
    viewer = ViewerModel()
    steps = {"T": 2.5, "Z": 0.3, "C": 1, "Y": 0.1, "X": 0.1}
    units = {"T": "s", "Z": "um", "C": "pixel", "Y": "um", "X": "um"}
    layer = viewer.add_image(
        _pixels(letters),
        name="cell",
        axis_labels=tuple(letters.lower()),
        scale=[steps[letter] for letter in letters],
        units=[units[letter] for letter in letters],
        translate=[5] * len(letters),
    )
    if "C" in letters:
        with pytest.raises(InputError, match=r"cell has 4 channels: 0, 1, 2 and 3\. Choose one of them below the list"):
            layer_image(layer)
    image = layer_image(layer, **({"channel": 3} if "C" in letters else {}))
    channel = np.take(layer.data, 3, letters.index("C")) if "C" in letters else layer.data
    np.testing.assert_array_equal(image.stack, channel)
    known = {"T": Axis("T", 2, 2.5), "Z": Axis("Z", 3, pytest.approx(300))}
    assert image.axes == tuple(known[letter] for letter in letters if letter in known)
    assert image.provenance.channel == ("3" if "C" in letters else None)
    (enhanced,) = show_enhanced(viewer, layer, _result(image), 2, in_place=False)
    lengths = {**LENGTHS, "C": 1, "Y": 64, "X": 80}
    assert enhanced.data.shape == tuple(lengths[letter] for letter in letters)
    assert enhanced.units == layer.units
    assert enhanced.axis_labels == layer.axis_labels
    np.testing.assert_allclose(enhanced.scale[:-2], layer.scale[:-2])
    corner = [3.0 if letter == "C" else 0.0 for letter in letters[:-2]] + [-0.5, -0.5]
    first = [0.0] * (len(letters) - 2) + [-0.5, -0.5]
    np.testing.assert_allclose(enhanced.data_to_world(first), layer.data_to_world(corner))
    again = layer_image(enhanced)  # no channel to choose any more
    assert again.axes == image.axes
    assert again.pixel_size == pytest.approx(50)


def test_layers_without_labels_are_asked_for_once():
    layer = _layer("TCYX", ("", "", "", ""))
    with pytest.raises(InputError, match="cell has 2 × 4 planes on axes of unknown kind"):
        layer_image(layer)
    texts = [text for text, _, _ in channel_choices(layer)]
    assert texts[0] == "axis 1 of 4, channel 0"
    assert texts[-1] == "no channels: planes of one kind"
    assert len(layer_image(layer, channel="all")) == 8
    image = layer_image(layer, channel=2, channel_axis=1)
    np.testing.assert_array_equal(image.pixels, layer.data[:, 2])
    np.testing.assert_array_equal(layer_image(layer).pixels, image.pixels)  # the layer keeps the choice
    with pytest.raises(InputError, match="4 channels"):
        choose_channel(layer, 4)
    with pytest.raises(InputError, match="no axis of channels"):
        choose_channel(_layer("TZYX"), 1)
    assert len(layer_image(_layer("ZYX", ("", "", "")))) == 3  # planes of one kind, as ever
    made = ImageLayer(_pixels("TCYX"), metadata=layer_metadata({"kind": "enhanced"}))
    assert len(layer_image(made)) == 8


@pytest.mark.parametrize(
    "choice", [5, {"axis": "0", "index": 1}, {"axis": 9, "index": 0}, {"axis": 0, "index": 99}, {}]
)
def test_a_choice_of_an_unexpected_type_or_range_is_no_choice(choice):
    layer = _layer("CYX", metadata={METADATA: {"channel": choice, "axes": 3, "channels": 7}})
    with pytest.raises(InputError, match="cell has 4 channels"):
        layer_image(layer)


def test_axes_and_names_of_channels_are_read_from_the_file_of_a_layer(viewer, tmp_path):
    path = tmp_path / "a.ome.tif"
    names = ["DAPI", "tubulin", "actin", "mito"]
    metadata = {"axes": "ZCYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0.3}
    tifffile.imwrite(path, _pixels("ZCYX"), metadata={**metadata, "Channel": {"Name": names}})
    (layer,) = viewer.open(str(path), plugin="napari")
    add_file_facts(layer)
    with pytest.raises(InputError, match=r"4 channels: 0 \(DAPI\), 1 \(tubulin\), 2 \(actin\) and 3 \(mito\)"):
        layer_image(layer)
    image = layer_image(layer, channel="tubulin")
    np.testing.assert_array_equal(image.pixels, _pixels("ZCYX")[:, 1])
    assert image.axes == (Axis("Z", 3, 300.0),)
    assert (image.pixel_size, image.provenance.channel) == (100, "1 (tubulin)")
    (enhanced,) = show_enhanced(viewer, layer, _result(image), 2, in_place=False)
    assert layer_image(enhanced).axes == image.axes
    layer.data = layer.data[:2]  # cropped: no longer the axes of the file, and the choice stays
    np.testing.assert_array_equal(layer_image(layer).pixels, _pixels("ZCYX")[:2, 1])


def test_saved_layers_keep_their_axes(tmp_path):
    path = str(tmp_path / "a.tif")
    layer = _layer("TZYX", scale=(2.5, 0.3, 0.1, 0.1), units=("s", "um", "um", "um"))
    write_tiff(path, [layer.as_layer_data_tuple()])
    saved = read_image(path)
    assert saved.axes == (Axis("T", 2, 2.5), Axis("Z", 3, pytest.approx(300)))
    np.testing.assert_array_equal(saved.stack, layer.data)
    with pytest.raises(InputError, match="cell has several channels, and this type of TIFF holds one"):
        write_tiff(path, [_layer("TCYX").as_layer_data_tuple()])


def test_units_of_y_and_x_are_those_of_each_axis():
    right = ImageLayer(np.eye(32), scale=(0.097, 97), units=("um", "nm"))
    assert layer_pixel_size(right) == pytest.approx(97)
    assert layer_image(right).origin == pytest.approx((-48.5, -48.5))
    with pytest.raises(InputError, match="has pixels of 97000 by 97 nm"):
        layer_pixel_size(ImageLayer(np.eye(32), scale=(97, 97), units=("um", "nm")))
    mixed = ImageLayer(np.eye(32), scale=(97, 97), units=("pixel", "nm"), name="mixed")
    with pytest.raises(InputError, match="mixed has Y in pixel and X in nanometer: give both axes a unit of length"):
        layer_pixel_size(mixed)
    assert known_pixel_size(mixed) is None
    assert size_text(mixed) == "32 × 32, pixel size not usable"


def _enhanced_in_place(viewer, **options):
    layer = viewer.add_image(np.random.default_rng(0).random((32, 40)), name="cell", **options)
    show_enhanced(viewer, layer, _result(layer_image(layer)), 2, in_place=True)
    return layer


def _corner(layer):
    return np.array(layer.data_to_world((-0.5, -0.5)))


def test_a_layer_that_was_calibrated_after_it_was_enhanced_keeps_its_calibration():
    viewer = ViewerModel()
    layer = _enhanced_in_place(viewer)
    layer.scale, layer.units = (0.05, 0.05), ("um", "um")
    corner = _corner(layer)
    assert widefield_pixel_size(layer) == pytest.approx(100)
    source = widefield_source(layer)
    assert (source.pixel_size, source.origin) == (pytest.approx(100), pytest.approx(tuple(1000 * corner)))
    restore(layer)
    assert layer_pixel_size(layer) == pytest.approx(100)
    assert layer.data.shape == (32, 40)
    np.testing.assert_allclose(_corner(layer), corner)


def test_a_layer_that_was_moved_or_turned_after_it_was_enhanced_stays_there():
    viewer = ViewerModel()
    layer = _enhanced_in_place(viewer, scale=(97, 97), units=("nm", "nm"))
    for change in ({"translate": np.add(layer.translate, (1000, 2000))}, {"rotate": 30}, {"scale": (50, 50)}):
        for key, value in change.items():
            setattr(layer, key, value)
        corner = _corner(layer)
        show_enhanced(viewer, layer, _result(widefield_source(layer).read()), 2, in_place=True)
        np.testing.assert_allclose(_corner(layer), corner)
    restore(layer)
    np.testing.assert_allclose(_corner(layer), corner)
    assert layer_pixel_size(layer) == pytest.approx(100)


def test_restoring_an_untouched_layer_gives_exactly_its_numbers():
    viewer = ViewerModel()
    options = {"scale": (97.3, 97.3), "translate": (1 / 3, 0.7), "units": ("nm", "nm")}
    layer = _enhanced_in_place(viewer, **options, metadata={"theirs": 1})
    layer.metadata = {**layer.metadata, "added": 2}
    assert widefield_pixel_size(layer) == 97.3
    restore(layer)
    assert tuple(layer.scale) == options["scale"]
    assert tuple(layer.translate) == options["translate"]
    assert layer.metadata == {"theirs": 1, "added": 2}


def test_a_pixel_size_that_was_entered_after_the_enhancement_is_kept():
    viewer = ViewerModel()
    layer = _enhanced_in_place(viewer)
    assert widefield_pixel_size(layer) is None
    set_pixel_size(layer, 50)
    assert widefield_pixel_size(layer) == 100
    restore(layer)
    assert layer_pixel_size(layer) == 100


def test_the_list_asks_for_the_channel_of_a_ticked_layer(qtbot):
    viewer = ViewerModel()
    layer_list = LayerList(viewer, finest=False)
    qtbot.addWidget(layer_list)
    viewer.add_image(np.eye(64), name="plain", scale=(20, 20), units=("nm", "nm"))
    units = ("pixel", "nm", "nm")
    cell = viewer.add_image(_pixels("CYX"), name="cell", axis_labels=tuple("cyx"), scale=(1, 97, 97), units=units)
    assert layer_list.layers() == [cell]  # the coarsest
    row = layer_list.channel
    assert not row.isHidden()
    assert row.box.currentIndex() == -1
    assert [row.box.itemText(k) for k in (0, 3)] == ["channel 0", "channel 3"]
    row.box.setCurrentIndex(2)
    row.box.activated.emit(2)
    np.testing.assert_array_equal(layer_image(cell).pixels[0], cell.data[2])
    assert row.box.currentText() == "channel 2"
    other = ChannelRow()
    qtbot.addWidget(other)
    other.show_layers([cell])
    assert other.box.currentText() == "channel 2"  # asked once, in whichever dock
    layer_list.choose([viewer.layers["plain"]])
    assert row.isHidden()
