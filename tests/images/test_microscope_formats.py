"""What the own TIFF variants of microscopes and their programs state: distances, axes and channels."""

import json
import struct

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import Axis, InputError, read_image
from napari_smdiffusion.base.errors import InputWarning
from napari_smdiffusion.images.reading import read_metadata

PLANE = np.arange(24 * 20, dtype=np.uint16).reshape(24, 20)
SHORT, LONG, RATIONAL, DOUBLE, ASCII, BYTE = 3, 4, 5, 12, 2, 1


def _write(path, pages, after_header=b""):
    """Write a TIFF file of pages (planes, private tags).

    A tag is (code, type, count, content); the content may be a function of its place in the file. tifffile writes none
    of these, as the counts of some tags are not those of their values.
    """
    content = bytearray(struct.pack("<2sHI", b"II", 42, 0) + after_header)
    link = 4
    for planes, tags in pages:
        places = [len(content) + k * PLANE.nbytes for k in range(len(planes))]
        content += b"".join(plane.tobytes() for plane in planes)
        samples = next((count for code, _, count, _ in tags if code == 258), 1)
        strips = places[:samples]
        entries = {
            256: (LONG, 1, struct.pack("<I", 20)),
            257: (LONG, 1, struct.pack("<I", 24)),
            258: (SHORT, 1, struct.pack("<H", 16)),
            259: (SHORT, 1, struct.pack("<H", 1)),
            262: (SHORT, 1, struct.pack("<H", 1)),
            273: (LONG, samples, struct.pack(f"<{samples}I", *strips)),
            277: (SHORT, 1, struct.pack("<H", samples)),
            278: (LONG, 1, struct.pack("<I", 24)),
            279: (LONG, samples, struct.pack(f"<{samples}I", *[PLANE.nbytes] * samples)),
        }
        for code, kind, count, value in tags:
            entries[code] = (kind, count, value(len(content)) if callable(value) else value)
            if len(entries[code][2]) > 4:
                content += entries[code][2]
                entries[code] = (kind, count, struct.pack("<I", len(content) - len(entries[code][2])))
        for code in (273, 279):
            kind, count, value = entries[code]
            if len(value) > 4:
                content += value
                entries[code] = (kind, count, struct.pack("<I", len(content) - len(value)))
        content[link : link + 4] = struct.pack("<I", len(content))
        content += struct.pack("<H", len(entries))
        for code, (kind, count, value) in sorted(entries.items()):
            content += struct.pack("<HHI", code, kind, count) + value.ljust(4, b"\0")
        link = len(content)
        content += bytes(4)
    path.write_bytes(content)


def _stk(path, unit=b"um\0", calibrated=1, waves=(525, 525), distances=(200, 200)):
    """Write a stack of MetaMorph with two planes, pixels of 0.1 by its unit."""

    def first(place):  # pairs of a number and a value or the place of one
        after = place + 4 * 8
        pairs = struct.pack("<8I", 3, calibrated, 4, after, 5, after, 6, after + 8)
        return pairs + struct.pack("<2I", 1, 10) + struct.pack("<I", len(unit)) + unit

    planes = b"".join(struct.pack("<6I", z, 1000, 0, k, 0, 0) for k, z in enumerate(distances))
    tags = [
        (33629, RATIONAL, 2, planes),
        (33628, LONG, 4, first),
        (33630, RATIONAL, 2, b"".join(struct.pack("<2I", wave, 1) for wave in waves)),
    ]
    _write(path, [((PLANE, PLANE + 1), tags)])


def test_a_stack_of_metamorph(tmp_path):
    path = tmp_path / "a.stk.tif"
    _stk(path)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, [PLANE, PLANE + 1])
    assert (image.pixel_size, image.axes) == (100.0, (Axis("Z", 2, 200.0),))
    _stk(path, distances=(0, 0))
    assert read_image(path).axes == (Axis("T", 2),)
    _stk(path, calibrated=0)  # the size of a pixel was never measured
    assert read_image(path).pixel_size is None
    _stk(path, unit=b"ell\0")
    with pytest.warns(InputWarning, match=r"states pixels of 0\.1 ell, a unit that is not known"):
        assert read_image(path).pixel_size is None
    _stk(path, waves=(488, 561))
    with pytest.raises(InputError, match="states 2 channels, but its 2 planes do not fit its metadata"):
        read_image(path)


