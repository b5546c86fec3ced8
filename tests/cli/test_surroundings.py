"""Commands at the edges of the system: encodings, home folders, permissions, full disks, locks and signals."""

import json
import os
import signal
import sys

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import read_image, simulate, write_image
from napari_smdiffusion.base import whole_files
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.cli import main
from napari_smdiffusion.images.image import all_finite
from napari_smdiffusion.measure.error_map import _binned, averaged
from napari_smdiffusion.recipes.job import read_sources
from napari_smdiffusion.store.folder import training_lock

TINY = ["--steps", "3", "--patch", "64", "--batch", "2", "--channels", "16", "32"]
_ROOT = getattr(os, "geteuid", lambda: 0)() == 0


def _run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture
def storm_file(tmp_path, storm):
    write_image(tmp_path / "storm.tif", storm)
    return tmp_path / "storm.tif"


def test_the_home_folder_is_expanded_in_flags_and_in_python(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    assert _run("simulate", "microtubules", "--size", 64, "--out=~/x.tif") == 0
    write_image("~/y.tif", read_image("~/x.tif"))
    assert sorted(path.name for path in (tmp_path / "me").iterdir()) == ["x.tif", "y.tif"]
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(
    ("number", "command", "settings"),
    [
        (signal.SIGINT, "train", ["--minutes", 20, *TINY[2:]]),
        (signal.SIGTERM, "train-enhancer", ["--upscale", 4, "--steps", 50, "--batch", 1, "--channels", 8]),
        (
            getattr(signal, "SIGHUP", signal.SIGTERM),
            "train-enhancer",
            ["--upscale", 4, "--steps", 50, "--batch", 1, "--channels", 8],
        ),
    ],
)
def test_a_command_that_is_interrupted_or_terminated_keeps_its_model(
    storm_file, tmp_path, monkeypatch, number, command, settings
):
    from napari_smdiffusion.base import terminal

    show = terminal.Reporter.__call__

    def show_and_terminate(self, event):
        show(self, event)
        if getattr(event, "step", 0) == 1:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(terminal.Reporter, "__call__", show_and_terminate)
    before = signal.getsignal(number)
    assert _run(command, storm_file, "--out", tmp_path / "e", *settings) == 0
    assert (tmp_path / "e" / "training_state.pt").exists()
    assert json.loads((tmp_path / "e" / "model.json").read_text())["steps"] >= 1
    assert signal.getsignal(number) == before


def test_without_room_no_training_begins(storm_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(whole_files.shutil, "disk_usage", lambda _: type("", (), {"free": 10_000}))
    assert _run("train", storm_file, "--out", tmp_path / "m", *TINY) == 2
    error = capsys.readouterr().err
    assert "m needs" in error
    assert "free some space" in error
    assert "training:" not in error
    assert not (tmp_path / "m").exists()


def test_import_and_export_wait_for_no_other_run(tmp_path, tiny_enhancer, capsys):
    pytest.importorskip("bioimageio.spec")
    tiny_enhancer.save(tmp_path / "e")
    with training_lock(tmp_path / "m"), training_lock(tmp_path / "x.zip"):
        assert _run("import", tmp_path / "none.pt", "--out", tmp_path / "m") == 2
        assert "Another training is saving its model" in capsys.readouterr().err
        assert _run("export", tmp_path / "e", "--out", tmp_path / "x.zip") == 2
        assert "Another run is writing" in capsys.readouterr().err


def test_a_link_to_nothing_costs_only_itself(tmp_path, storm):
    write_image(tmp_path / "many" / "a.tif", storm)
    try:
        (tmp_path / "many" / "b.tif").symlink_to(tmp_path / "gone.tif")
    except OSError:
        pytest.skip("no links here")
    with pytest.warns(UserWarning, match=r"b\.tif is a link to a file that is not there: it is left out"):
        assert len(read_sources([tmp_path / "many"])) == 1


def test_a_file_that_is_removed_meanwhile_costs_only_itself(tmp_path, storm, monkeypatch):
    for name in "ab":
        write_image(tmp_path / "many" / f"{name}.tif", storm)
    from napari_smdiffusion.recipes import job

    read = job.read_image

    def read_and_remove(path, *arguments, **keywords):
        (tmp_path / "many" / "b.tif").unlink(missing_ok=True)
        return read(path, *arguments, **keywords)

    monkeypatch.setattr(job, "read_image", read_and_remove)
    with pytest.warns(UserWarning, match=r"b\.tif was removed meanwhile"):
        assert len(read_sources([tmp_path / "many"])) == 1
    with pytest.raises(FileNotFoundError):
        read_sources([tmp_path / "many" / "b.tif"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
def test_a_model_in_a_folder_whose_name_is_no_utf_8_is_used(storm_file, tmp_path):
    model = os.fsdecode(os.fsencode(tmp_path) + b"/mod\xe9")
    assert _run("train", storm_file, "--out", model, *TINY) == 0
    assert _run("generate", model, "--out", tmp_path / "g.tif", "--count", 1, "--size", 64, "--steps", 2) == 0


@pytest.mark.skipif(_ROOT, reason="root may read everything")
def test_a_folder_of_models_that_may_not_be_read_leaves_the_bundled_ones(capsys):
    user_folder().mkdir(parents=True)
    user_folder().chmod(0)
    try:
        assert _run("models") == 0
        assert "you have no permission" in capsys.readouterr().out
    finally:
        user_folder().chmod(0o700)


def test_a_user_folder_that_cannot_be_used_leaves_the_bundled_models(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "models", tmp_path / ("x" * 300)):
        monkeypatch.setenv("SMDIFFUSION_HOME", str(place))
        assert _run("models") == 0
        assert "microtubules" in capsys.readouterr().out
        assert _run("models", "microtubules") == 0


@pytest.mark.parametrize("name", ["report.json", "comparison.png"])
def test_compare_replaces_no_file_of_a_person(storm_file, tmp_path, capsys, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text('["precious"]')
    assert _run("compare", storm_file, "--generated", storm_file, "--out", tmp_path / "mine") == 2
    assert f"{name} exists" in capsys.readouterr().err
    assert (tmp_path / "mine" / name).read_text() == '["precious"]'


def test_large_planes_are_looked_at_by_strips():
    random = np.random.default_rng(0)
    plane = random.random((1300, 37)).astype(np.float32)
    assert np.array_equal(_binned(plane, 5), averaged(plane, 5))
    stack = np.zeros((2, 700, 20), np.float32)
    assert all_finite(stack)
    stack[1, 699, 3] = np.nan
    assert not all_finite(stack)


def test_the_digest_of_an_image_is_that_of_all_its_pixels(tmp_path):
    import hashlib

    image = simulate("microtubules", size=600)
    assert image.digest == hashlib.sha256(image.pixels.tobytes()).hexdigest()
    tifffile.imwrite(tmp_path / "a.tif", image.pixels.astype(">f4"))
    assert read_image(tmp_path / "a.tif").digest == image.digest
