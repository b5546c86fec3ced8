"""The axes of images: read from files, chosen by channel, and written again."""

import itertools

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import Axis, Image, InputError, read_image, write_image
from napari_smdiffusion.base.errors import InputWarning
from napari_smdiffusion.images.axes import arranged, axes_from_json, axes_to_json
from napari_smdiffusion.images.image import in_file_order
from napari_smdiffusion.images.reading import mapped_image, read_metadata
from napari_smdiffusion.images.tiff import new_tiff

LENGTHS = {"T": 2, "Z": 3, "C": 4, "Q": 3, "Y": 20, "X": 24}
OME = {
    "PhysicalSizeX": 0.1,
    "PhysicalSizeY": 0.1,
    "PhysicalSizeZ": 0.3,
    "TimeIncrement": 100,
    "TimeIncrementUnit": "ms",
}


def _pixels(letters, dtype=np.uint16):
    """Return an array in which every pixel has another value."""
    shape = [LENGTHS[letter] for letter in letters]
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def _channel(pixels, letters, index):
    """Return (T, Z, Y, X) of one channel of an array."""
    plane = np.take(pixels, index, letters.index("C"))
    rest = letters.replace("C", "")
    return plane.transpose([rest.index(letter) for letter in "TZYX" if letter in rest]).reshape(-1, 20, 24)


@pytest.mark.parametrize("letters", ["".join(order) + "YX" for order in itertools.permutations("TZC")])
def test_every_order_of_an_ome_file_is_read_by_channel(tmp_path, letters):
    path, pixels = tmp_path / "a.ome.tif", _pixels(letters)
    names = ["DAPI", "tubulin", "488", "1"]
    tifffile.imwrite(path, pixels, metadata={"axes": letters, "Channel": {"Name": names}, **OME})
    with pytest.raises(
        InputError, match=r"a\.ome\.tif has 4 channels: 0 \(DAPI\), 1 \(tubulin\), 2 \(488\) and 3 \(1\)"
    ):
        read_image(path)
    for channel, index in ((1, 1), ("tubulin", 1), ("dapi", 0), ("488", 2), ("0", 0), ("1", 3), ("2", 2)):
        image = read_image(path, channel=channel)
        np.testing.assert_array_equal(image.pixels, _channel(pixels, letters, index))
        assert image.axes == (Axis("T", 2, 0.1), Axis("Z", 3, 300.0))
        assert image.pixel_size == 100
        assert image.provenance.channel == f"{index} ({names[index]})"
    for channel in (4, -1, "GFP", True):
        with pytest.raises(InputError, match="4 channels"):
            read_image(path, channel=channel)


@pytest.mark.parametrize("kind", ["imagej", "shaped"])
def test_hyperstacks_are_read_by_channel(tmp_path, kind):
    path, pixels = tmp_path / "a.tif", _pixels("TZCYX")
    options = {"imagej": True, "resolution": (10, 10)} if kind == "imagej" else {"resolution": (1e5, 1e5, "CENTIMETER")}
    tifffile.imwrite(
        path, pixels, metadata={"axes": "TZCYX", "unit": "um", "spacing": 0.2, "finterval": 2.5}, **options
    )
    image = read_image(path, channel=2)
    np.testing.assert_array_equal(image.pixels, _channel(pixels, "TZCYX", 2))
    assert image.axes == (Axis("T", 2, 2.5), Axis("Z", 3, 200.0))


@pytest.mark.parametrize("letters", ["YXC", "CYX"])
def test_channels_may_be_the_first_or_the_last_axis(tmp_path, letters):
    pixels = _pixels(letters)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", metadata={"axes": letters})
    with pytest.raises(InputError, match="4 channels: 0, 1, 2 and 3"):
        read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.tif", channel=3).pixels[0], np.take(pixels, 3, letters.index("C"))
    )


def test_channels_are_planes_of_one_kind_if_the_user_states_it(tmp_path):
    """Scripts with tifffile call the planes of a stack channels if they name no axes."""
    tifffile.imwrite(tmp_path / "a.tif", _pixels("TZYX").reshape(-1, 20, 24), imagej=True)
    with pytest.raises(InputError, match=r"6 channels: 0, 1, 2, 3, 4 and 5\..*or all if they are planes of one kind"):
        read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.tif", channel="all").stack, _pixels("TZYX").reshape(6, 20, 24)
    )


def test_samples_that_are_no_colors_are_channels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", _pixels("TYX"), photometric="minisblack", planarconfig="separate")
    with pytest.raises(InputError, match="2 samples per pixel"):
        read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", channel=1).pixels[0], _pixels("TYX")[1])


