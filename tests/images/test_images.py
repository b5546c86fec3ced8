"""Images: reading, writing, pixel sizes, scaling, provenance, and errors for unsuitable input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import Image, read_image, read_images, write_image
from napari_smdiffusion.base.errors import InputError
from napari_smdiffusion.base.whole_files import check_space
from napari_smdiffusion.diffusion.intensities import Scaling
from napari_smdiffusion.images import tiff as tiff_files
from napari_smdiffusion.images.image import common_pixel_size, read_only
from napari_smdiffusion.images.provenance import PROVENANCE_VERSION, RESULT_KINDS, TrainingImage
from napari_smdiffusion.images.reading import mapped_image
from napari_smdiffusion.images.tiff import new_tiff

PLANE = np.arange(24 * 20, dtype=np.uint16).reshape(24, 20) * 130


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64", "float16"])
def test_every_pixel_type_is_read_exactly(tmp_path, dtype):
    pixels = (PLANE % 120).astype(dtype) if dtype in ("uint8", "float16") else (PLANE // 4).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels[0], pixels)


def test_scaling_keeps_16_bit_counts_exactly(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANE)
    image = read_image(tmp_path / "a.tif")
    scaling = Scaling.fit([image])
    back = scaling.unscale(scaling.scale(image.pixels))
    assert len(np.unique(PLANE)) == PLANE.size
    np.testing.assert_array_equal(np.round(back[0]).astype(np.uint16), PLANE)
    assert scaling.integer


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"imagej": True, "resolution": (1 / 0.02, 1 / 0.02), "metadata": {"unit": "um"}}, 20.0),
        ({"imagej": True, "resolution": (1 / 0.02, 1 / 0.02), "metadata": {"unit": "\\u00B5m"}}, 20.0),
        ({"imagej": True, "resolution": (1 / 19.36, 1 / 19.36), "metadata": {"unit": "nm"}}, 19.36),
        ({"imagej": True, "metadata": {"axes": "YX"}}, None),
        ({"metadata": {"axes": "YX", "PhysicalSizeX": 0.05, "PhysicalSizeXUnit": "µm"}, "ome": True}, 50.0),
        ({"resolution": (1e7 / 97, 1e7 / 97), "resolutionunit": "CENTIMETER"}, 97.0),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (28.35, 28.35), "resolutionunit": "CENTIMETER"}, None),  # also 72 dpi
        ({}, None),
    ],
)
def test_the_pixel_size_is_read_from_the_metadata(tmp_path, options, expected):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, **options)
    size = read_image(tmp_path / "a.tif").pixel_size
    assert size == (expected if expected is None else pytest.approx(expected, rel=1e-5))
    assert read_image(tmp_path / "a.tif", pixel_size=33.0).pixel_size == 33.0


@pytest.mark.parametrize("compression", ["zlib", "lzw"])
def test_compressed_files_are_read(tmp_path, compression):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[0], PLANE)


@pytest.mark.parametrize("shape", [(3, 24, 20), (1, 24, 20), (1, 3, 1, 24, 20)])
def test_stacks_are_read_as_planes(tmp_path, shape):
    tifffile.imwrite(tmp_path / "a.tif", np.broadcast_to(PLANE, shape), photometric="minisblack")
    assert read_image(tmp_path / "a.tif").pixels.shape == (max(shape[:-2]), 24, 20)


@pytest.mark.parametrize("ome", [False, True])
def test_planes_that_were_written_one_by_one_are_read_as_a_stack(tmp_path, ome):
    path = tmp_path / ("a.ome.tif" if ome else "a.tif")
    with tifffile.TiffWriter(path, ome=ome) as tiff:
        for k in range(3):
            tiff.write(PLANE + k, photometric="minisblack")
    np.testing.assert_array_equal(read_image(path).pixels, [PLANE, PLANE + 1, PLANE + 2])
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(PLANE)
        tiff.write(PLANE[:16])
    with pytest.raises(ValueError, match="holds 2 images of different sizes or types"):
        read_image(path)
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(PLANE)
        tiff.write(PLANE[:16], subfiletype=1)  # a preview
    assert read_image(path).pixels.shape == (1, *PLANE.shape)


def test_one_file_of_a_multi_file_set_gives_its_own_planes(tmp_path):
    """An OME-TIFF in two files: the folder gives each plane once, and one file alone gives no black planes."""
    names, planes = ("a.ome.tif", "b.ome.tif"), [PLANE + k for k in range(4)]
    data = "".join(
        f'<TiffData FirstT="{2 * k}" IFD="0" PlaneCount="2"><UUID FileName="{name}">urn:uuid:{k}</UUID></TiffData>'
        for k, name in enumerate(names)
    )
    for k, name in enumerate(names):
        xml = (
            f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{k}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYTZC" Type="uint16" '
            f'SizeX="20" SizeY="24" SizeZ="1" SizeC="1" SizeT="4" PhysicalSizeX="0.02" PhysicalSizeY="0.02">'
            f"{data}</Pixels></Image></OME>"
        )
        tifffile.imwrite(
            tmp_path / name,
            np.stack(planes[2 * k : 2 * k + 2]),
            description=xml,
            metadata=None,
            photometric="minisblack",
        )
    images = read_images([tmp_path])
    np.testing.assert_array_equal(np.concatenate([image.pixels for image in images]), planes)
    assert images[0].pixel_size == 20
    (tmp_path / "a.ome.tif").unlink()
    np.testing.assert_array_equal(read_image(tmp_path / "b.ome.tif").pixels, planes[2:])


def test_provenance_may_hold_any_text(tmp_path):
    facts = {"kind": "enhanced", "of": "cell_t=3.tif", "é": 'a="b"'}
    write_image(tmp_path / "a.tif", Image(PLANE, 20.0, provenance=facts))
    assert read_image(tmp_path / "a.tif").provenance == facts
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        lines = tiff.pages[0].description.splitlines()
    assert all(line.count("=") == 1 for line in lines)


@pytest.mark.parametrize("planes", [1, 3, 4, 5])
def test_images_too_large_for_imagej_are_written_and_read_back(tmp_path, monkeypatch, planes):
    monkeypatch.setattr(tiff_files, "_IMAGEJ_MAX_BYTES", 0)
    facts = {"kind": "synthetic", "training_data": [{"name": "a.tif", "shape": [1, 24, 20]}]}
    image = Image(np.random.default_rng(0).random((planes, 24, 20)), 19.36, (100.0, 50.0), provenance=facts)
    write_image(tmp_path / "a.tif", image)
    back = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(back.pixels, image.pixels)
    assert (back.pixel_size, back.origin, back.provenance) == (19.36, (100.0, 50.0), facts)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_bigtiff


def test_results_in_a_folder_are_skipped_but_named_files_are_read(tmp_path):
    for name, kind in (("a", "experimental"), ("b", "synthetic"), ("c", "error map"), ("d", "simulated")):
        write_image(tmp_path / f"{name}.tif", Image(PLANE, 20.0, provenance={"kind": kind}))
    images = read_images([tmp_path, tmp_path / "b.tif"], left_out=("synthetic", *RESULT_KINDS))
    assert [Path(image.name).stem for image in images] == ["a", "d", "b"]


@pytest.mark.parametrize("all_refused", [False, True])
def test_a_result_is_saved_beside_a_file_that_cannot_be_replaced(tmp_path, monkeypatch, all_refused):
    target, replace = tmp_path / "a.tif", Path.replace

    def refuse(self, destination):
        if Path(destination) == target or all_refused:
            raise PermissionError(13, "in use")
        return replace(self, destination)

    write_image(target, Image(PLANE))
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match=r"cannot be replaced \(you have no permission\): ") as raised:
        write_image(target, Image(PLANE + 1))
    (saved,) = (path for path in tmp_path.iterdir() if path != target)
    assert str(raised.value).endswith(f"The result is saved in {saved}.")
    np.testing.assert_array_equal(read_image(saved).pixels[0], PLANE + 1)
    np.testing.assert_array_equal(read_image(target).pixels[0], PLANE)


def test_numpy_numbers_can_be_written(tmp_path):
    image = Image(PLANE, np.float32(20), (np.int64(3), np.float32(4)))
    write_image(tmp_path / "a.tif", image)
    back = read_image(tmp_path / "a.tif")
    assert (back.pixel_size, back.origin) == (20, (3, 4))


def test_written_images_are_read_back_with_all_metadata(tmp_path):
    image = Image(np.random.default_rng(0).random((3, 24, 20)), 19.36, (100.0, 50.0), "a", {"kind": "synthetic"})
    write_image(tmp_path / "new" / "a.tif", image)
    back = read_image(tmp_path / "new" / "a.tif")
    np.testing.assert_array_equal(back.pixels, image.pixels)
    assert (back.pixel_size, back.origin) == (19.36, (100.0, 50.0))
    assert back.provenance == {"kind": "synthetic"}
    with tifffile.TiffFile(tmp_path / "new" / "a.tif") as tiff:
        assert tiff.is_imagej
        # The axis of independent images is I, not T (time).
        assert tiff.series[0].axes == "IYX"


def test_a_file_does_not_appear_if_writing_fails(tmp_path):
    with pytest.raises(RuntimeError, match="halfway"), new_tiff(tmp_path / "a.tif", (1, 32, 32)):
        raise RuntimeError("halfway")
    assert not list(tmp_path.iterdir())


def test_written_files_have_the_permissions_of_new_files(tmp_path):
    mask = os.umask(0o027)
    try:
        write_image(tmp_path / "a.tif", Image(PLANE))
    finally:
        os.umask(mask)
    if os.name == "posix":
        assert (tmp_path / "a.tif").stat().st_mode & 0o777 == 0o640


def test_writing_does_not_change_the_umask(tmp_path, monkeypatch):
    """The umask belongs to the process: files that another thread creates meanwhile would be writable for all users."""
    masks = []
    monkeypatch.setattr(os, "umask", masks.append)
    write_image(tmp_path / "a.tif", Image(PLANE))
    assert not masks


def test_images_are_compared_and_hashed_by_identity():
    first, second = Image(PLANE), Image(PLANE)
    assert first != second
    assert len({first, second, first}) == 2


def test_folders_are_read_in_order_of_names(tmp_path):
    for name in ("b.tif", "a.tiff", "notes.txt", ".hidden.tif"):
        tifffile.imwrite(tmp_path / name, PLANE)
    assert [Path(image.name).name for image in read_images([tmp_path])] == ["a.tiff", "b.tif"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no file that ends in"):
        read_images([tmp_path / "empty"])


def test_pixel_sizes_of_a_data_set_must_agree():
    images = [Image(PLANE, 20.0, name="a"), Image(PLANE, 25.0, name="b"), Image(PLANE, name="c")]
    with pytest.raises(ValueError, match=r"a has pixels of 20 nm and b of 25 nm"):
        common_pixel_size(images)
    assert common_pixel_size(images[::2]) == 20.0
    with pytest.raises(ValueError, match="No image was given"):
        common_pixel_size([])


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((0, 20)), "is empty"),
        (np.zeros(500), "has 1 axes"),
        (np.zeros((2, 2, 20, 20)), "has 4 axes"),
        (np.zeros((30, 20, 3)), "is a color"),
        (np.zeros((8, 20)), "at least 16 × 16"),
        (np.full((20, 20), np.nan), "NaN or infinite"),
        (np.full((20, 20), 1e300), "NaN or infinite"),
        (np.zeros((20, 20), complex), "complex pixels"),
        (np.full((20, 20), "a"), "not numbers"),
    ],
)
def test_unsuitable_pixels_are_refused(pixels, message):
    with pytest.raises(ValueError, match=message):
        Image(pixels, name="x")


def test_bad_pixel_sizes_are_refused():
    with pytest.raises(ValueError, match="positive number of nm"):
        Image(PLANE, pixel_size=-1.0)


@pytest.mark.parametrize("content", [b"", b"II*\x00 this is no TIFF file", b"hello"])
def test_the_error_names_a_damaged_file(tmp_path, content):
    (tmp_path / "bad.tif").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.tif cannot be read"):
        read_image(tmp_path / "bad.tif")


def test_the_error_names_a_truncated_file(tmp_path):
    tifffile.imwrite(tmp_path / "whole.tif", np.zeros((256, 256), np.float32))
    (tmp_path / "bad.tif").write_bytes((tmp_path / "whole.tif").read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"bad\.tif"):
        read_image(tmp_path / "bad.tif")


def test_color_files_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    with pytest.raises(ValueError, match="color"):
        read_image(tmp_path / "rgb.tif")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_image(tmp_path / "none.tif")


def test_constant_images_cannot_be_scaled():
    with pytest.raises(ValueError, match="All pixels have the value 3"):
        Scaling.fit([Image(np.full((20, 20), 3))])


def test_scaling_is_fitted_on_the_whole_data_set():
    dim, bright = Image(PLANE * 0.1), Image(PLANE * 1.0)
    scaling = Scaling.fit([dim, bright])
    values = np.concatenate([scaling.scale(dim.pixels), scaling.scale(bright.pixels)])
    assert values.mean() == pytest.approx(0, abs=1e-5)
    assert values.std() == pytest.approx(0.5, abs=1e-5)
    assert scaling.scale(bright.pixels).mean() > scaling.scale(dim.pixels).mean()


def test_a_crop_has_its_own_origin():
    crop = Image(PLANE, 20.0, origin=(100.0, 0.0)).crop(slice(4, 22), slice(2, 19))
    assert crop.size == (18, 17)
    assert crop.origin == (180.0, 40.0)
    with pytest.raises(ValueError, match="do not name a part"):
        Image(PLANE).crop(slice(30, 40), slice(None))


def test_pixels_that_are_not_square_are_refused_unless_a_pixel_size_is_given(tmp_path):
    for name, options in {
        "imagej": {"imagej": True, "resolution": (10, 5), "metadata": {"unit": "um"}},
        "ome": {"ome": True, "metadata": {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2}},
    }.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, np.eye(20, dtype=np.float32), **options)
        with pytest.raises(ValueError, match=rf"{name}\.tif has pixels of 200 by 100 nm"):
            read_image(path)
        assert read_image(path, 100).pixel_size == 100


def test_a_file_with_a_resolution_but_no_unit_has_no_pixel_size(tmp_path):
    from PIL import Image as PillowImage

    path = tmp_path / "a.tif"
    PillowImage.fromarray(np.arange(1024, dtype=np.uint8).reshape(32, 32)).save(path, tiffinfo={282: 300.0, 283: 300.0})
    image = read_image(path)
    assert image.pixel_size is None
    assert image.size == (32, 32)


def test_too_little_disk_space_is_an_error_before_the_work(tmp_path):
    with pytest.raises(OSError, match=r"a\.tif needs .* MB: free some space"):
        check_space(tmp_path / "sub" / "a.tif", (10_000_000, 10_000, 10_000))
    with new_tiff(tmp_path / "b.tif", (4, 512, 512)) as pixels:
        pixels[:] = 1
        (temporary,) = tmp_path.iterdir()
        # The space is allocated where the operating system supports it.
        if hasattr(os, "posix_fallocate"):
            assert temporary.stat().st_blocks * 512 >= 4 * 512 * 512 * 4


@pytest.mark.parametrize("planes", [1, 3])
def test_a_mapped_image_equals_the_image_that_was_written(tmp_path, planes):
    pixels = np.random.default_rng(0).random((planes, 20, 24), np.float32)
    write_image(tmp_path / "a.tif", Image(pixels, 40.0, (80.0, 120.0), provenance={"kind": "synthetic"}))
    read, mapped = read_image(tmp_path / "a.tif"), mapped_image(tmp_path / "a.tif")
    assert isinstance(mapped.pixels, np.memmap)
    np.testing.assert_array_equal(mapped.pixels, pixels)
    for name in ("pixel_size", "origin", "name", "provenance"):
        assert getattr(mapped, name) == getattr(read, name)


@pytest.mark.parametrize("planes", [1, 3, 4, 7])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0, 1, 255), "uint8"),
        ((0, 256), "uint16"),
        ((7, 65535), "uint16"),
        ((0, 65536), "float32"),
        ((-1, 3), "float32"),
        ((0, 0.5), "float32"),
    ],
)
def test_whole_numbers_are_written_as_integers_and_read_back_exactly(tmp_path, planes, values, expected):
    pixels = np.random.default_rng(0).choice(np.array(values, np.float32), (planes, 20, 24))
    write_image(tmp_path / "a.tif", Image(pixels, 25.0, (50.0, 75.0)))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].dtype == expected
        assert tiff.is_imagej
        assert tiff.series[0].shape == pixels.squeeze().shape
    for back in (read_image(tmp_path / "a.tif"), mapped_image(tmp_path / "a.tif")):
        np.testing.assert_array_equal(back.pixels, pixels)
        assert back.pixels.dtype == np.float32
        assert (back.pixel_size, back.origin) == (25, (50, 75))


def test_the_pixel_type_of_the_file_can_be_chosen(tmp_path):
    write_image(tmp_path / "a.tif", Image(np.eye(20)), np.float32)
    assert tifffile.imread(tmp_path / "a.tif").dtype == np.float32


def test_a_mapped_array_stays_readable_after_its_block(tmp_path):
    """The test runs in a process of its own, because the use of a closed map would be a segmentation fault."""
    code = """
