"""Files of ZEN, LAS X and NIS-Elements: channels, depths, times, pixel sizes and scenes, and what is refused."""

import importlib
import sys
import warnings

import numpy as np
import pytest

from images import microscope_makers
from images.microscope_makers import WRITERS, plane, write_czi, write_lif, write_nd2
from napari_smdiffusion import InputError, read_image, read_images, write_image
from napari_smdiffusion.base.errors import InputWarning
from napari_smdiffusion.cli import main
from napari_smdiffusion.images.axes import Axis
from napari_smdiffusion.images.image import AnisotropicPixelsError, Image, _is_mapped
from napari_smdiffusion.images.reading import read_metadata
from napari_smdiffusion.recipes.enhance_sources import expanded, other_files

pytest.importorskip("liffile", reason="it needs Python 3.11")
PACKAGES = {".czi": "pylibCZIrw", ".lif": "liffile", ".nd2": "nd2"}


@pytest.fixture(params=WRITERS)
def made(request, tmp_path):
    """Return a function that writes a file of each format."""
    return lambda **options: WRITERS[request.param](tmp_path / f"cell{request.param}", **options)


def test_times_depths_and_channels_have_their_places(made):
    path = made(times=3, depths=2, channels=2)
    for channel, index in (("actin", 1), (0, 0)):
        image = read_image(path, channel=channel)
        planes = [plane(t=t, z=z, channel=index) for t in range(3) for z in range(2)]
        np.testing.assert_array_equal(image.pixels, planes)
        assert [(axis.name, axis.length) for axis in image.axes] == [("T", 3), ("Z", 2)]
        assert image.axes[1].step == pytest.approx(300)
        assert image.pixel_size == pytest.approx(100)
        assert image.provenance.channel == ("1 (actin)" if index else "0 (tubulin)")
    facts = read_metadata(path)
    assert facts.channels == ("tubulin", "actin")
    assert facts.pixel_size == pytest.approx(100)


def test_a_single_plane_has_no_axes(made):
    image = read_image(made())
    np.testing.assert_array_equal(image.pixels, [plane()])
    assert image.axes == ()
    assert image.provenance.channel is None


@pytest.mark.parametrize("write", [write_lif, write_nd2])
def test_times_have_a_step_in_seconds(tmp_path, write):
    path = write(tmp_path / f"a.{write.__name__[-3:]}", times=3)
    assert read_image(path).axes == (Axis("T", 3, 2.5),)


def test_channels_are_never_planes_of_one_kind(made):
    path = made(channels=2)
    with pytest.raises(InputError, match=r"has 2 channels: 0 \(tubulin\) and 1 \(actin\). Choose one by channel="):
        read_image(path)
    for absent in (2, "dapi", "all"):
        with pytest.raises(InputError, match=f"has no single channel {absent}, but 2 channels"):
            read_image(path, channel=absent)
    path.unlink()
    made()
    with pytest.warns(InputWarning, match="has a single channel, which is read instead of channel 3"):
        read_image(path, channel=3)


def test_a_scene_is_chosen_by_its_number_or_name(made):
    path = made(scenes=3, depths=2)
    for scene in range(3):
        np.testing.assert_array_equal(read_image(path, scene=scene).pixels, [plane(scene=scene, z=z) for z in (0, 1)])
    with pytest.raises(InputError, match=r"holds 3 scenes: 0.*, 1.*, 2.*Commands read files of one scene. Save one"):
        read_image(path)
    with pytest.raises(InputError, match="has no single scene 3, but 3 scenes"):
        read_image(path, scene=3)
    names = {".czi": None, ".lif": "Series002", ".nd2": "A1"}
    if name := names[path.suffix]:
        np.testing.assert_array_equal(read_image(path, scene=name).pixels[0], plane(scene=1))


def test_the_remedy_for_scenes_works(made, tmp_path, monkeypatch, capsys):
    path = made(scenes=2)
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(path), "--out", str(tmp_path / "m"), "--steps", "1"]) == 2
    remedy = capsys.readouterr().err.split("Save one in Python by ")[1].split(", or open")[0]
    assert "scene=0" in remedy
    eval(remedy, {"write_image": write_image, "read_image": read_image})
    np.testing.assert_array_equal(read_image(tmp_path / "scene.tif").pixels, [plane()])


def test_other_files_have_no_scenes(tmp_path):
    write_image(tmp_path / "a.tif", Image(plane()))
    with pytest.raises(InputError, match=r"a\.tif is no file of scenes: leave out the scene"):
        read_image(tmp_path / "a.tif", scene=0)


def test_a_folder_of_all_formats_is_read(tmp_path):
    for suffix, write in WRITERS.items():
        write(tmp_path / f"a{suffix}")
    images = read_images([tmp_path])
    assert [image.name[-4:] for image in images] == [".czi", ".lif", ".nd2"]


@pytest.mark.parametrize("write", [write_czi, write_lif])
def test_pixels_that_are_not_square_are_named(tmp_path, write):
    path = write(tmp_path / f"a.{write.__name__[-3:]}", sides=(2e-7, 1e-7))
    with pytest.raises(AnisotropicPixelsError, match="has pixels of 200 by 100 nm"):
        read_image(path)
    assert read_image(path, pixel_size=100).pixel_size == 100
    assert read_metadata(path).sides == pytest.approx((200, 100))


def test_a_pixel_size_of_no_microscope_is_not_used(made):
    with pytest.warns(InputWarning, match="states a pixel size that no microscope has: it is not used"):
        assert read_image(made(side=1e-3)).pixel_size is None


