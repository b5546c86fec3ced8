"""TIFF files that state far more than they hold are refused before time and memory are spent on them."""

import json
import os
import struct
import sys
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_smdiffusion.base.errors import InputError, InputWarning
from napari_smdiffusion.images.limits import LIMIT_VARIABLE, largest_image, open_tiff
from napari_smdiffusion.images.readers import FileMetadata, image_suffixes, readers_of_suffix
from napari_smdiffusion.images.reading import read_image, read_metadata
from napari_smdiffusion.images.tiff_segments import _HEADERS

PIXELS = (np.arange(32 * 32) % 251).astype(np.uint8).reshape(32, 32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


def _first_directory(content):
    return struct.unpack("<I", content[4:8])[0]


def _next_place(content, directory):
    return directory + 2 + 12 * struct.unpack("<H", content[directory : directory + 2])[0]


def _entry(content, tag, directory=None):
    """Return the place of the entry of a tag."""
    place = (_first_directory(content) if directory is None else directory) + 2
    while struct.unpack("<H", content[place : place + 2])[0] != tag:
        place += 12
    return place


def _refused(path, message):
    with pytest.raises(InputError, match=message):
        read_image(path)
    assert read_metadata(path) == FileMetadata()


@pytest.mark.parametrize("length", [1, 2, 120])
def test_a_circle_of_pages_is_refused(path, length):
    tifffile.imwrite(path, np.stack([PIXELS] * length), metadata=None)
    content = bytearray(path.read_bytes())
    first = last = _first_directory(content)
    while following := struct.unpack("<I", content[_next_place(content, last) :][:4])[0]:
        last = following
    place = _next_place(content, last)
    content[place : place + 4] = struct.pack("<I", first)
    path.write_bytes(content)
    _refused(path, "a.tif cannot be read as a TIFF image: its pages run in a circle. Save it again")


def test_overlapping_directories_are_refused(path):
    entries, step, count = 100, 64, 400  # the places of the counts and of the next directories do not coincide
    content = bytearray(8 + step * count + 12 * entries + 6)
    content[:8] = b"II*\0" + struct.pack("<I", 8)
    for k in range(count):
        place = 8 + step * k
        content[place : place + 2] = struct.pack("<H", entries)
        content[place + 2 + 12 * entries : place + 6 + 12 * entries] = struct.pack("<I", place + step)
    path.write_bytes(content)
    _refused(path, "its directories overlap")


@pytest.mark.parametrize(
    ("tag", "count", "message"),
    [(330, 10**6, "states 1000000 images at lower resolutions"), (273, 10**8, "states more parts than it has room")],
)
def test_lists_that_the_file_has_no_room_for_are_refused(path, tag, count, message):
    with tifffile.TiffWriter(path) as file:
        file.write(PIXELS, metadata=None, subifds=1)
        file.write(PIXELS[::2, ::2], metadata=None)
    content = bytearray(path.read_bytes())
    place = _entry(content, tag)
    content[place + 4 : place + 8] = struct.pack("<I", count)
    path.write_bytes(content)
    _refused(path, message)


@pytest.mark.parametrize("size", [40_000, 16_777_000])
def test_claimed_sizes_are_refused(path, size):
    tifffile.imwrite(path, PIXELS, metadata=None)
    content = bytearray(path.read_bytes())
    for tag in (256, 257):
        place = _entry(content, tag)
        content[place + 2 : place + 12] = struct.pack("<HII", 4, 1, size)
    path.write_bytes(content)
    _refused(path, rf"its images take .* GB of memory, more than .* GB\. Crop it .* {LIMIT_VARIABLE} to more GB")


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "lzma"])
def test_images_that_unpack_to_gigabytes_are_refused(path, compression, monkeypatch):
    side = 1500
    monkeypatch.setattr("napari_smdiffusion.images.limits._ALWAYS", 2**20)
    tifffile.imwrite(path, np.zeros((side, side), np.uint8), compression=compression, tile=(512, 512))
    assert path.stat().st_size < side * side / 100
    _refused(path, "its images take 0.009 GB of memory, more than")


def test_a_person_can_raise_the_limit(path, monkeypatch):
    monkeypatch.setattr("napari_smdiffusion.images.limits._ALWAYS", 2**10)
    pixels = np.zeros((600, 600), np.uint8)
    pixels[0, 0] = 1
    tifffile.imwrite(path, pixels, compression="zlib")
    _refused(path, "take 0.00144 GB of memory")
    monkeypatch.setenv(LIMIT_VARIABLE, "0.002")
    assert read_image(path).size == (600, 600)
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    with pytest.raises(InputError, match=f"{LIMIT_VARIABLE} must be a positive number of GB, not 'much'"):
        largest_image(5)