@pytest.mark.parametrize(("state", "expected"), [("on", 100.0), ("off", None)])
def test_a_plane_of_metaseries(tmp_path, state, expected):
    values = {"state": ("bool", state), "x": ("float", "0.1"), "y": ("float", "0.1"), "units": ("string", "um")}
    stated = "".join(
        f'<prop id="spatial-calibration-{name}" type="{kind}" value="{value}"/>'
        for name, (kind, value) in values.items()
    )
    description = f"<MetaData><PlaneInfo>{stated}</PlaneInfo></MetaData>"
    tifffile.imwrite(tmp_path / "a.tif", PLANE, description=description, software="MetaSeries", metadata=None)
    assert read_image(tmp_path / "a.tif").pixel_size == expected


def test_an_lsm_file_of_two_channels(tmp_path):
    facts = np.zeros(1, np.dtype(tifffile.TIFF.CZ_LSMINFO))
    for name, value in {
        "MagicNumber": 67127628,
        "StructureSize": facts.itemsize,
        **{"DimensionX": 20, "DimensionY": 24, "DimensionZ": 1, "DimensionChannels": 2, "DimensionTime": 1},
        **{"VoxelSizeX": 1e-7, "VoxelSizeY": 1e-7, "VoxelSizeZ": 3e-7, "TimeIntervall": 2.5, "ScanType": 3},
    }.items():
        facts[name] = value
    names = b"".join(struct.pack("<I", len(name) + 2) + name + b"\0\0" for name in (b"tubulin", b"actin"))

    def with_names(place):
        facts["OffsetChannelColors"] = place + facts.itemsize
        return facts.tobytes() + struct.pack("<6I", 32 + len(names), 2, 2, 24, 32, 0) + bytes(8) + names

    # The two numbers of bits are in a region of their own, here behind the header.
    planar = [(258, SHORT, 2, struct.pack("<I", 8)), (284, SHORT, 1, struct.pack("<H", 2))]
    thumbnail = [(254, LONG, 1, struct.pack("<I", 1))]
    lsm = (34412, BYTE, facts.itemsize, with_names)
    pages = [((PLANE, PLANE + 1), [*planar, lsm]), ((PLANE,), thumbnail)]
    _write(tmp_path / "a.tif", pages, struct.pack("<2H", 16, 16))
    assert read_metadata(tmp_path / "a.tif").channels == ("tubulin", "actin")
    with pytest.raises(InputError, match=r"2 channels: 0 \(tubulin\) and 1 \(actin\)"):
        read_image(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif", channel=1)
    np.testing.assert_array_equal(image.pixels, [PLANE + 1])
    assert image.pixel_size == 100.0


def test_a_plane_of_olympus_sis(tmp_path):
    def sis(place):
        head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 0, 0, 1, 0, 100, b"cell", 1)
        return (
            head
            + struct.pack("<hhI", 1, 1, place + len(head) + 8)
            + struct.pack("<10xhdd8xd2x34s32s", -9, 65, 65, 100, b"", b"")
        )

    _write(tmp_path / "a.tif", [((PLANE,), [(33560, BYTE, 200, sis)])])
    assert read_image(tmp_path / "a.tif").pixel_size == 65.0


def test_a_stack_of_fluoview(tmp_path):
    facts = np.zeros(1, np.dtype(tifffile.TIFF.MM_HEADER))
    for k, (name, size, step, unit) in enumerate(
        ((b"X", 20, 0.1, b"um"), (b"Y", 24, 0.1, b"um"), (b"Z", 2, 0.25, b"um"))
    ):
        facts["Dimensions"][0, k] = (name, size, 0, step, unit)
    tags = [(34361, BYTE, facts.itemsize, facts.tobytes()), (34362, DOUBLE, 8, bytes(64))]
    _write(tmp_path / "a.tif", [((PLANE,), tags), ((PLANE + 1,), [])])
    image = read_image(tmp_path / "a.tif")
    assert (image.pixel_size, image.axes) == (100.0, (Axis("Z", 2, 250.0),))


def test_planes_of_micro_manager(tmp_path):
    summary = {"PixelSize_um": 0.1, "Interval_ms": 500, "z-step_um": 0.3, "ChNames": ["tubulin"]}
    text = json.dumps(summary).encode()
    header = struct.pack("<8I", 54773648, 0, 483765892, 0, 99384722, 0, 2355492, len(text)) + text
    _write(tmp_path / "a.tif", [((PLANE,), [(51123, ASCII, 9, b'{"a": 1}\0')])], header)
    assert read_image(tmp_path / "a.tif").pixel_size == 100.0
    # The other files of a set are opened too, so that one which cannot be read is named.
    (tmp_path / "NDTiff.index").mkdir()
    with pytest.raises(InputError, match=r"it belongs to a set with NDTiff\.index, which cannot be read"):
        read_image(tmp_path / "a.tif")
