"""Pixel sizes and the state of TIFF files, in the words of many programs."""

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import Axis, Image, InputError, TrainJob, read_image, write_image
from napari_smdiffusion.base.errors import InputWarning
from napari_smdiffusion.images.pixel_size import nanometres, seconds, states_no_unit
from napari_smdiffusion.images.reading import read_metadata

PLANE = np.arange(24 * 20, dtype=np.uint16).reshape(24, 20)
PLANES = np.stack([PLANE + k for k in range(6)])


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        *(
            (unit, 1e3)
            for unit in ("um", "µm", "μm", "\\u00B5m", "Micron", "microns", "Micrometers", "micrometre", "UM")
        ),
        *((unit, 1.0) for unit in ("nm", "NM", "nanometer", "nanometres", " nm ", "nm/pixel")),
        *((unit, 1e6) for unit in ("mm", "millimeters")),
        *((unit, 1e7) for unit in ("cm", "centimeter")),
        *((unit, 1e9) for unit in ("m", "meter", "Metres")),
        *((unit, 2.54e7) for unit in ("inch", "inches", "in")),
        *((unit, 0.1) for unit in ("Å", "\u212b", "angstrom", "Angstroms")),
        ("pm", 1e-3),
        ("furlong", None),
        ("s", None),
        ("", None),
    ],
)
def test_every_spelling_of_a_unit_is_understood(unit, expected):
    assert nanometres(1.0, unit) == expected


def test_units_of_time_and_none_at_all():
    assert [seconds(2.0, unit) for unit in ("s", "sec", "ms", "min", "hours", "nm")] == [2, 2, 0.002, 120, 7200, None]
    assert all(map(states_no_unit, ("", "pixel", "Pixels", "px", "none")))
    assert not states_no_unit("nm")


def _imagej(unit, per_unit, tag="NONE"):
    return {
        "description": f"ImageJ=1.54f\n{unit}",
        "metadata": None,
        "resolution": (per_unit, per_unit),
        "resolutionunit": tag,
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (_imagej("unit=Micron\n", 10), 100),
        (_imagej("unit=inch\n", 254_000), 100),
        (_imagej("unit=inch\n", 300), None),  # a print
        (_imagej("unit=cm\n", 1e5, "CENTIMETER"), 100),
        (_imagej("unit=um\n", 10, "CENTIMETER"), 100),
        (_imagej("unit=pixel\n", 1e5, "CENTIMETER"), 100),
        (_imagej("", 1e5, "CENTIMETER"), 100),
        (_imagej("", 1e5), None),
        ({"resolution": (254_000, 254_000), "resolutionunit": "INCH"}, 100),
        *(({"resolution": (dpi, dpi), "resolutionunit": "INCH"}, None) for dpi in (72, 96, 150, 300, 600, 1200, 4800)),
        *(({"resolution": (n, n), "resolutionunit": "CENTIMETER"}, None) for n in (28.35, 118.11, 944.882)),
        ({"resolution": (1550.39, 1550.39), "resolutionunit": "CENTIMETER"}, 6450),
        ({"metadata": {"PhysicalSizeX": 100, "PhysicalSizeXUnit": "nm"}, "ome": True}, 100),
        ({"metadata": {"PhysicalSizeX": 1e-7, "PhysicalSizeXUnit": "m"}, "ome": True}, 100),
        ({"metadata": {}, "ome": True, "resolution": (1e5, 1e5), "resolutionunit": "CENTIMETER"}, 100),
        ({"metadata": {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1}}, 100),  # tifffile's own form
        ({"metadata": {"unit": "um"}, "resolution": (10, 10), "resolutionunit": "NONE"}, 100),
        ({"description": "SCIFIO=0.46\naxes=X,Y\nlengths=20,24\nscales=0.1,0.1\nunits=micron,micron\n"}, 100),
        ({"description": "SCIFIO=0.46\naxes=X,Y\nlengths=20\nscales=0.1,0.1\nunits=micron,micron\n"}, None),
    ],
)
def test_the_pixel_size_is_read_from_the_metadata_of_many_programs(tmp_path, options, expected, recwarn):
    if "description" in options:
        options = {"metadata": None, **options}
    tifffile.imwrite(tmp_path / "a.tif", PLANE, **options)
    size = read_image(tmp_path / "a.tif").pixel_size
    assert size == (expected if expected is None else pytest.approx(expected, rel=1e-4))
    assert read_metadata(tmp_path / "a.tif").pixel_size == size
    assert not [warning for warning in recwarn if warning.category is InputWarning]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (_imagej("unit=furlong\n", 10), "states pixels of 0.1 furlong, a unit that is not known"),
        (
            {"metadata": {"PhysicalSizeX": 1e-7}, "ome": True},
            "states pixels of 1e-07 µm, which no microscope image has",
        ),
        ({"metadata": {"PhysicalSizeX": 7, "PhysicalSizeXUnit": "mm"}, "ome": True}, "states pixels of 7 mm"),
    ],
)
def test_a_stated_size_that_is_not_understood_is_reported_and_not_used(tmp_path, options, message):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, **options)
    with pytest.warns(InputWarning, match=message):
        assert read_image(tmp_path / "a.tif").pixel_size is None
    facts = read_metadata(tmp_path / "a.tif")
    assert facts.pixel_size is None
    assert message in facts.problem
    assert read_image(tmp_path / "a.tif", 100).pixel_size == 100


