"""OME-TIFF files of a set, or of an aborted recording: the planes that are there are read with their axes."""

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import Axis, InputError, read_image
from napari_smdiffusion.base.errors import InputWarning

PLANES = np.stack([np.arange(24 * 20, dtype=np.uint16).reshape(24, 20) + k for k in range(6)])


def _ome(path, count, images, uuid=""):
    """Write the first `count` planes. Each of `images` is its (C, Z, T) and its places: (c, z, t, file name or "")."""
    texts, index = [], 0
    for (channels, depths, times), places in images:
        data = ""
        for c, z, t, name in places:
            own = name in ("", path.name)
            file = f'<UUID FileName="{name}">urn:uuid:{name}</UUID>' if name else ""
            data += f'<TiffData FirstC="{c}" FirstZ="{z}" FirstT="{t}" IFD="{index if own else 0}" PlaneCount="1">'
            data += f"{file}</TiffData>"
            index += own
        texts.append(
            f'<Image ID="Image:{len(texts)}"><Pixels ID="Pixels:{len(texts)}" DimensionOrder="XYCZT" Type="uint16" '
            f'SizeX="20" SizeY="24" SizeC="{channels}" SizeZ="{depths}" SizeT="{times}">{data}</Pixels></Image>'
        )
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f"{uuid}>{''.join(texts)}</OME>"
    )
    tifffile.imwrite(path, PLANES[:count], description=text, metadata=None, photometric="minisblack")


def _places(*places, name=""):
    return [(*place, name) for place in places]


def test_an_aborted_recording_gives_its_planes_with_a_warning(tmp_path):
    path = tmp_path / "a.ome.tif"
    _ome(path, 2, [((1, 1, 4), _places((0, 0, 0), (0, 0, 1)))])
    with pytest.warns(InputWarning, match=r"is incomplete: it states 4 planes and holds 2\. These 2 are read"):
        image = read_image(path)
    assert image.axes == (Axis("T", 2),)
    np.testing.assert_array_equal(image.pixels, PLANES[:2])


def test_planes_without_all_channels_are_left_out(tmp_path):
    path = tmp_path / "a.ome.tif"
    _ome(path, 3, [((2, 1, 2), _places((0, 0, 0), (1, 0, 0), (0, 0, 1)))])
    with pytest.warns(InputWarning, match="lacks a channel of 1 of its planes, which are left out"):
        image = read_image(path, channel=1)
    np.testing.assert_array_equal(image.pixels, PLANES[1:2])


@pytest.mark.parametrize("channels", [1, 2])
def test_planes_that_are_no_whole_block_are_planes_of_one_kind(tmp_path, channels):
    path = tmp_path / "a.ome.tif"
    places = [(c, z, t) for z, t in ((0, 0), (1, 0), (0, 1)) for c in range(channels)]
    _ome(path, len(places), [((channels, 2, 2), _places(*places))])
    with pytest.warns(InputWarning, match=f"states {4 * channels} planes and holds {3 * channels}"):
        image = read_image(path, channel=channels - 1 if channels > 1 else None)
    assert not any(axis.name in "TZ" for axis in image.axes)
    np.testing.assert_array_equal(image.pixels, PLANES[channels - 1 : 3 * channels : channels])


def test_an_image_in_another_file_of_the_set_is_left_out(tmp_path):
    images = [
        ((1, 1, 2), _places((0, 0, 0), (0, 0, 1), name="a.ome.tif")),
        ((1, 1, 2), _places((0, 0, 0), name="b.ome.tif")),
    ]
    _ome(tmp_path / "a.ome.tif", 2, images, 'UUID="urn:uuid:a.ome.tif"')
    _ome(tmp_path / "b.ome.tif", 1, images, 'UUID="urn:uuid:b.ome.tif"')
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").pixels, PLANES[:2])


def test_images_that_lack_different_planes_are_refused(tmp_path):
    path = tmp_path / "a.ome.tif"
    _ome(path, 3, [((1, 1, 2), _places((0, 0, 0), (0, 0, 1))), ((1, 1, 2), _places((0, 0, 0)))])
    with pytest.raises(InputError, match="holds 2 incomplete images: save each of them as a separate file"):
        read_image(path)


def test_a_plain_stack_of_imagej_that_states_more_images_than_it_holds_is_read(tmp_path, recwarn):
    path = tmp_path / "a.tif"
    for stated, notes in (("", 0), ("slices=6\n", 1)):
        description = f"ImageJ=1.54f\nimages=6\n{stated}"
        tifffile.imwrite(path, PLANES[:3], description=description, metadata=None, photometric="minisblack")
        np.testing.assert_array_equal(read_image(path).pixels, PLANES[:3])
        assert sum("states 6 planes and holds 3" in str(warning.message) for warning in recwarn) == notes


def test_damaged_ome_xml_is_left_out_or_named(tmp_path):
    path = tmp_path / "a.ome.tif"
    # The name of the other file is too long to exist.
    _ome(path, 2, [((1, 1, 2), [(0, 0, 0, ""), (0, 0, 1, "x" * 300)])])
    np.testing.assert_array_equal(read_image(path).pixels, PLANES[:1])
    _ome(path, 2, [((1, 1, 2), _places((0, 0, 0), (0, 0, 1)))])
    content = path.read_bytes()
    path.write_bytes(content.replace(b"</Pixels>", b"         "))
    np.testing.assert_array_equal(read_image(path).pixels, PLANES[:2])
    path.write_bytes(content.replace(b'SizeT="2"', b'SizeT="x"'))
    with pytest.raises(InputError, match=r"a\.ome\.tif cannot be read as a TIFF image"):
        read_image(path)