def test_a_strip_that_unpacks_to_more_than_its_page_is_refused(path):
    tifffile.imwrite(path, PIXELS, metadata=None, compression="zlib", predictor=False)
    content = bytearray(path.read_bytes())
    bomb = zlib.compress(bytes(2**24), 9)
    for tag, value in ((273, len(content)), (279, len(bomb))):
        place = _entry(content, tag)
        content[place + 2 : place + 12] = struct.pack("<HII", 4, 1, value)
    path.write_bytes(content + bomb)
    _refused(path, "cannot be read as a TIFF image")


@pytest.mark.parametrize(
    ("number", "encode"),
    [
        (7, imagecodecs.jpeg8_encode),
        (34712, imagecodecs.jpeg2k_encode),
        (33003, lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="j2k")),
        (34933, imagecodecs.png_encode),
        (22610, imagecodecs.jpegxr_encode),
    ],
)
def test_a_part_that_is_a_far_larger_image_of_another_format_is_refused(path, monkeypatch, number, encode):
    part = encode(np.zeros((48, 80), np.uint8))
    assert _HEADERS[number](part) == (48, 80)
    tifffile.imwrite(path, PIXELS, metadata=None)
    content = bytearray(path.read_bytes())
    for tag, value in ((273, len(content)), (279, len(part)), (259, number)):
        place = _entry(content, tag)
        content[place + 2 : place + 12] = struct.pack("<HII", 4, 1, value)
    path.write_bytes(content + part)
    monkeypatch.setattr("napari_smdiffusion.images.tiff_segments._ALWAYS", 48 * 80 - 1)
    monkeypatch.setattr("napari_smdiffusion.images.tiff_segments._SLACK", 1)
    _refused(path, "a part of it unpacks to 48 × 80 pixels")


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "png", "jpegxr", "jpegxl", "lerc"])
def test_other_formats_are_read(path, compression):
    tifffile.imwrite(path, np.tile(PIXELS, (4, 4)), tile=(64, 64), compression=compression)
    assert read_image(path).size == (128, 128)


@pytest.mark.parametrize(
    ("number", "part", "size"),
    [
        (34712, b"\0\0\0\x0cjP  ", (0, 0)),
        (34712, b"\xff\x4f\xff\x51\0\x2f", (0, 0)),
        (34933, b"no PNG", (0, 0)),
        (22610, b"no JPEG XR", (0, 0)),
        (22610, b"II\xbc\1" + struct.pack("<I", 10**6), (2**16, 2**16)),
        (34887, b"x\x9c of zlib", (2**16, 2**16)),
        (50002, b"no JPEG XL", (2**16, 2**16)),
    ],
)
def test_the_size_of_a_damaged_part_is_nothing_or_too_large(number, part, size):
    """Zero where the decoder refuses the part, and too large where it may unpack to more than its header states."""
    assert _HEADERS[number](part) == size


def test_a_compression_whose_parts_cannot_be_bounded_is_refused(path):
    tifffile.imwrite(path, PIXELS)
    content = bytearray(path.read_bytes())
    place = _entry(content, 259) + 8
    content[place : place + 2] = struct.pack("<H", 50001)
    path.write_bytes(content)
    _refused(path, "its compression, WEBP, is not supported; LZW and Deflate are")


@pytest.mark.parametrize("shape", [(48, 80), (300, 517), (96, 96), (16, 24)])
def test_parts_of_jpeg_xl_and_lerc_state_their_size(path, shape, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 60_000, shape).astype(np.uint16)
    for compression in ("jpegxl", "lerc"):
        tifffile.imwrite(path, pixels, compression=compression, rowsperstrip=shape[0])
        np.testing.assert_array_equal(read_image(path).pixels[0], pixels)
        with monkeypatch.context() as limits:
            limits.setattr("napari_smdiffusion.images.tiff_segments._ALWAYS", 0)
            limits.setattr("napari_smdiffusion.images.tiff_segments._SLACK", 0.99)
            _refused(path, f"a part of it unpacks to {shape[0]} × {shape[1]} pixels")


