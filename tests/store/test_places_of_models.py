"""Places where no model can be written, and failures of the system while a model folder is written, swapped or read."""

import errno
import json
import os
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.store import catalogue
from napari_smdiffusion.store.catalogue import damaged_models, find_model, list_models
from napari_smdiffusion.store.facts import ModelSummary, TrainingFacts
from napari_smdiffusion.store.folder import (
    STATE,
    ModelFolderError,
    check_place,
    model_errors,
    read_facts,
    read_training_state,
    save_folder,
    save_or_save_beside,
    training_lock,
    write_errors,
)
from napari_smdiffusion.store.managing import delete_model, rename_model
from napari_smdiffusion.store.model_card import card_rows


def _save(folder, seed=3):
    facts = TrainingFacts.from_json({"seed": seed})
    save_folder(folder, "diffusion", facts, lambda path: (path / "a.safetensors").write_bytes(b"1"))


def _seed(folder):
    return read_facts(folder, "diffusion", TrainingFacts).more["seed"]


@pytest.fixture
def refused(monkeypatch):
    """Return a function after which the system refuses the next renames of some folders."""

    def refuse(count, *names):
        rename, left = Path.rename, [count]

        def rename_or_refuse(self, target):
            if Path(target).name in names and left[0]:
                left[0] -= 1
                raise PermissionError(errno.EACCES, "in use")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", rename_or_refuse)

    return refuse


def test_places_for_a_model_are_checked_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(PermissionError, match=r"file/m cannot be written \(.*file is a file\): choose another place"):
        check_place(tmp_path / "file" / "m")
    with pytest.raises(OSError, match=r"the name is too long\): choose a shorter name"):
        check_place(tmp_path / ("m" * 300))
    with pytest.raises(OSError, match=r"file/m cannot be written"), training_lock(tmp_path / "file" / "m"):
        pass
    (tmp_path / "drive").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "drive")
    with pytest.raises(FileExistsError, match="drive is a mount point: choose a new folder in it"):
        check_place(tmp_path / "drive")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"m cannot be written \(you have no permission\): choose another place"):
        check_place(tmp_path / "m")


def test_a_save_is_repeated_when_a_program_has_the_folder_open_for_a_moment(tmp_path, refused):
    _save(tmp_path / "m")
    refused(1, "m")
    _save(tmp_path / "m", 4)
    assert _seed(tmp_path / "m") == 4
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_folder_that_stays_in_use_keeps_its_former_model(tmp_path, refused, monkeypatch):
    _save(tmp_path / "m")
    rename = Path.rename

    def refuse_new_folders(self, target):
        if self.name.endswith("-new"):
            raise PermissionError(errno.EACCES, "in use")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new_folders)
    with pytest.raises(OSError, match=r"m cannot be written \(you have no permission\)"):
        _save(tmp_path / "m", 4)
    assert _seed(tmp_path / "m") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_model_that_cannot_be_deleted_or_renamed_stays(refused, monkeypatch):
    folder = user_folder() / "diffusion" / "m"
    _save(folder)
    refused(1, "n")
    with pytest.raises(OSError, match=r"n cannot be written \(you have no permission\)"):
        rename_model(folder, "n", "diffusion")
    monkeypatch.setattr(Path, "rename", _in_use)
    with pytest.raises(OSError, match=r"m cannot be written \(you have no permission\)"):
        delete_model(folder, "diffusion")
    assert _seed(folder) == 3


def _in_use(self, target):
    raise PermissionError(errno.EACCES, "in use")


def test_a_trained_model_that_no_place_can_take_is_lost_in_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(OSError, match=r"file/m cannot be written .*The trained model is lost, because neither"):
        save_or_save_beside(_save, tmp_path / "file" / "m")


def _failing_save(folder, error):
    def fail(path):
        raise error

    save_folder(folder, "diffusion", TrainingFacts(), fail)


def test_a_failure_of_the_system_names_the_folder_and_not_a_temporary_file(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device", "/tmp/hidden")
    with pytest.raises(OSError, match=r"m cannot be written \(the disk is full\)"):
        _failing_save(tmp_path / "m", full)
    with pytest.raises(OSError, match=r"m cannot be written \(the disk is full\)"), write_errors(tmp_path / "m"):
        raise SafetensorError('I/O error: Os { code: 28, kind: StorageFull, message: "No space left on device" }')
    for context in (write_errors, model_errors):
        with pytest.raises(RuntimeError, match="CUDA out of memory"), context(tmp_path / "m"):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")


def test_a_state_of_a_training_that_holds_no_values_is_damaged(tmp_path):
    _save(tmp_path / "m")
    torch.save([1, 2], tmp_path / "m" / STATE)
    with pytest.raises(ModelFolderError, match=r"m is damaged \(Its training state is no list of values\)"):
        read_training_state(tmp_path / "m")


def test_a_file_that_the_user_may_not_read_is_named(tmp_path, monkeypatch):
    _save(tmp_path / "m")
    stat = Path.stat

    def refuse(self, **options):
        if self.name == "a.safetensors":
            raise PermissionError(errno.EACCES, "denied", str(self))
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    message = r"a\.safetensors cannot be read \(you have no permission\): ask its owner"
    with pytest.raises(PermissionError, match=message), model_errors(tmp_path / "m"):
        raise ValueError("header")


def test_enhancers_that_state_little_are_listed_if_they_state_their_factor():
    folder = user_folder() / "enhancer"
    for name, config in (("old", {}), ("plain", {"upscale": 4})):
        (folder / name / "weights").mkdir(parents=True)
        (folder / name / "weights" / "a.safetensors").write_bytes(b"1")
        facts = {"format_version": 1, "kind": "enhancer", "name": name, "config": config}
        (folder / name / "model.json").write_text(json.dumps(facts))
    (folder / "Thumbs.db").touch()
    own = {entry.name: entry.description for entry in list_models("enhancer") if not entry.bundled}
    assert own == {"plain": "×4, pixel size unknown"}
    assert damaged_models() == []


def test_a_model_that_is_swapped_while_it_is_looked_for_is_found(tmp_path, monkeypatch):
    settle, looked = catalogue.settle, []

    def swapped(path):
        looked.append(settle(path))
        if len(looked) == 2:
            _save(tmp_path / "m")

    monkeypatch.setattr(catalogue, "settle", swapped)
    assert find_model(tmp_path / "m", "diffusion") == tmp_path / "m"


def test_the_card_of_an_enhancer_of_pairs_states_where_its_optics_are_from():
    rows = dict(card_rows(ModelSummary(trained_on="registered pairs"), "enhancer"))
    assert rows["optics"] == "the microscope of the training pairs"


def test_the_card_of_a_damaged_model_is_its_error(tmp_path, capsys):
    _save(tmp_path / "m")
    (tmp_path / "m" / "model.json").write_text("{")
    assert main(["models", str(tmp_path / "m")]) == 2
    assert "model.json is damaged" in capsys.readouterr().err
