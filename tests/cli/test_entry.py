"""The ways into the command, its flags, and how it ends: interrupted, stopped, or with a warning of a library."""

import runpy
import signal
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from napari_smdiffusion import Image, write_image
from napari_smdiffusion.cli import demo, entry, main
from napari_smdiffusion.recipes.enhance_results import EnhanceResult
from napari_smdiffusion.report.report import Report


@pytest.mark.parametrize("module", ["napari_smdiffusion", "napari_smdiffusion.cli"])
def test_the_package_runs_as_a_module(module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [module, "--version"])
    with pytest.raises(SystemExit) as error:
        runpy.run_module(module, run_name="__main__")
    assert error.value.code == 0
    assert capsys.readouterr().out.startswith("smdiffusion ")


def test_ctrl_c_while_modules_load_is_quiet_and_a_job_gets_its_handler_back():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit):
            main(["--version"])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def _raise(error):
    raise error


def _library_loaded_by_halves():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise ImportError("cannot import name 'x'") from error


@pytest.mark.parametrize("work", [lambda: _raise(KeyboardInterrupt()), _library_loaded_by_halves])
def test_an_interrupted_command_ends_quietly_with_130(work, monkeypatch, capsys):
    monkeypatch.setitem(entry.COMMANDS, "models", lambda options: work())
    assert main(["models"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_defect_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(entry.COMMANDS, "models", lambda options: _raise(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["models"])


def test_warnings_of_libraries_are_shown_as_python_shows_them(monkeypatch):
    monkeypatch.setitem(entry.COMMANDS, "models", lambda options: warnings.warn("of a library", stacklevel=1))
    with pytest.warns(UserWarning, match="of a library"):
        assert main(["models"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "a.tif", "--out", "m", "--region", "1,2,x,4"], "'1,2,x,4' is no region: write four whole numbers"),
        (["train", "a.tif", "--out", "m", "--region", "1,2"], "'1,2' is no region: write four whole numbers"),
        (
            ["train-enhancer", "--out", "m", "--simulated", "microtubules:much"],
            "the weight in 'microtubules:much' is not a number: write microtubules:0.5, for example",
        ),
    ],
)
def test_flags_that_cannot_be_read_are_explained(arguments, message, capsys):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def _result(**changes):
    return EnhanceResult(**{"enhancer": None, "count": 3, "images": (), "failures": (), "stopped": False, **changes})


def test_a_stopped_enhancement_names_what_is_done_and_how_to_go_on(monkeypatch, capsys):
    results = [_result(stopped=True), _result(failures=(SimpleNamespace(error=ZeroDivisionError()),))]
    monkeypatch.setattr("napari_smdiffusion.recipes.job.run_job", lambda job: results.pop(0))
    arguments = ["enhance", "microtubules", "w.tif", "--out", "x.tif"]
    assert main(arguments) == 130
    assert "Stopped: 0 of 3 images are enhanced. To go on, run the same command again with --resume" in (
        capsys.readouterr().err
    )
    with pytest.raises(ZeroDivisionError):  # a defect is no failure of an image
        main(arguments)


def test_the_demo_opens_its_results_in_napari(tmp_path, monkeypatch, capsys):
    napari = pytest.importorskip("napari")
    shown = []
    viewer = SimpleNamespace(add_image=lambda pixels, **options: shown.append((options["name"], pixels.shape)))
    monkeypatch.setattr(napari, "Viewer", lambda: viewer, raising=False)
    monkeypatch.setattr(napari, "run", lambda: shown.append("run"), raising=False)
    monkeypatch.setattr("napari_smdiffusion.recipes.job.run_job", lambda job: Report())
    for name in ("generated", "enhanced"):
        write_image(tmp_path / f"{name}.tif", Image(np.ones((16, 18)), 20.0))
    assert main(["demo", "--out", str(tmp_path), "--napari"]) == 0
    assert [name for name, _ in shown[:2]] == ["generated (synthetic)", "enhanced (synthetic)"]
    assert shown[2] == "run"
    assert f"The picture is {tmp_path / 'overview.png'}" in capsys.readouterr().err
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    assert main(["demo", "--out", str(tmp_path), "--napari"]) == 2
    assert "--napari needs napari: pip install 'napari-smdiffusion[all]'" in capsys.readouterr().err


def test_scripts_with_a_viewer_find_their_functions():
    pytest.importorskip("napari")
    from napari_smdiffusion import napari as functions

    assert all(callable(getattr(functions, name)) for name in functions.__all__)
