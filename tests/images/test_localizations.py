"""Localization tables and their rendering."""

import numpy as np
import pytest

from napari_smdiffusion import read_image
from napari_smdiffusion.base.errors import InputError, InputWarning
from napari_smdiffusion.images.localizations import Localizations, read_table, render

ROWS = [(1000.0, 2000.0, 10.0), (3000.0, 1500.0, 20.0), (1800.0, 2900.0, 15.0)]


def _csv(path, header, rows=ROWS):
    path.write_text(header + "\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


@pytest.mark.parametrize(
    "header",
    [
        '"x [nm]","y [nm]","uncertainty [nm]"',
        "x[nm],y[nm],uncertainty[nm]",
        '"x [nm]","y [nm]","uncertainty_xy [nm]"',
        "xnm,ynm,locprecnm",
    ],
)
def test_tables_of_common_programs_are_read(tmp_path, header):
    table = read_table(_csv(tmp_path / "a.csv", header))
    np.testing.assert_allclose(np.stack([table.x, table.y, table.precision], 1), ROWS)


def test_a_decode_table_is_read_in_its_stated_unit(tmp_path):
    table = _csv(tmp_path / "a.csv", "# {'xy_unit': 'nm'}\nx,y,x_sig")
    np.testing.assert_allclose(read_table(table).x, [row[0] for row in ROWS])


def test_a_picasso_file_is_read_with_the_pixel_size_of_its_yaml_file(tmp_path):
    import h5py

    locs = np.array([(10.0, 20.0, 0.1), (30.0, 15.0, 0.2)], [("x", "f4"), ("y", "f4"), ("lpx", "f4")])
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["locs"] = locs
    with pytest.raises(ValueError, match="does not state 'Pixelsize'"):
        read_table(tmp_path / "a.hdf5")
    (tmp_path / "a.yaml").write_text("Frames: 10\nPixelsize: 130 nm\n")
    with pytest.raises(ValueError, match="'Pixelsize' as a number"):
        read_table(tmp_path / "a.hdf5")
    (tmp_path / "a.yaml").write_text("Frames: 10\nPixelsize: 130\n")
    table = read_table(tmp_path / "a.hdf5")
    np.testing.assert_allclose(table.x, [1300, 3900])
    np.testing.assert_allclose(table.precision, [13, 26], rtol=1e-6)
    for text in (b"Pixelsize: 130 # nm\n", b"Frames: 10\n---\nROI: !!python/tuple [1, 2]\npixelsize: 1.3e2\n"):
        (tmp_path / "a.yaml").write_bytes(text)
        np.testing.assert_allclose(read_table(tmp_path / "a.hdf5").x, [1300, 3900])
    for text in (b"Camera: \xe9\xff\nPixelsize: 130\n", b"Pixelsize: [130\n"):
        (tmp_path / "a.yaml").write_bytes(text)
        with pytest.raises(
            InputError, match=r"a\.yaml is not a yaml file \(.*\): export a\.hdf5 from Picasso again\.$"
        ):
            read_table(tmp_path / "a.hdf5")
    for text in (b"Pixelsize: yes\n", b"Pixelsize: .inf\n", b"- 130\n", b""):
        (tmp_path / "a.yaml").write_bytes(text)
        with pytest.raises(InputError, match="'Pixelsize' as a number"):
            read_table(tmp_path / "a.hdf5")
    (tmp_path / "a.yaml").write_text("Pixelsize: 130\n")
    locs["x"][0] = np.nan
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["locs"] = locs
    np.testing.assert_allclose(read_table(tmp_path / "a.hdf5").x, [3900])
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.create_group("locs")
    with pytest.raises(ValueError, match="is not a Picasso localization file"):
        read_table(tmp_path / "a.hdf5")


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("a,b", [(1, 2)], "has the columns a, b"),
        ("x [nm],y [nm]", [], "holds no localization"),
        ("x,y", [(1, 2)], "does not state the unit of its columns 'x' and 'y'"),
        ("xnm,ynm", [(1, 2), ("xnm", "ynm")], "holds something other than numbers in 'xnm'"),
    ],
)
def test_unsuitable_tables_are_refused(tmp_path, header, rows, message):
    with pytest.raises(ValueError, match=message):
        read_table(_csv(tmp_path / "a.csv", header, rows))


def test_every_molecule_is_rendered_once_at_its_position(tmp_path):
    image = read_image(_csv(tmp_path / "a.csv", "xnm,ynm,locprecnm"), pixel_size=20.0)
    assert image.pixel_size == 20.0
    assert image.pixels.sum() == pytest.approx(3, rel=0.01)
    y, x = np.unravel_index(image.pixels[0].argmax(), image.size)
    # The most precise molecule is the brightest: the first row, at the left border and 500 nm below the upper border.
    assert (y, x) == (2 + 25, 2)


def test_the_origin_of_a_rendered_image_fits_the_positions(tmp_path):
    image = read_image(_csv(tmp_path / "a.csv", "xnm,ynm,locprecnm"), pixel_size=20.0)
    table = read_table(tmp_path / "a.csv")
    y, x = np.unravel_index(image.pixels[0].argmax(), image.size)
    sharpest = table.precision.argmin()
    position = [corner + (pixel + 0.5) * 20 for corner, pixel in zip(image.origin, (y, x), strict=True)]
    np.testing.assert_allclose(position, (table.y[sharpest], table.x[sharpest]), atol=10)


def test_less_precise_molecules_are_wider():
    wide, sharp = (render(Localizations(*(np.array([v]) for v in (0.0, 0.0, p))), 10.0) for p in (40.0, 5.0))
    assert sharp.max() > 5 * wide.max()


def test_an_absurdly_large_rendered_image_is_refused():
    table = Localizations(np.array([0.0, 1e9]), np.array([0.0, 1e9]), np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match=r"Choose pixels of at least .* nm, check the unit, or set SMDIFFUSION_MAX"):
        render(table, 10.0)


def test_z_is_read_and_a_projection_along_z_is_a_warning(tmp_path):
    header = '"x [nm]","y [nm]","z [nm]","uncertainty_xy [nm]"'
    deep = _csv(tmp_path / "a.csv", header, [(1000.0, 2000.0, -300.0, 10.0), (3000.0, 1500.0, 200.0, 20.0)])
    np.testing.assert_array_equal(read_table(deep).z, [-300, 200])
    with pytest.warns(InputWarning, match=r"a\.csv is 3-D \(z from -300 to 200 nm\): its image is a projection"):
        image = read_image(deep)
    assert image.pixels.sum() == pytest.approx(2, rel=0.01)
    # All molecules have one z: this is a plane, and there is no warning. (pytest turns a warning into an error.)
    flat = _csv(tmp_path / "b.csv", header, [(1000.0, 2000.0, 50.0, 10.0), (3000.0, 1500.0, 50.0, 20.0)])
    assert read_table(flat).depth is None
    read_image(flat)