def test_an_unknown_pixel_size_stays_unknown(tmp_path):
    assert read_image(write_nd2(tmp_path / "a.nd2", side=0)).pixel_size is None


def test_a_description_that_is_not_understood_costs_no_pixels(tmp_path):
    with pytest.warns(InputWarning, match="has a description of its channels that is not understood"):
        image = read_image(write_nd2(tmp_path / "a.nd2", dyes=False))
    np.testing.assert_array_equal(image.pixels, [plane()])


def test_planes_that_were_not_recorded_are_noted(tmp_path):
    czi = write_czi(tmp_path / "a.czi", times=3, left_out=[(1, 0, 0)])
    nd2 = write_nd2(tmp_path / "a.nd2", times=3, left_out=[1])
    for path in (czi, nd2):
        with pytest.warns(InputWarning, match="has 1 of 3 planes that are 0 everywhere"):
            assert len(read_image(path)) == 3


def test_a_color_image_is_refused(tmp_path):
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        file.write(np.zeros((24, 20, 3), np.uint8), plane={"C": 0})
    write_nd2(tmp_path / "a.nd2", channels=3, color=True)
    for name in ("a.czi", "a.nd2"):
        with pytest.raises(InputError, match=r"is a color .RGB. image: convert it to grayscale first"):
            read_image(tmp_path / name)


def test_tiles_of_a_scene_are_stitched(tmp_path):
    from pylibCZIrw import czi

    whole = plane((48, 40))
    with czi.create_czi(str(tmp_path / "a.czi"), compression_options="zstd1:ExplicitLevel=3") as file:
        for y in (0, 24):
            for x in (0, 20):
                file.write(whole[y : y + 24, x : x + 20].copy(), location=(x - 100, y + 7))
    np.testing.assert_array_equal(read_image(tmp_path / "a.czi").pixels, [whole])


def test_small_files_that_state_gigabytes_are_refused(tmp_path):
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "far.czi")) as file:
        for place in ((0, 0), (10**6, 10**6)):
            file.write(plane(), location=place)
    with czi.create_czi(str(tmp_path / "long.czi")) as file:
        for t in (0, 10**9):
            file.write(plane(), plane={"T": t})
    write_lif(tmp_path / "wide.lif", stated={"X": 10**6, "Y": 10**6})
    write_lif(tmp_path / "long.lif", stated={"T": 10**9})
    write_nd2(tmp_path / "long.nd2", stated={"times": 10**9})
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(InputError, match=r"GB of memory, more than|far more than it holds"):
            read_image(path)
        assert path.stat().st_size < 50_000


def test_damaged_files_are_refused(made):
    path = made(times=2)
    whole = path.read_bytes()
    for length in (0, 5, len(whole) // 4, len(whole) // 2, len(whole) - 45):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cell\.\w+ (cannot be read as a file of a microscope|is empty|holds no)"):
            read_image(path)
    path.write_bytes(b"no such file")
    with pytest.raises(InputError, match="cannot be read as a file of a microscope"):
        read_image(path)


def test_changed_bytes_are_an_error_for_users_at_most(made):
    path = made(times=2, channels=2)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    stated = [place for place, byte in enumerate(whole) if byte]  # most bytes of these formats are 0
    refused = []
    for _ in range(40):
        content = bytearray(whole)
        for place in rng.choice(stated, rng.integers(1, 6)):
            content[place] = rng.choice([0, 1, 127, 255])
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            try:
                read_image(path, channel=0)
            except InputError as error:
                refused.append(str(error))
    assert refused
    assert all(path.name in message for message in refused)


def test_a_missing_package_is_named(made, monkeypatch):
    path = made()
    package = PACKAGES[path.suffix]
    real = importlib.import_module
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Missing(package), *sys.meta_path])
    with pytest.raises(InputError, match=rf"needs the package {package}: install it with  pip install 'napari-smd"):
        read_image(path)
    assert real is importlib.import_module


class _Missing:
    """A finder that finds that a package is not installed."""

    def __init__(self, package):
        self._package = package

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == self._package:
            raise ModuleNotFoundError(name)


def test_the_memory_stays_flat(made, monkeypatch):
    """Planes are read one by one into a temporary file."""
    from napari_smdiffusion.base import scratch

    monkeypatch.setattr(scratch, "_IN_MEMORY", 100)
    image = read_image(made(times=3))
    assert _is_mapped(image.pixels)
    np.testing.assert_array_equal(image.pixels, [plane(t=t) for t in range(3)])


def test_a_command_reads_a_channel(made, tmp_path, monkeypatch):
    monkeypatch.setattr(microscope_makers, "SIZE", (48, 40))
    path = made(channels=2)
    flags = ["--channel", "actin", "--steps", "1", "--patch", "32", "--batch", "1", "--channels", "16", "32"]
    assert main(["train", str(path), "--out", str(tmp_path / "m"), "--start", "none", *flags]) == 0
    assert (tmp_path / "m" / "model.json").exists()


def test_a_folder_is_enhanced_with_them(tmp_path):
    for suffix, write in WRITERS.items():
        write(tmp_path / f"cell{suffix}")
    (tmp_path / "locs.csv").write_text("x,y\n1,2\n")
    assert [path.suffix for path in expanded([tmp_path])] == [".czi", ".lif", ".nd2"]
    assert [path.suffix for path in other_files([tmp_path])] == [".csv"]
