"""OME-Zarr stores: what is read of them, and what is written."""

import json
import sys

import numpy as np
import pytest

from napari_smdiffusion import Image, InputError, read_image, read_images, write_image
from napari_smdiffusion.base.errors import InputWarning
from napari_smdiffusion.images.axes import Axis
from napari_smdiffusion.images.image import AnisotropicPixelsError
from napari_smdiffusion.images.reading import mapped_image, read_metadata
from napari_smdiffusion.images.zarr_results import shard_side

zarr = pytest.importorskip("zarr", minversion="3")
_PIXELS = np.random.default_rng(0).random((2, 3, 4, 70, 90)).astype(np.float32)  # T, C, Z, Y, X


def _store(path, version="0.5", letters="tczyx", pixels=_PIXELS, unit="micrometer", **options):
    """Write a store as other programs do, and return its path."""
    kinds = {"t": "time", "c": "channel"}
    units = {"t": "millisecond", "c": None}
    axes = [{"name": a, "type": kinds.get(a, "space"), "unit": units.get(a, unit)} for a in letters]
    axes = [{key: value for key, value in axis.items() if value} for axis in axes]
    scales = {"t": 500.0, "c": 1.0, "z": 0.3, "y": 0.1, "x": options.pop("x", 0.1)}
    steps = [
        {"type": "scale", "scale": [scales[a] for a in letters]},
        {"type": "translation", "translation": [{"y": 2.0, "x": 3.0}.get(a, 0.0) for a in letters]},
    ]
    pyramid = {"axes": axes, "datasets": [{"path": "scale0/image", "coordinateTransformations": steps}]}
    omero = {"channels": [{"label": name} for name in ("actin", "tubulin", "dna")]}
    group = zarr.create_group(str(path), zarr_format=3 if version == "0.5" else 2)
    attributes = {"multiscales": [{"version": version, **pyramid}], "omero": omero}
    group.attrs.update({"ome": {"version": version, **attributes}} if version == "0.5" else attributes)
    options = {"chunks": tuple(min(side, 32) for side in pixels.shape), **options}
    group.create_array("scale0/image", data=pixels, **options)
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_stores_of_both_versions_are_read_with_axes_units_and_place(tmp_path, version):
    path = _store(tmp_path / "cell.zarr", version)
    image = read_image(path, channel="tubulin")
    assert np.array_equal(image.pixels, _PIXELS[:, 1].reshape(8, 70, 90))
    assert image.axes == (Axis("T", 2, 0.5), Axis("Z", 4, pytest.approx(300)))
    assert image.pixel_size == pytest.approx(100)
    # A store states the centre of the first pixel.
    assert image.origin == pytest.approx((1950, 2950))
    assert image.provenance.channel == "1 (tubulin)"
    assert read_metadata(path).pixel_size == pytest.approx(100)
    with pytest.raises(InputError, match=r"has 3 channels: 0 \(actin\)"):
        read_image(path)
    assert len(read_images([tmp_path], channel=0)) == 1  # a store in a folder is one image


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (1, 1, 1, 70, 90)},
        {"chunks": (2, 3, 4, 7, 11)},
        {"chunks": (1, 1, 2, 16, 16), "shards": (1, 3, 4, 64, 32)},
    ],
)
def test_any_chunks_and_shards_give_the_same_pixels(tmp_path, options):
    image = read_image(_store(tmp_path / "x.zarr", **options), channel=2)
    assert np.array_equal(image.pixels, _PIXELS[:, 2].reshape(8, 70, 90))


def test_axes_in_another_order_become_those_of_files(tmp_path):
    moved = np.moveaxis(_PIXELS[:, 0], 1, 0)  # Z, T, Y, X
    image = read_image(_store(tmp_path / "x.zarr", letters="ztyx", pixels=moved, chunks=(3, 1, 20, 20)))
    assert [axis.name for axis in image.axes] == ["T", "Z"]
    assert np.array_equal(image.pixels, _PIXELS[:, 0].reshape(8, 70, 90))