def test_parts_that_are_read_again_and_again_are_refused(path):
    tifffile.imwrite(path, np.zeros((4096, 16), np.uint8), rowsperstrip=1, metadata=None)
    content = bytearray(path.read_bytes())
    offsets, counts = (struct.unpack("<I", content[_entry(content, tag) + 8 :][:4])[0] for tag in (273, 279))
    content[offsets : offsets + 4 * 4096] = struct.pack("<I", 8) * 4096
    entry = _entry(content, 279)
    kind = struct.unpack("<H", content[entry + 2 : entry + 4])[0]
    part = struct.pack("<H" if kind == 3 else "<I", 60_000)
    content[counts : counts + len(part) * 4096] = part * 4096
    path.write_bytes(content)
    _refused(path, "many of its parts are at the same place")


OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="{x}" SizeY="32" SizeC="1" SizeZ="{z}" SizeT="1">'
    '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="{count}">{uuid}</TiffData></Pixels>'
    "</Image>{more}</OME>"
)
MODULO = (
    '<StructuredAnnotations><XMLAnnotation ID="A:1" Namespace="openmicroscopy.org/omero/dimension/modulo"><Value>'
    '<Modulo><ModuloAlongT Type="lifetime" Start="0" End="1e15" Step="1"/></Modulo></Value></XMLAnnotation>'
    "</StructuredAnnotations>"
)


def _write_ome(path, x=32, z=1, count=1, uuid="", more=""):
    description = OME.format(x=x, z=z, count=count, uuid=uuid, more=more)
    tifffile.imwrite(path, PIXELS, description=description, metadata=None, ome=False)


@pytest.mark.parametrize("change", [{"z": 10**9}, {"x": 10**12}, {"count": 10**9}, {"z": 10**40}, {"more": MODULO}])
def test_ome_xml_that_states_far_too_many_planes_is_refused(tmp_path, change):
    _write_ome(tmp_path / "a.ome.tif", **change)
    _refused(tmp_path / "a.ome.tif", "its OME-XML states .* planes")


def test_ome_xml_of_a_small_file_is_read(tmp_path):
    _write_ome(tmp_path / "a.ome.tif")
    assert read_image(tmp_path / "a.ome.tif").size == (32, 32)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    for suffix in image_suffixes():
        for target, kind in ((tmp_path / "pipe.tif", "pipe"), (Path("/dev/zero"), "device")):
            link = tmp_path / f"{kind}_link{suffix}"
            link.symlink_to(target)
            with pytest.raises(InputError, match=rf"{link.name} (is a {kind} and|cannot) "):
                read_image(link)
            assert read_metadata(link) == FileMetadata()
            assert not any(reader.supports(link) for reader in readers_of_suffix(link))
    _write_ome(tmp_path / "a.ome.tif", z=2, uuid='<UUID FileName="&#112;ipe.tif">urn:uuid:1</UUID>')
    _refused(tmp_path / "a.ome.tif", r"it belongs to a set with pipe\.tif, which cannot be read")


@pytest.mark.parametrize(
    "facts",
    [
        *({"pixel_size_nm": value} for value in ("abc", [1], True, -20, 0, 1e-300, 1e300, {})),
        *({"origin_nm": value} for value in ([], None, [1], ["a", 2], [1, True], [1e300, 0], 5)),
        *({"provenance": value} for value in ([1], None, "synthetic", 3)),
    ],
)
def test_facts_of_a_wrong_type_or_range_are_named_and_not_used(path, facts):
    whole = {"pixel_size_nm": 20.0, "origin_nm": [3, 4], "provenance": {"kind": "synthetic"}}
    tifffile.imwrite(path, PIXELS, description=json.dumps({**whole, **facts}), metadata=None)
    (key,) = facts
    with pytest.warns(InputWarning, match=f"a.tif states {key} .*, which has a wrong type or range: it is not used"):
        image = read_image(path)
    right = (20.0, (3.0, 4.0), "synthetic")
    read = (image.pixel_size, image.origin, image.provenance.kind)
    left_out = {"pixel_size_nm": None, "origin_nm": (0.0, 0.0), "provenance": "experimental"}
    assert read == tuple(left_out[name] if name == key else value for name, value in zip(left_out, right, strict=True))
    assert read_metadata(path).pixel_size == read[0]


def test_an_open_file_is_one_of_tifffile(path):
    tifffile.imwrite(path, np.stack([PIXELS] * 3), photometric="minisblack")
    with open_tiff(path) as tiff:
        assert tiff.series[0].shape == (3, 32, 32)
    assert len(read_image(path)) == 3
