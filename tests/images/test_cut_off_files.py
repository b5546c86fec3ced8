"""Files that are cut off, results that find no room, and what their sentences and metadata state."""

import shutil
import tempfile

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import InputError, read_image
from napari_smdiffusion.images.image import empty_images
from napari_smdiffusion.images.provenance import join_names
from napari_smdiffusion.images.readers import FileMetadata
from napari_smdiffusion.images.reading import read_metadata
from napari_smdiffusion.images.tiff import new_tiff
from napari_smdiffusion.images.tiff_reading import is_tiff

PLANE = np.arange(24 * 20, dtype=np.uint16).reshape(24, 20)


def test_too_little_memory_for_the_results_is_a_sentence():
    with pytest.raises(MemoryError, match=r"Memory is too small for 1000000 images of .*: choose fewer or smaller"):
        empty_images(10**6, 10**6, 10**6)


def test_a_mapped_result_that_no_place_can_take_is_lost_in_a_sentence(tmp_path, monkeypatch):
    folder = tmp_path / "out"

    def write(make_a_file):
        with new_tiff(folder / "a.tif", (2, 24, 20)) as pixels:
            pixels[:] = PLANE
            shutil.rmtree(folder)
            if make_a_file:
                folder.touch()
            monkeypatch.setenv("SMDIFFUSION_HOME", str(folder / "home") if make_a_file else str(tmp_path / "home"))
            monkeypatch.setattr(tempfile, "tempdir", str(folder) if make_a_file else str(tmp_path))

    write(make_a_file=False)
    np.testing.assert_array_equal(read_image(folder / "a.tif").pixels, [PLANE, PLANE])
    with pytest.raises(OSError, match=r"a\.tif is lost, because its folder was removed and no other place can be"):
        write(make_a_file=True)


@pytest.mark.parametrize("more", [30, 1, -2])
def test_a_tiff_file_that_is_cut_off_at_its_first_directory_is_refused(tmp_path, more):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, metadata=None)
    content = path.read_bytes()
    # Its first directory is moved to the end.
    place = int.from_bytes(content[4:8], "little")
    content = content[:4] + len(content).to_bytes(4, "little") + content[8:] + content[place:]
    path.write_bytes(content[: int.from_bytes(content[4:8], "little") + more])
    with pytest.raises(InputError, match="cannot be read as a TIFF image"):
        read_image(path)
    assert read_metadata(path) == FileMetadata()


def test_the_metadata_of_pixels_that_are_not_square_state_both_sides(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, metadata={"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2}, ome=True)
    facts = read_metadata(tmp_path / "a.tif")
    assert (facts.pixel_size, facts.sides) == (None, (200.0, 100.0))


def test_a_file_that_is_not_there_is_no_tiff_file(tmp_path):
    assert not is_tiff(tmp_path / "a.tif")


def test_long_lists_of_names_are_shortened():
    assert join_names("abc") == "a, b, c"
    assert join_names("abcde") == "a, b and 3 more"
