"""Files of microscopes in napari: a layer for each channel of each scene, which is read while it is shown."""

import numpy as np
import pytest

from images.microscope_makers import WRITERS, plane, write_czi, write_lif, write_nd2
from napari_smdiffusion.base.errors import InputError, InputWarning
from napari_smdiffusion.widgets.docks.open_files import OpenFiles
from napari_smdiffusion.widgets.viewer.layer_pixels import layer_pixel_size
from napari_smdiffusion.widgets.viewer.layers import layer_image
from napari_smdiffusion.widgets.viewer.reader import get_reader

pytest.importorskip("liffile", reason="it needs Python 3.11")


@pytest.mark.parametrize("suffix", WRITERS)
def test_each_channel_of_each_scene_is_a_layer(viewer, tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"cell{suffix}", times=3, depths=2, channels=2, scenes=2)
    layers = viewer.open(str(path), plugin="napari-smdiffusion")
    scene = {".czi": "scene {}", ".lif": "Series{:03d}", ".nd2": "A{}"}[suffix]
    first = 1 if suffix == ".lif" else 0
    names = [f"cell {scene.format(k + first)} {dye}" for k in (0, 1) for dye in ("tubulin", "actin")]
    assert [layer.name for layer in layers] == names
    for k, layer in enumerate(layers):
        expected = [[plane(scene=k // 2, t=t, z=z, channel=k % 2) for z in (0, 1)] for t in range(3)]
        np.testing.assert_array_equal(np.asarray(layer.data), expected)
        assert layer_pixel_size(layer) == pytest.approx(100)
        assert layer.axis_labels == ("t", "z", "y", "x")
        assert layer.scale[1] == pytest.approx(300)


def test_the_docks_read_what_the_commands_read(viewer, tmp_path):
    from napari_smdiffusion import read_image

    path = write_lif(tmp_path / "cell.lif", times=2, depths=3)
    (layer,) = viewer.open(str(path), plugin="napari-smdiffusion")
    image, read = layer_image(layer), read_image(path)
    np.testing.assert_array_equal(image.pixels, read.pixels)
    assert [(axis.name, axis.length) for axis in image.axes] == [(axis.name, axis.length) for axis in read.axes]
    assert image.pixel_size == pytest.approx(read.pixel_size)
    assert image.origin == pytest.approx((0, 0))


def test_the_widget_opens_them(viewer, tmp_path):
    widget = OpenFiles(viewer)
    (layer,) = widget.open_files([write_czi(tmp_path / "a.czi")])
    np.testing.assert_array_equal(np.asarray(layer.data), plane())
    assert "1 file is open" in widget.status.text()


def test_a_part_of_a_layer_is_read_from_its_file_alone(tmp_path):
    path = write_nd2(tmp_path / "a.nd2", times=4)
    ((pixels, _, _),) = get_reader(str(path))(str(path))
    np.testing.assert_array_equal(np.asarray(pixels[2, 3:9, 4:8]), plane(t=2)[3:9, 4:8])
    path.unlink()
    with pytest.raises(FileNotFoundError):
        np.asarray(pixels[2])


def test_other_files_with_the_suffix_are_left_to_other_readers(tmp_path):
    for suffix in WRITERS:
        (tmp_path / f"a{suffix}").write_bytes(b"another kind")
        assert get_reader(str(tmp_path / f"a{suffix}")) is None


def test_a_scene_that_is_no_gray_image_is_left_out(tmp_path):
    path = write_lif(tmp_path / "a.lif", scenes=2)
    content = path.read_bytes()
    wrong, right = ('DimID="2"'.encode("utf-16-le"), 'DimID="3"'.encode("utf-16-le"))
    path.write_bytes(content.replace(wrong, right, 1))  # the first series is a scan along X and Z
    with pytest.warns(InputWarning, match=r"Scene 0 \(Series001\) is left out: .*no image of Y and X"):
        layers = get_reader(str(path))(str(path))
    assert [options["name"] for _, options, _ in layers] == ["a Series002"]
    path.write_bytes(content.replace(wrong, right))
    with pytest.raises(InputError, match="no image of Y and X"):
        get_reader(str(path))(str(path))
