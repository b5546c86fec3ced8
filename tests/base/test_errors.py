"""The class of an error decides whether a person sees one sentence or a traceback."""

import types

import pytest

from napari_smdiffusion.base.errors import InputError, Stopped, UserError, is_for_people
from napari_smdiffusion.cli import entry as commands
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.diffusion.imported import CheckpointError
from napari_smdiffusion.store.folder import ModelFolderError
from napari_smdiffusion.structures import simulate as structures
from napari_smdiffusion.training.loop import TrainingDivergedError

SIMULATE = ["simulate", "microtubules", "--size", "64", "--out"]


def _failing(error_class):
    """Return a function of the package that raises, with a message that looks like a sentence."""

    def fail(*_args, **_options):
        raise error_class("The array is odd.")

    # Its frame belongs to the package, as that of a real defect does.
    return types.FunctionType(fail.__code__, vars(structures), closure=fail.__closure__)


def test_the_class_decides():
    for error_class in (InputError, ModelFolderError, CheckpointError, TrainingDivergedError, UserError, Stopped):
        assert is_for_people(error_class("no full stop"))
    assert is_for_people(OSError(2, "No such file"))
    assert is_for_people(MemoryError())
    for error_class in (ValueError, TypeError, KeyError, ArithmeticError, RuntimeError):
        assert not is_for_people(error_class("The array is odd."))


def test_callers_that_catch_builtin_errors_still_catch_ours():
    assert all(issubclass(one, ValueError) for one in (InputError, ModelFolderError, CheckpointError))
    assert issubclass(TrainingDivergedError, ArithmeticError)
    assert not issubclass(Stopped, (OSError, UserError))


def test_bad_input_gets_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch):
    assert main(["compare", str(tmp_path / "none.tif"), "--generated", str(tmp_path / "none.tif"), "--out", "c"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setattr(structures, "simulate", _failing(InputError))
    assert main([*SIMULATE, str(tmp_path / "a.tif")]) == 2
    assert capsys.readouterr().err == "smdiffusion simulate: The array is odd.\n"


def test_a_defect_keeps_its_traceback_whatever_its_message(tmp_path, monkeypatch):
    monkeypatch.setattr(structures, "simulate", _failing(ValueError))
    with pytest.raises(ValueError, match=r"The array is odd\."):
        main([*SIMULATE, str(tmp_path / "a.tif")])


def test_a_stop_ends_with_exit_code_130(monkeypatch, capsys):
    monkeypatch.setitem(commands.COMMANDS, "models", _failing(Stopped))
    assert main(["models"]) == 130
    assert capsys.readouterr().err == "smdiffusion models: The array is odd.\n"


def test_what_is_not_used_of_the_input_is_a_line_on_standard_error(tmp_path, capsys):
    (tmp_path / "deep.csv").write_text("xnm,ynm,znm\n0,0,-9\n2000,2000,9\n")
    # Both images are read before the second sentence, which ends the command.
    assert main(["compare", str(tmp_path / "deep.csv"), "--generated", str(tmp_path / "none.tif"), "--out", "c"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("deep.csv is 3-D (z from -9 to 9 nm): its image is a projection along z.")
    assert lines[0].startswith("smdiffusion compare: ")
    assert "There is no file" in lines[1]
    assert len(lines) == 2