import sys
from pathlib import Path
from napari_smdiffusion.images.tiff import new_tiff
with new_tiff(Path(sys.argv[1]), (2, 64, 64)) as pixels:
    pixels[:] = 1
print(pixels.sum(), pixels[1, 3, 4])
try:
    pixels[0] = 2
except ValueError:
    print("read-only")
"""
    command = [sys.executable, "-c", code, str(tmp_path / "a.tif")]
    process = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (process.returncode, process.stdout) == (0, "8192.0 1.0\nread-only\n"), process.stderr
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, np.ones((2, 64, 64)))


def test_provenance_is_a_copy_with_plain_values(tmp_path):
    values = [np.float32(0.5), (1, np.int64(2))]
    stated = {"a": np.float32(1), "n": np.arange(2), "of": values, "no": None, 3: np.bool_(True)}
    image = Image(PLANE, provenance=stated)
    values.append("later")
    assert image.provenance == {"a": 1.0, "n": [0, 1], "of": [0.5, [1, 2]], "no": None, "3": True}
    write_image(tmp_path / "a.tif", image)
    assert read_image(tmp_path / "a.tif").provenance == image.provenance


def test_provenance_that_json_cannot_hold_is_refused_before_any_work():
    with pytest.raises(
        InputError, match=r"^x: provenance\['of'\]\['model'\] is of type object, which JSON cannot hold"
    ):
        Image(PLANE, name="x", provenance={"of": [{"model": object()}]})


def test_an_image_does_not_change_with_the_array_it_came_from():
    array = np.random.default_rng(0).random((2, 20, 24), np.float32)
    image = Image(array)
    digest, pixels = image.digest, array.copy()
    array[:] = 7
    assert image.digest == digest
    np.testing.assert_array_equal(image.pixels, pixels)
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0] = 7


def test_read_only_and_mapped_pixels_are_not_copied(tmp_path):
    array = np.ones((2, 20, 24), np.float32)
    image = Image(read_only(array))
    images = (image, image.crop(slice(0, 16), slice(0, 16)), Image(image.pixels, 20.0))
    assert all(np.shares_memory(image.pixels, array) for image in images)
    assert array.flags.writeable
    mapped = np.memmap(tmp_path / "a", np.float32, "w+", shape=(2, 20, 24))
    assert np.shares_memory(Image(mapped).pixels, mapped)
    assert np.shares_memory(Image(np.asarray(mapped)[:1]).pixels, mapped)


def test_provenance_has_fields_and_is_a_mapping_of_the_stated_values(tmp_path):
    training_image = {"name": "a.tif", "shape": [1, 16, 16], "sha256": "ab", "kind": "experimental"}
    stated = {"kind": "synthetic", "model": "m", "training_data": [training_image], "settings": {"seed": 3}}
    image = Image(PLANE, provenance=stated)
    provenance = image.provenance
    assert (provenance.kind, provenance.model, provenance.training_data, provenance.source) == (
        "synthetic",
        "m",
        (TrainingImage("a.tif", (1, 16, 16), "ab", "experimental"),),
        None,
    )
    assert provenance == stated
    assert provenance["kind"] == "synthetic"
    assert provenance.training_names == {"ab": "a.tif"}
    assert len(provenance) == len(stated)
    assert provenance.to_json() == {**stated, "provenance_version": PROVENANCE_VERSION}
    assert Image(PLANE).provenance.kind == "experimental"
    assert Image(PLANE).provenance.to_json() == {}
    write_image(tmp_path / "a.tif", image)
    assert read_image(tmp_path / "a.tif").provenance == provenance


def test_provenance_keeps_unknown_values(tmp_path):
    # Later versions and other readers may state unknown names, and known names with values of another type.
    stated = {"kind": "movie", "seed": "none", "source": {"file": "x"}, "rsp": [1, "a"], "dose": 3.5}
    provenance = Image(PLANE, provenance=stated).provenance
    assert (provenance.kind, provenance.seed, provenance.source, provenance.rsp) == ("movie", None, None, None)
    assert provenance == stated
    write_image(tmp_path / "a.tif", Image(PLANE, provenance=stated))
    assert read_image(tmp_path / "a.tif").provenance == stated


@pytest.mark.parametrize(
    "damaged",
    [
        [1],
        None,
        "text",
        {"kind": 5, "training_data": [{"name": 1}], "settings": []},
        {"training_data": ["a.tif"]},
    ],
)
def test_an_image_with_damaged_provenance_is_experimental(tmp_path, damaged):
    tifffile.imwrite(
        tmp_path / "a.tif", PLANE.astype(np.float32), description=json.dumps({"provenance": damaged}), metadata=None
    )
    provenance = read_image(tmp_path / "a.tif").provenance
    assert (provenance.kind, provenance.training_data, provenance.settings) == ("experimental", None, {})


@pytest.mark.parametrize(
    "stated",
    [
        {"origin_nm": []},
        {"origin_nm": None},
        {"origin_nm": ["a", 1]},
        {"pixel_size_nm": "abc"},
        {"pixel_size_nm": [1]},
        {"pixel_size_nm": -5},
        {"pixel_size_nm": True},
        {"pixel_size_nm": 10**400},
    ],
)
def test_metadata_of_unexpected_types_are_ignored(tmp_path, stated):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE.astype(np.float32), description=json.dumps(stated), metadata=None)
    image = read_image(path)
    assert (image.pixel_size, image.origin, image.provenance) == (None, (0.0, 0.0), {})
