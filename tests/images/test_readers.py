"""The reader of an image file is chosen by the suffix, then by the content of the file."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

import napari_smdiffusion
from napari_smdiffusion import Image, InputError, read_image, read_images, write_image
from napari_smdiffusion.images.provenance import Provenance
from napari_smdiffusion.images.readers import READERS, FileMetadata, image_reader, image_suffixes
from napari_smdiffusion.images.reading import kind_of_file, read_metadata

PLANE = np.arange(24 * 20, dtype=np.float32).reshape(24, 20)


def _metadata(path):
    return FileMetadata(Provenance("enhanced") if "result" in path.name else Provenance(), 30.0)


@pytest.fixture
def npy_reader():
    """Register a reader of .npy files. Files with `result` in their name have the kind "enhanced"."""

    @READERS.register("NumPy array")
    @image_reader(".npy", metadata=_metadata)
    def read_array(path, pixel_size):
        return Image(np.load(path), pixel_size or 30.0, name=path.name)

    yield read_array
    READERS.remove("NumPy array")


@pytest.mark.usefixtures("npy_reader")
def test_a_new_reader_reads_files_alone_and_in_folders(tmp_path):
    np.save(tmp_path / "a.npy", PLANE)
    np.save(tmp_path / "result.npy", PLANE)
    write_image(tmp_path / "b.tif", Image(PLANE, 30.0))
    assert read_image(tmp_path / "a.npy").pixel_size == 30
    assert read_image(tmp_path / "a.npy", 40).pixel_size == 40
    assert [Path(image.name).name for image in read_images([tmp_path])] == ["a.npy", "b.tif", "result.npy"]
    assert [Path(image.name).name for image in read_images([tmp_path], left_out=("enhanced",))] == ["a.npy", "b.tif"]
    assert kind_of_file(tmp_path / "result.npy") == "enhanced"
    assert ".npy" in image_suffixes()


def test_a_file_without_a_reader_has_no_metadata(tmp_path):
    np.save(tmp_path / "result.npy", PLANE)
    assert read_metadata(tmp_path / "result.npy") == FileMetadata()


def test_the_content_of_a_file_decides_between_readers_of_one_suffix(tmp_path):
    @READERS.register("matrix")
    @image_reader(".csv", supports=lambda path: path.read_text()[:1].isdigit())
    def read_matrix(path, pixel_size):
        return Image(np.loadtxt(path, delimiter=","), pixel_size, name=path.name)

    try:
        np.savetxt(tmp_path / "matrix.csv", PLANE, "%d", delimiter=",")
        (tmp_path / "table.csv").write_text("xnm,ynm\n1000,2000\n1900,3000\n")
        np.testing.assert_array_equal(read_image(tmp_path / "matrix.csv").pixels[0], PLANE)
        assert read_image(tmp_path / "table.csv").pixel_size == 20
        (tmp_path / "other.csv").write_text("name,value\n")
        with pytest.raises(InputError, match=r"other\.csv cannot be read as an image"):
            read_image(tmp_path / "other.csv")
    finally:
        READERS.remove("matrix")


def test_a_tiff_file_with_another_suffix_is_read_and_other_files_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANE)
    (tmp_path / "a.tif").rename(tmp_path / "a.stk")
    np.testing.assert_array_equal(read_image(tmp_path / "a.stk").pixels[0], PLANE)
    (tmp_path / "a.abc").write_bytes(b"\x89abc")
    for name in ("a.abc", "."):
        with pytest.raises(InputError, match=r"cannot be read as an image: give a file of a kind that ends in \.tif, "):
            read_image(tmp_path / name)


def test_the_manifest_lists_the_suffixes_of_the_readers_for_napari():
    manifest = yaml.safe_load((Path(napari_smdiffusion.__file__).parent / "napari.yaml").read_text())
    (reader,) = manifest["contributions"]["readers"]
    patterns = {f"*{suffix}" for entry in READERS.values() if entry.in_napari for suffix in entry.suffixes}
    assert set(reader["filename_patterns"]) == patterns
