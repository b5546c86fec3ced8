"""Localization tables and their rendering."""

import re

import numpy as np
import pytest

from napari_smdiffusion import TableSlab, TrainJob, read_image, write_image
from napari_smdiffusion.base.errors import InputError, InputWarning
from napari_smdiffusion.images.localizations import Localizations, read_table
from napari_smdiffusion.images.rendering import fitting_pixel_size, most_pixels, render
from napari_smdiffusion.recipes.job import read_sources

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


def test_a_slab_is_chosen_by_z(tmp_path):
    rows = [(1000.0, 2000.0, -300.0, 10.0), (3000.0, 1500.0, 200.0, 20.0), (3200.0, 1500.0, "nan", 20.0)]
    deep = _csv(tmp_path / "a.csv", '"x [nm]","y [nm]","z [nm]","uncertainty [nm]"', rows)
    image = read_image(deep, 10, z_range=(0, None))  # no warning: the choice was made
    assert image.pixels.sum() == pytest.approx(1, rel=0.01)
    assert image.origin == (1500 - 20, 3000 - 20)
    job = TrainJob(TableSlab(deep, z_max=0), pixel_size=10)
    (image,) = read_sources(job.images, job.pixel_size)
    assert (image.pixel_size, image.origin) == (10, (2000 - 20, 1000 - 20))
    with pytest.raises(InputError, match=r"a\.csv holds no localization with z of at least 300 nm: choose a"):
        read_image(deep, z_range=(300, None))
    with pytest.raises(InputError, match="must begin below its end"):
        TableSlab(deep, 5, -5)
    with pytest.raises(InputError, match="has no z"):
        read_image(_csv(tmp_path / "b.csv", "xnm,ynm,locprecnm"), z_range=(0, 1))
    write_image(tmp_path / "c.tif", image)
    with pytest.raises(InputError, match="is no localization table: leave out the range of z"):
        read_image(tmp_path / "c.tif", z_range=(0, 1))


def test_a_range_of_z_is_checked_and_named(tmp_path):
    deep = _csv(tmp_path / "a.csv", "xnm,ynm,znm,locprecnm", [(1, 2, -300, 10), (3, 4, 200, 10)])
    table = read_table(deep)
    assert table.slab((None, None)) is table
    with pytest.raises(InputError, match="no localization with z from 10 to 20 nm: choose a range within -300 to 200"):
        table.slab((10, 20))
    with pytest.raises(InputError, match="must have finite bounds in nm, not inf"):
        TableSlab(deep, 0, float("inf"))
    assert TableSlab(str(deep), 0).name == str(deep)
    with pytest.raises(InputError, match="is not a regular file: give a file with a table"):
        read_table(tmp_path)


def test_a_table_in_pixels_takes_their_size_from_the_yaml_file_beside_it(tmp_path):
    table = _csv(tmp_path / "a.csv", "x [px],y [px]", [(10, 20)])
    (tmp_path / "a.yaml").write_text("Pixelsize: 130\n")
    assert read_table(table).x == 1300


def test_a_layer_of_a_table_has_pixels_that_its_image_fits_in(monkeypatch):
    def size(side):
        positions = np.array([0.0, side])
        return fitting_pixel_size(Localizations(positions, positions, np.full(2, 10.0)), 20.0)

    assert size(1e4) == 20.0
    assert size(1e9) > 1e4
    assert size(0.0) == 20.0
    monkeypatch.setenv("SMDIFFUSION_MAX_RENDERED_PIXELS", "1")
    assert size(1e4) == float("inf")


def test_the_size_of_a_rendered_image_is_bounded_by_its_molecules(monkeypatch):
    def table(count, side):
        positions = np.linspace(0, side, count)
        return Localizations(positions, positions, np.full(count, 10.0))

    with pytest.raises(InputError, match=r"fills 1000 × 1000 µm.* of 2 localizations has 2.5e\+09 pixels"):
        render(table(2, 1e6), 20)
    assert most_pixels(10**9) == most_pixels(10**10) > most_pixels(1000) > most_pixels(2)
    monkeypatch.setenv("SMDIFFUSION_MAX_RENDERED_PIXELS", "1e5")
    with pytest.raises(InputError, match="Choose pixels of at least") as error:
        render(table(2, 1e6), 20)
    size = float(re.search("at least ([0-9.]+) nm", str(error.value))[1])
    assert render(table(2, 1e6), size).size < 1e5 < 1.2 * (1e6 / size + 5) ** 2
    one_outlier = table(200, 1000)
    one_outlier.x[-1], one_outlier.y[-1] = 1e9, 1e9
    with pytest.raises(InputError, match="remove the few localizations that lie far from all others"):
        render(one_outlier, 20)
    monkeypatch.setenv("SMDIFFUSION_MAX_RENDERED_PIXELS", "1000")
    with pytest.raises(InputError, match=r"more than 1e\+03\. Choose pixels"):
        render(table(2, 1000), 20)
    monkeypatch.setenv("SMDIFFUSION_MAX_RENDERED_PIXELS", "many")
    with pytest.raises(InputError, match="must be a positive number of pixels, not 'many'"):
        render(table(2, 1000), 20)