def test_pixels_that_are_not_square_or_in_an_unknown_unit_are_named(tmp_path):
    with pytest.raises(AnisotropicPixelsError, match="100 by 130 nm"):
        read_image(_store(tmp_path / "a.zarr", letters="yx", pixels=_PIXELS[0, 0, 0], x=0.13))
    with pytest.warns(InputWarning, match=r"b\.zarr states a pixel size that no microscope has"):
        image = read_image(_store(tmp_path / "b.zarr", letters="yx", pixels=_PIXELS[0, 0, 0], unit="parsec"))
    assert image.pixel_size is None
    with pytest.warns(InputWarning, match=r"states pixels of 0\.1 by 0\.1 without a unit"):
        image = read_image(_store(tmp_path / "c.zarr", letters="yx", pixels=_PIXELS[0, 0, 0], unit=""))
    assert image.pixel_size is None


def test_damaged_empty_and_missing_parts_are_named(tmp_path, monkeypatch):
    path = _store(tmp_path / "x.zarr", letters="yx", pixels=_PIXELS[0, 0, 0])
    (path / "scale0" / "image" / "c" / "0" / "0").unlink()
    with pytest.warns(InputWarning, match="no file for 1 of its 9 chunks"):
        read_image(path)
    (path / "scale0" / "image" / "c" / "1" / "1").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"x\.zarr cannot be read"), pytest.warns(InputWarning):
        read_image(path)
    values = json.loads((path / "zarr.json").read_text())
    values["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "../../other"
    (path / "zarr.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="not in the form of OME-NGFF"):
        read_image(path)
    (path / "zarr.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.zarr cannot be read"):
        read_image(path)
    zarr.create_array(str(tmp_path / "none.zarr"), shape=(50, 50), dtype="uint8", chunks=(25, 25))
    with pytest.raises(InputError, match="none of its pixels was written"):
        read_image(tmp_path / "none.zarr")
    (tmp_path / "folder.zarr").mkdir()
    with pytest.raises(InputError, match="is no OME-Zarr store"):
        read_image(tmp_path / "folder.zarr")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"needs the package zarr: .*napari-smdiffusion\[cluster\]"):
        read_image(path)


@pytest.mark.parametrize("axes", [(), (Axis("T", 2, 0.5), Axis("Z", 3, 300.0)), (Axis("N", 6),)])
def test_a_written_store_has_a_pyramid_and_is_read_the_same(tmp_path, axes):
    count = 6 if axes else 1
    pixels = np.random.default_rng(1).random((count, 601, 40)).astype(np.float32)
    image = Image(pixels, 20.0, (1000.0, 500.0), provenance={"kind": "enhanced", "source": "cell"}, axes=axes)
    path = tmp_path / "x.zarr"
    write_image(path, image)
    write_image(path, image)  # replaces it
    again = read_image(path)
    assert (again.pixel_size, again.origin, again.axes) == (20.0, (1000.0, 500.0), image.axes)
    assert again.provenance.to_json() == image.provenance.to_json()
    assert np.array_equal(again.pixels, pixels)
    assert np.array_equal(np.asarray(mapped_image(path).pixels[count - 1][5:9, 3:7]), pixels[-1, 5:9, 3:7])
    ome = zarr.open_group(str(path), mode="r").attrs["ome"]
    datasets = ome["multiscales"][0]["datasets"]
    assert (ome["version"], [dataset["path"] for dataset in datasets]) == ("0.5", ["0", "1"])
    scale, place = (step[step["type"]] for step in datasets[1]["coordinateTransformations"])
    assert (scale[-2:], place[-2:]) == ([40.0, 40.0], [1020.0, 520.0])
    coarse = zarr.open_group(str(path), mode="r")["1"]
    assert coarse.shape[-2:] == (301, 20)
    first = np.asarray(coarse).reshape(count, 301, 20)[0]
    np.testing.assert_allclose(first[:300], pixels[0, :600].reshape(300, 2, 20, 2).mean((1, 3)), rtol=1e-5)
    np.testing.assert_allclose(first[300], pixels[0, 600].reshape(20, 2).mean(1), rtol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["x.zarr"]


def test_chunks_share_files_where_these_would_be_too_many():
    assert shard_side((1, 20_480, 20_480), 320) is None
    assert shard_side((1, 163_840, 163_840), 320) == 1280
    assert shard_side((100_000, 512, 512), 512) is None  # a larger shard has no more chunks