def test_files_of_scifio_are_read_by_channel(tmp_path):
    description = (
        "SCIFIO=0.46\naxes=X,Y,Channel,Z\nlengths=24,20,4,3\nscales=0.1,0.1,null,0.2\n"
        "units=micron,micron,null,micron\nimages=12\nchannels=4\nslices=3\nhyperstack=true\n"
    )
    tifffile.imwrite(tmp_path / "a.tif", _pixels("ZCYX"), description=description, metadata=None)
    with pytest.raises(InputError, match="4 channels"):
        read_image(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif", channel=1)
    np.testing.assert_array_equal(image.pixels, _pixels("ZCYX")[:, 1])
    assert (image.axes, image.pixel_size) == ((Axis("Z", 3, 200.0),), 100)


def test_a_file_without_names_of_its_axes_has_channels_if_the_user_chooses_one(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", _pixels("ZYX"), photometric="minisblack")
    image = read_image(tmp_path / "a.tif")
    assert (len(image), image.axes) == (3, ())
    with pytest.warns(InputWarning, match="its 3 planes are taken for channels"):
        image = read_image(tmp_path / "a.tif", channel=1)
    np.testing.assert_array_equal(image.pixels, _pixels("ZYX")[1:2])
    write_image(tmp_path / "made.tif", Image(_pixels("ZYX"), provenance={"kind": "synthetic"}))
    assert len(read_image(tmp_path / "made.tif", channel=1)) == 3  # its planes are known to be of one kind
    tifffile.imwrite(tmp_path / "b.tif", _pixels("ZQYX"), photometric="minisblack")
    with pytest.raises(InputError, match="does not name its axes of 3 × 3 planes"):
        read_image(tmp_path / "b.tif")


def test_a_file_with_one_channel_is_read_with_any_chosen_channel(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", _pixels("ZYX"), imagej=True, metadata={"axes": "ZYX"})
    assert len(read_image(tmp_path / "a.tif", channel=0)) == 3
    with pytest.warns(InputWarning, match="has a single channel, which is read instead of channel 1"):
        assert len(read_image(tmp_path / "a.tif", channel=1)) == 3
    (tmp_path / "t.csv").write_text("xnm,ynm\n1000,2000\n1900,3000\n")
    with pytest.warns(InputWarning, match=r"t\.csv has no channels"):
        read_image(tmp_path / "t.csv", channel=1)


def test_metadata_list_the_axes_and_channels_of_the_file(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, _pixels("TCYX"), metadata={"axes": "TCYX", "Channel": {"Name": list("abcd")}, **OME})
    facts = read_metadata(path)
    assert facts.axes == (Axis("T", 2, 0.1), Axis("C", 4))
    assert facts.channels == ("a", "b", "c", "d")
    tifffile.imwrite(tmp_path / "b.tif", _pixels("ZYX"), photometric="minisblack")
    assert read_metadata(tmp_path / "b.tif").axes == ()


AXES = [
    (Axis("T", 4),),
    (Axis("T", 4, 2.5),),
    (Axis("Z", 3, 200.0),),
    (Axis("T", 2, 0.05), Axis("Z", 3, 150.0)),
    (Axis("N", 2), Axis("T", 3, 1.0)),
    (Axis("N", 2), Axis("N", 3)),
]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("axes", AXES)
def test_written_axes_are_read_back(tmp_path, monkeypatch, axes, large):
    if large:
        monkeypatch.setattr("napari_smdiffusion.images.tiff._IMAGEJ_MAX_BYTES", 0)
    path, count = tmp_path / "a.tif", int(np.prod([axis.length for axis in axes]))
    pixels = np.random.default_rng(0).random((count, 20, 24), np.float32)
    write_image(path, Image(pixels, 100.0, provenance={"kind": "enhanced"}, axes=axes))
    for back in (read_image(path), mapped_image(path)):
        assert back.axes == axes
        assert back.stack.shape == (*(axis.length for axis in axes), 20, 24)
        np.testing.assert_array_equal(back.pixels, pixels)
    if large:
        assert read_metadata(path).axes == axes


def test_other_programs_read_times_and_depths(tmp_path):
    """The same as ImageJ's own files have, with its names of the steps."""
    pixels = _pixels("TZYX").reshape(-1, 20, 24)
    axes = (Axis("T", 2, 2.5), Axis("Z", 3, 200.0))
    for chosen, letters, metadata in (
        (axes, "TZYX", {"frames": 2, "slices": 3, "hyperstack": True, "spacing": 0.2, "finterval": 2.5, "unit": "um"}),
        (axes[:1], "TYX", {"frames": 2, "finterval": 2.5}),
        (axes[1:], "ZYX", {"slices": 3, "spacing": 0.2}),
    ):
        planes = pixels[: np.prod([axis.length for axis in chosen])]
        write_image(tmp_path / "a.tif", Image(planes, 100.0, axes=chosen))
        with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
            assert tiff.series[0].axes == letters
            assert metadata.items() <= tiff.imagej_metadata.items()
            np.testing.assert_array_equal(tiff.asarray().reshape(planes.shape), planes)


def test_depths_before_times_are_written_in_the_order_of_files(tmp_path):
    planes, axes = _pixels("ZTYX").reshape(-1, 20, 24), (Axis("Z", 3, 200.0), Axis("T", 2, 2.5))
    image = Image(planes, 100.0, axes=axes)
    write_image(tmp_path / "a.tif", image)
    for written in (read_image(tmp_path / "a.tif"), in_file_order(image)):
        assert written.axes == axes[::-1]
        np.testing.assert_array_equal(written.stack, _pixels("ZTYX").swapaxes(0, 1))
    assert in_file_order(written) is written


def test_axes_that_do_not_fit_are_refused(tmp_path):
    planes = _pixels("ZYX")
    with pytest.raises(InputError, match="2 times are not 3 planes"):
        Image(planes, axes=(Axis("T", 2),))
    with pytest.raises(ValueError, match="are not"), new_tiff(tmp_path / "a.tif", (3, 20, 24), axes=(Axis("T", 2),)):
        pass
    assert not list(tmp_path.iterdir())
    assert Image(planes, axes=(Axis("N", 3),)).axes == ()
    assert Image(planes, axes=(Axis("T", 1), Axis("Z", 3))).axes == (Axis("Z", 3),)
    assert Image(planes[:1], axes=(Axis("Z", 3),)).axes == ()  # the first plane of a stack


@pytest.mark.parametrize("shape", [(20, 24), (1, 1, 20, 24), (1, 20, 24), (20, 24, 1), (1, 20, 24, 1)])
def test_axes_of_length_one_are_dropped(shape):
    image = Image(_pixels("YX").reshape(shape))
    np.testing.assert_array_equal(image.pixels, _pixels("YX")[np.newaxis])
    assert image.stack.shape == (20, 24)


def test_arrays_are_read_by_the_letters_of_their_axes():
    pixels = _pixels("ZCTYX")
    image = Image(pixels, 100.0, axes="ZCTYX", channel=2)
    np.testing.assert_array_equal(image.stack, pixels[:, 2].swapaxes(0, 1))
    assert image.axes == (Axis("T", 2), Axis("Z", 3))
    assert image.crop(slice(0, 16), slice(0, 16)).axes == image.axes
    with pytest.raises(InputError, match=r"image has 4 channels"):
        Image(pixels, axes="ZCTYX")
    with pytest.raises(InputError, match=r"name the axes"):
        Image(pixels)
    with pytest.raises(InputError, match=r"name each of them by a letter"):
        Image(pixels, axes="TYX")
    with pytest.raises(InputError, match=r"no axis of channels"):
        Image(pixels[0, 0], channel=1)


def test_only_right_axes_are_taken_from_the_metadata_of_a_file():
    axes = (Axis("T", 4, 2.5), Axis("Z", 3))
    assert axes_from_json(axes_to_json(axes)) == axes
    for damaged in (None, "TZ", [1], [{"name": "C", "length": 3}], [{"name": "T", "length": "3"}], [{"name": []}]):
        assert axes_from_json(damaged) == ()
    assert axes_from_json([{"name": "T", "length": 3, "step": "x"}]) == (Axis("T", 3),)


def test_two_axes_of_channels_and_many_channels():
    with pytest.raises(InputError, match=r"has 3 channels and 2 .*: save one of these images as a file of its own"):
        Image(np.zeros((3, 2, 20, 24)), axes="CSYX")
    with pytest.raises(InputError, match="9 channels: 0, 1, 2, 3, … and 8"):
        Image(np.zeros((9, 20, 24)), axes="CYX")


@pytest.mark.parametrize("shape", [(0, 20, 24), (3, 0, 24), (2, 20, 0)])
def test_an_image_with_an_empty_axis_is_refused(shape):
    with pytest.raises(InputError, match=r"a.tif is empty: give an image with pixels in it\."):
        arranged(np.zeros(shape), "ZYX", where="a.tif")
