"""Localization tables in HDF5 files, the yaml files beside them, and NumPy files."""

import sys

import h5py
import numpy as np
import pytest

from napari_smdiffusion.base.errors import InputError
from napari_smdiffusion.images.localizations import is_table, read_table

XY = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("lpx", "f4")])


def locs(count=5):
    table = np.zeros(count, XY)
    table["x"], table["y"], table["z"], table["lpx"] = np.arange(count) + 1, 20, 150, 0.1
    return table


@pytest.fixture
def picasso(tmp_path):
    """Return a function that writes a file of Picasso with a yaml file, and returns its path."""

    def write(yaml="Pixelsize: 130\n", make=None):
        path = tmp_path / "a.hdf5"
        with h5py.File(path, "w") as file:
            if make is None:
                file["locs"] = locs()
            else:
                make(file)
        path.with_suffix(".yaml").write_bytes(yaml if isinstance(yaml, bytes) else yaml.encode())
        return path

    return write


@pytest.mark.parametrize(
    "yaml",
    [
        "Pixelsize: '130'\n",
        "{Frames: 10, Pixelsize: 130}  # of the camera\n",
        '"Pixelsize": 1.3e2\n',
        "Camera.Pixelsize: 160\n---\nPixelsize: 130\n---\nPixelsize: 130.0\n",
        "Pixelsize: 130\n".encode("utf-16"),
    ],
)
def test_the_pixel_size_is_read_in_any_form_of_yaml(picasso, yaml):
    table = read_table(picasso(yaml))
    np.testing.assert_allclose(
        (table.x[1], table.y[1], table.z[1], table.precision[1]), (260, 2600, 150, 13), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("Pixelsize: 0\n", "camera pixel of 0 nm"),
        ("Pixelsize: -130\n", "camera pixel of -130 nm"),
        ("Pixelsize: 0.13\n", "camera pixel of 0.13 nm"),
        ("Pixelsize: 1.0e+9\n", r"camera pixel of 1e\+09 nm"),
        ("Pixelsize: 1" + 400 * "0", "does not state 'Pixelsize' as a number"),
        ("Pixelsize: 130\n---\nPixelsize: 100\n", "camera pixels of 100 and 130 nm"),
        ("Pixelsize: 2001-99-99\n", "is not a yaml file"),
        (1000 * "[", "is not a yaml file"),
        ("µ\nPixelsize: 130\n".encode("latin-1"), "is not a yaml file"),
        (b"\x1b[31m: [\n", "is not a yaml file"),
        (b"#" * 2**19, "more than 256 kB"),
    ],
)
def test_impossible_pixel_sizes_and_damaged_yaml_files_are_refused(picasso, yaml, message):
    with pytest.raises(InputError, match=message) as error:
        read_table(picasso(yaml))
    assert str(error.value).isprintable()


def test_decode_and_smap_files_are_read(picasso):
    def decode(file):
        file["data/xyz"] = np.array([[1.0, 2.0, 30.0], [4.0, 5.0, 60.0]])
        file["data/xyz_sig"] = np.full((2, 3), 0.1)
        file.create_group("meta").attrs.update({"xy_unit": "px", "px_size": (100.0, 100.0)})

    def smap(file):
        for name, values in {"xnm": (100, 400), "ynm": (200, 500), "znm": (30, 60), "locprecnm": (10, 10)}.items():
            file[f"saveloc/loc/{name}"] = np.array([values], float)

    for make in (decode, smap):
        path = picasso("", make)
        table = read_table(path)
        assert is_table(path)
        np.testing.assert_allclose(
            (table.x, table.y, table.z, table.precision), [(100, 400), (200, 500), (30, 60), (10, 10)]
        )


def _decode(file, xyz, sigma=None, **stated):
    file["data/xyz"] = xyz
    if sigma is not None:
        file["data/xyz_sig"] = sigma
    file.create_group("meta").attrs.update({"xy_unit": "px", "px_size": (100.0, 100.0), **stated})


def _smap(file, **columns):
    for name, values in columns.items():
        file[f"saveloc/loc/{name}"] = np.array(values, float)


def test_precisions_of_other_molecules_are_left_out(picasso):
    table = read_table(picasso("", lambda file: _decode(file, np.ones((2, 3)), np.full((3, 3), 5.0))))
    np.testing.assert_allclose((table.x, table.z), [(100, 100), (1, 1)])
    assert np.isnan(table.precision).all()


def test_hdf5_files_need_h5py(picasso, monkeypatch):
    path = picasso()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"Reading .*a\.hdf5 needs h5py: pip install h5py\.$"):
        read_table(path)