@pytest.mark.parametrize("size", [0.0, -1.0, 0.01936, 1e7, float("nan"), float("inf")])
def test_pixel_sizes_that_no_image_has_are_refused(tmp_path, size):
    write_image(tmp_path / "a.tif", Image(PLANE, 20.0))
    for make in (
        lambda: Image(PLANE, size),
        lambda: read_image(tmp_path / "a.tif", size),
        lambda: TrainJob("a.tif", pixel_size=size),
    ):
        with pytest.raises(InputError, match=r"pixel.size.* must be a .*number of nm"):
            make()


@pytest.mark.parametrize(
    ("metadata", "cut", "axes"),
    [
        ({"axes": "ZYX", "spacing": 0.2, "unit": "um"}, 4, (Axis("Z", 4, 200.0),)),
        ({"axes": "TYX"}, 4, (Axis("T", 4),)),
        ({"axes": "ZYX"}, 2, (Axis("Z", 2),)),
    ],
)
def test_a_stack_that_was_copied_in_part_gives_the_planes_that_are_there(tmp_path, metadata, cut, axes):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES, imagej=True, metadata=metadata)
    path.write_bytes(path.read_bytes()[: -((6 - cut) * PLANE.nbytes + 400)])
    with pytest.warns(InputWarning, match=rf"is incomplete: it states 6 planes and holds {cut}\. These {cut} are read"):
        image = read_image(path)
    assert image.axes == axes
    np.testing.assert_array_equal(image.pixels, PLANES[:cut])


def test_channels_of_a_file_that_was_copied_in_part_are_distinguished(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES.reshape(3, 2, *PLANE.shape), imagej=True, metadata={"axes": "TCYX"})
    path.write_bytes(path.read_bytes()[: -(PLANE.nbytes // 2 + 400)])
    with pytest.raises(InputError, match="2 channels"):
        read_image(path)
    with pytest.warns(InputWarning, match="states 6 planes and holds 4"):
        image = read_image(path, channel=1)
    np.testing.assert_array_equal(image.pixels, PLANES[1:4:2])


def test_a_file_of_ours_that_was_copied_in_part_gives_the_planes_that_are_there(tmp_path):
    path = tmp_path / "a.tif"
    write_image(path, Image(PLANES))
    path.write_bytes(path.read_bytes()[: -(3 * PLANE.nbytes)])
    with pytest.warns(InputWarning, match="states 6 planes and holds"):
        image = read_image(path)
    assert 1 < len(image) < 6
    np.testing.assert_array_equal(image.pixels, PLANES[: len(image)])


def test_a_file_whose_end_is_missing_is_reported_as_incomplete(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for plane in PLANES:
            tiff.write(plane, metadata=None, contiguous=False)
    with tifffile.TiffFile(path) as tiff:
        end = tiff.pages[3].offset
    whole = path.read_bytes()
    path.write_bytes(whole[:end])
    with pytest.warns(InputWarning, match="is incomplete: its end is missing"):
        np.testing.assert_array_equal(read_image(path).pixels, PLANES[:3])


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("bool", 1)])
def test_pixels_of_a_file_in_which_zero_is_white_are_turned(tmp_path, dtype, white):
    pixels = (PLANE % 2).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    with pytest.warns(InputWarning, match=f"0 is white: its pixels are read as {white} minus their value"):
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[0], white - pixels.astype(int))
    # In ImageJ it is only the color map.
    tifffile.imwrite(tmp_path / "b.tif", PLANE, photometric="miniswhite", imagej=True)
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels[0], PLANE)
    tifffile.imwrite(tmp_path / "c.tif", PLANE.astype(np.float32), photometric="miniswhite")
    with pytest.raises(InputError, match="states that 0 is white, and has float32 pixels"):
        read_image(tmp_path / "c.tif")


def test_a_file_that_states_channels_which_its_planes_do_not_have_is_refused(tmp_path):
    """OME metadata of 2 channels and 4 times, with 6 planes: they cannot be distinguished."""
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="99" SizeY="24" SizeZ="1" SizeC="2" SizeT="4">'
        "<TiffData/></Pixels></Image></OME>"
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", PLANES, description=xml, metadata=None)
    with pytest.raises(InputError, match="states 2 channels, but its 6 planes do not fit its metadata"):
        read_image(tmp_path / "a.ome.tif")
