"""The class of an error decides whether the user sees one sentence or a traceback."""

import types

import pytest

from napari_smdiffusion.base.errors import InputError, Stopped, UserError, is_user_error
from napari_smdiffusion.cli import entry as commands
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.diffusion.imported import CheckpointError
from napari_smdiffusion.store.folder import ModelFolderError
from napari_smdiffusion.structures import simulate as structures
from napari_smdiffusion.training.loop import TrainingDivergedError

SIMULATE = ["simulate", "microtubules", "--size", "64", "--out"]


def _failing(error_class):
    """Return a function of the package that raises an error with a full sentence as its message."""

    def fail(*_args, **_options):
        raise error_class("The array is odd.")

    # The frame of the function belongs to the package, as the frame of a real defect does.
    return types.FunctionType(fail.__code__, vars(structures), closure=fail.__closure__)


def test_the_class_of_an_error_decides():
    for error_class in (InputError, ModelFolderError, CheckpointError, TrainingDivergedError, UserError, Stopped):
        assert is_user_error(error_class("no full stop"))
    assert is_user_error(OSError(2, "No such file"))
    assert is_user_error(MemoryError())
    for error_class in (ValueError, TypeError, KeyError, ArithmeticError, RuntimeError):
        assert not is_user_error(error_class("The array is odd."))


def test_callers_can_catch_the_errors_as_builtin_errors():
    assert all(issubclass(error, ValueError) for error in (InputError, ModelFolderError, CheckpointError))
    assert issubclass(TrainingDivergedError, ArithmeticError)
    assert not issubclass(Stopped, (OSError, UserError))


def test_unsuitable_input_gives_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch):
    assert main(["compare", str(tmp_path / "none.tif"), "--generated", str(tmp_path / "none.tif"), "--out", "c"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setattr(structures, "simulate", _failing(InputError))
    assert main([*SIMULATE, str(tmp_path / "a.tif")]) == 2
    assert capsys.readouterr().err == "smdiffusion simulate: The array is odd.\n"


def test_a_defect_keeps_its_traceback_with_any_message(tmp_path, monkeypatch):
    monkeypatch.setattr(structures, "simulate", _failing(ValueError))
    with pytest.raises(ValueError, match=r"The array is odd\."):
        main([*SIMULATE, str(tmp_path / "a.tif")])


def test_a_stopped_command_has_exit_code_130(monkeypatch, capsys):
    monkeypatch.setitem(commands.COMMANDS, "models", _failing(Stopped))
    assert main(["models"]) == 130
    assert capsys.readouterr().err == "smdiffusion models: The array is odd.\n"


def test_unused_input_gives_a_line_on_standard_error(tmp_path, capsys):
    (tmp_path / "deep.csv").write_text("xnm,ynm,znm\n0,0,-9\n2000,2000,9\n")
    # The first image gives the warning; the second image is missing, which ends the command.
    assert main(["compare", str(tmp_path / "deep.csv"), "--generated", str(tmp_path / "none.tif"), "--out", "c"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("deep.csv is 3-D (z from -9 to 9 nm): its image is a projection along z.")
    assert lines[0].startswith("smdiffusion compare: ")
    assert "There is no file" in lines[1]
    assert len(lines) == 2