def _elsewhere(file):
    with h5py.File(f"{file.filename}.other", "w") as other:
        other["locs"] = locs()
    return f"{file.filename}.other"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: file.create_dataset("locs", (10**8,), XY, chunks=(1000,)), "declares 100000000 values and holds"),
        (lambda file: file.create_dataset("locs", (10**8,), XY, chunks=(100,)).__setitem__(0, locs(1)[0]), "1.6 GB"),
        (lambda file: file.__setitem__("locs", h5py.ExternalLink(_elsewhere(file), "/locs")), "needs a table 'locs'"),
        (lambda file: file.__setitem__("locs", h5py.SoftLink("/locs")), "needs a table 'locs'"),
        (
            lambda file: file.create_dataset("locs", (5,), XY, external=[(_elsewhere(file), 0, 80)]),
            "takes its values from another file",
        ),
        (lambda file: file.create_dataset("locs", data=5.0), "needs a table 'locs'"),
        (lambda file: file.create_dataset("locs", data=h5py.Empty(XY)), "holds no table"),
        (lambda file: file.create_dataset("locs", data=locs(6).reshape(2, 3)), r"table of shape \(2, 3\)"),
        (
            lambda file: file.create_dataset("locs", data=np.zeros(2, [("x", "S3"), ("y", "f4")])),
            "other than numbers in",
        ),
        (lambda file: file.create_dataset("locs", data=np.zeros(2, [("x", "2f4"), ("y", "f4")])), "other than numbers"),
        (lambda file: file.create_dataset("locs", data=locs(0)), "holds no localization"),
        (lambda file: _smap(file, xnm=[[1, 2]], ynm=[[1, 2, 3]]), "has columns of different lengths"),
        (
            lambda file: _smap(file, xnm=[[1, 2], [3, 4]], ynm=[[1, 2]]),
            r"holds a column of shape \(2, 2\), not of rows",
        ),
        (lambda file: _decode(file, np.ones((2, 3)), px_size=100.0), "in pixels, and states no pixel size 'px_size'"),
        (lambda file: _decode(file, np.ones((2, 2))), r"holds positions of shape \(2, 2\), not \(n, 3\)"),
    ],
)
def test_hdf5_files_that_hold_no_values_of_their_own_are_refused(picasso, make, message):
    with pytest.raises(InputError, match=message):
        read_table(picasso(make=make))


def test_a_damaged_hdf5_file_is_refused(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert not is_table(tmp_path / "a.h5")
    with pytest.raises(InputError, match="is not a Picasso localization file"):
        read_table(tmp_path / "a.h5")


_MINFLUX = np.dtype([("itr", "i4"), ("loc", "f8", (3,)), ("vld", "?"), ("fnl", "?")])
_MINFLUX_NESTED = np.dtype([("itr", [("loc", "f8", (3,)), ("itr", "i4")], (4,)), ("vld", "?"), ("tid", "i4")])


def test_minflux_localizations_are_the_valid_final_ones(tmp_path):
    flat, nested = np.zeros(4, _MINFLUX), np.zeros((1, 3), _MINFLUX_NESTED)
    flat["loc"] = np.arange(12).reshape(4, 3) * 1e-9
    flat["vld"], flat["fnl"] = (True, True, False, True), (True, False, True, True)
    nested["itr"]["loc"][0, :, -1] = np.arange(9).reshape(3, 3) * 1e-9
    nested["itr"]["loc"][0, :, 0] = 1
    nested["vld"] = (True, False, True)
    for array, expected in ((flat, (0, 9)), (nested, (0, 6))):
        np.save(tmp_path / "a.npy", array)
        table = read_table(tmp_path / "a.npy")
        assert is_table(tmp_path / "a.npy")
        np.testing.assert_allclose(table.x, expected, atol=1e-6)
        np.testing.assert_allclose(table.z, np.add(expected, 2), atol=1e-6)


def test_numpy_files_are_tables_if_they_name_the_positions(tmp_path):
    np.save(tmp_path / "a.npy", np.array([(1.0, 2.0)], [("x [um]", "f8"), ("y [nm]", "f8")]))
    assert read_table(tmp_path / "a.npy").x == 1000
    np.save(tmp_path / "b.npy", np.zeros((32, 32)))
    np.save(tmp_path / "c.npy", np.array([("a", 2.0)], [("x [um]", "U3"), ("y [nm]", "f8")]))
    np.save(tmp_path / "d.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "e.npy", np.array([(1.0, 2.0)], [("x [px]", "f8"), ("y [px]", "f8")]))
    for name, message in (
        ("b", "without named positions"),
        ("c", "other than numbers"),
        ("d", "is no NumPy array"),
        ("e", "has positions in camera pixels: export them in nm"),
    ):
        with pytest.raises(InputError, match=message):
            read_table(tmp_path / f"{name}.npy")
    assert [is_table(tmp_path / f"{name}.npy") for name in "ab"] == [True, False]
