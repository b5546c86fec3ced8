"""Model folders: interrupted and concurrent saves, locks, and errors."""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.base.temporary import new_token, temporary_folder
from napari_smdiffusion.store import catalogue
from napari_smdiffusion.store.catalogue import find_model, list_models
from napari_smdiffusion.store.facts import TrainingFacts
from napari_smdiffusion.store.folder import (
    ModelFolderError,
    check_place,
    read_facts,
    save_folder,
    save_or_save_beside,
    training_lock,
    write_errors,
)
from napari_smdiffusion.store.whole_folders import settle


def _write_weights(path):
    (path / "a.safetensors").write_bytes(b"1")


def _save(folder, **facts):
    save_folder(folder, "diffusion", TrainingFacts.from_json(facts), _write_weights)


def test_a_saved_model_is_read(tmp_path):
    _save(tmp_path / "m", seed=3)
    assert read_facts(tmp_path / "m", "diffusion", TrainingFacts).more["seed"] == 3
    _save(tmp_path / "m", seed=4)
    assert read_facts(tmp_path / "m", "diffusion", TrainingFacts).more["seed"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_failed_save_keeps_the_previous_model(tmp_path):
    _save(tmp_path / "m", seed=3)

    def fail(path, facts):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_folder(tmp_path / "m", "diffusion", TrainingFacts(more={"seed": 4}), _write_weights, fail)
    assert read_facts(tmp_path / "m", "diffusion", TrainingFacts).more["seed"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def _interrupt_save(folder, seed=4):
    """Leave `folder` as a program that was killed between the two renames of a save leaves it."""
    _save(folder.with_name("other"), seed=seed)
    token = new_token()
    folder.rename(folder.with_name(f".{folder.name}.{token}.smdiffusion-former"))
    folder.with_name("other").rename(folder.with_name(f".{folder.name}.{token}.smdiffusion-new"))


def test_an_interrupted_save_is_completed_by_the_next_reader(tmp_path):
    _save(tmp_path / "m", seed=3)
    _interrupt_save(tmp_path / "m", 4)
    assert read_facts(tmp_path / "m", "diffusion", TrainingFacts).more["seed"] == 4
    _interrupt_save(tmp_path / "m", 5)
    assert find_model(tmp_path / "m", "diffusion") == tmp_path / "m"
    _interrupt_save(tmp_path / "m", 6)
    with pytest.raises(OSError, match="There is a model in"):
        check_place(tmp_path / "m")
    _save(tmp_path / "m", seed=7)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_save_that_was_interrupted_with_an_incomplete_folder_restores_the_former_model(tmp_path):
    _save(tmp_path / "m", seed=3)
    _interrupt_save(tmp_path / "m")
    next(tmp_path.glob(".m.*-new/model.json")).unlink()
    assert read_facts(tmp_path / "m", "diffusion", TrainingFacts).more["seed"] == 3


def test_a_deleted_model_stays_deleted_and_its_former_folder_goes_with_the_next_save(tmp_path):
    folder = user_folder() / "diffusion" / "m"
    _save(folder, seed=3)
    # As after a kill behind the second rename, and a deletion of the model by the user.
    folder.rename(folder.with_name(f".m.{new_token()}.smdiffusion-former"))
    assert "m" not in {entry.name for entry in list_models("diffusion")}
    with pytest.raises(ModelFolderError):
        find_model("m", "diffusion")
    check_place(folder)
    assert not folder.exists()
    _save(folder, seed=4)
    assert [path.name for path in folder.parent.iterdir()] == ["m"]


def test_hidden_folders_of_a_person_are_left_alone(tmp_path):
    for name in (".m.former", ".m.12345678.new", ".m.lock"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").touch()
    _save(tmp_path / "m", seed=3)
    _save(tmp_path / "m", seed=4)
    with training_lock(tmp_path / "m"):
        pass
    (tmp_path / "m").rename(tmp_path / "elsewhere")
    with pytest.raises(ModelFolderError):
        find_model(tmp_path / "m", "diffusion")
    assert len(list(tmp_path.glob(".m.*/thesis.txt"))) == 3


def test_a_save_removes_the_folder_of_a_killed_one_and_not_that_of_a_running_one(tmp_path):
    killed = tmp_path / f".m.{new_token()}.smdiffusion-new"
    killed.mkdir()
    (killed / "model.json").touch()
    with temporary_folder(tmp_path / "n") as running:
        _save(tmp_path / "m")
        assert running.exists()
        assert not killed.exists()


@pytest.mark.parametrize("place", ["user folder", "temporary folder"])
def test_a_trained_model_is_saved_in_another_place_if_its_folder_is_lost(tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if place == "temporary folder":
        monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path / "file" / "home"))
    saved = save_or_save_beside(_save, tmp_path / "file" / "m", "enhancer")
    base = tmp_path if place == "temporary folder" else user_folder() / "enhancer"
    assert saved.folder == base / "m"
    with pytest.raises(OSError, match=rf"file/m cannot be written .*The trained model is in {saved.folder}"):
        saved.raise_if_elsewhere()


def test_a_folder_without_a_model_is_refused(tmp_path):
    folder = tmp_path / "m"
    with pytest.raises(ModelFolderError, match="There is no model folder"):
        read_facts(folder, "diffusion", TrainingFacts)
    folder.mkdir()
    with pytest.raises(ModelFolderError, match=r"has no model\.json"):
        read_facts(folder, "diffusion", TrainingFacts)
    for content in ("{", "[]", '{"kind": "diffusion"}', "\x00"):
        (folder / "model.json").write_text(content)
        with pytest.raises(ModelFolderError, match="is damaged"):
            read_facts(folder, "diffusion", TrainingFacts)
    (folder / "model.json").write_text(json.dumps({"format_version": 99, "kind": "diffusion"}))
    with pytest.raises(ModelFolderError, match="newer napari-smdiffusion"):
        read_facts(folder, "diffusion", TrainingFacts)
    (folder / "model.json").write_text(json.dumps({"format_version": 1, "kind": "enhancer"}))
    with pytest.raises(ModelFolderError, match="a diffusion model is needed"):
        read_facts(folder, "diffusion", TrainingFacts)
    with pytest.raises(ModelFolderError, match="has no weights"):
        read_facts(folder, "enhancer", TrainingFacts)


def test_other_files_are_not_overwritten(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("precious")
    with pytest.raises(OSError, match="holds other files"):
        _save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "precious"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="is a file"):
        check_place(tmp_path / "file")


def test_an_added_file_in_a_model_folder_is_not_deleted(tmp_path):
    _save(tmp_path / "m", seed=3)
    (tmp_path / "m" / "generated.tif").write_text("precious")
    with pytest.raises(OSError, match=r"holds other files \(generated\.tif\)"):
        _save(tmp_path / "m", seed=4)
    assert (tmp_path / "m" / "generated.tif").read_text() == "precious"


def test_a_new_training_does_not_replace_a_model(tmp_path):
    _save(tmp_path / "m")
    with pytest.raises(OSError, match="There is a model in"):
        check_place(tmp_path / "m")


def test_a_resumed_training_may_use_its_folder_unless_it_holds_other_files(tmp_path, monkeypatch):
    _save(tmp_path / "m")
    check_place(tmp_path / "m", replace=True)
    monkeypatch.chdir(tmp_path / "m")
    with pytest.raises(OSError, match="go to another folder first"):
        check_place(Path(), replace=True)
    (tmp_path / "m" / "generated.tif").touch()
    with pytest.raises(OSError, match="holds other files"):
        check_place(tmp_path / "m", replace=True)


def test_a_training_locks_its_folder(tmp_path):
    folder = tmp_path / "new" / "m"
    with training_lock(folder):
        for attempt in (lambda: check_place(folder), training_lock(folder).__enter__):
            with pytest.raises(OSError, match=r"Another training is saving its model in .*m: choose another name"):
                attempt()
        _save(folder, seed=3)
        with pytest.raises(OSError, match="Another training"):
            check_place(folder, replace=True)
    check_place(folder, replace=True)
    with pytest.raises(RuntimeError), training_lock(tmp_path / "other" / "m"):
        raise RuntimeError
    with training_lock(None):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert [path.name for path in folder.parent.iterdir()] == ["m"]


def test_a_trained_model_is_saved_beside_a_folder_that_cannot_be_written(tmp_path):
    for name in ("m", "m 2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").touch()
    saved = save_or_save_beside(_save, tmp_path / "m")
    assert saved.folder == tmp_path / "m 3"
    read_facts(saved.folder, "diffusion", TrainingFacts)
    with pytest.raises(OSError, match=r"holds other files.* The trained model is in .*m 3"):
        saved.raise_if_elsewhere()
    save_or_save_beside(_save, tmp_path / "n").raise_if_elsewhere()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "m 2", "m 3", "n"]


def test_a_full_disk_is_reported_in_a_sentence(tmp_path):
    with pytest.raises(OSError, match="free some space"), write_errors(tmp_path / "m"):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0")


def test_other_errors_of_a_save_are_raised_unchanged(tmp_path):
    def fail(path, facts):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        save_folder(tmp_path / "m", "diffusion", TrainingFacts(), _write_weights, fail)


def test_files_of_file_browsers_are_ignored(tmp_path):
    _save(tmp_path / "m", seed=3)
    for name in (".DS_Store", "Thumbs.db", "._model.json"):
        (tmp_path / "m" / name).write_bytes(b"")
    _save(tmp_path / "m", seed=4)
    assert read_facts(tmp_path / "m", "diffusion", TrainingFacts).more["seed"] == 4


def test_a_save_succeeds_when_a_reader_restores_the_previous_model(tmp_path, monkeypatch):
    _save(tmp_path / "m", seed=3)
    rename, interfered = Path.rename, []

    def rename_and_read(self, target):
        result = rename(self, target)
        if target.name.endswith("-former") and not interfered:
            interfered.append(settle(tmp_path / "m"))
        return result

    monkeypatch.setattr(Path, "rename", rename_and_read)
    _save(tmp_path / "m", seed=4)
    assert interfered
    assert read_facts(tmp_path / "m", "diffusion", TrainingFacts).more["seed"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_model_is_read_and_listed_while_it_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "bundled_folder", lambda: tmp_path / "none")
    folder = user_folder() / "diffusion" / "m"
    _save(folder)
    done = Event()

    def write():
        for seed in range(100):
            _save(folder, seed=seed)
        done.set()

    with ThreadPoolExecutor() as threads:
        writing = threads.submit(write)
        while not done.is_set() and not writing.done():
            assert [entry.name for entry in list_models("diffusion")] == ["m"]
            read_facts(folder, "diffusion", TrainingFacts)
        writing.result()
    assert read_facts(folder, "diffusion", TrainingFacts).more["seed"] == 99


def test_a_model_of_an_interrupted_save_is_listed():
    folder = user_folder() / "diffusion" / "m"
    _save(folder)
    _interrupt_save(folder)
    assert "m" in {entry.name for entry in list_models("diffusion")}


def test_a_model_without_a_name_gets_that_of_its_folder(tmp_path):
    _save(tmp_path / "mine", name="unnamed")
    assert read_facts(tmp_path / "mine", "diffusion", TrainingFacts).name == "mine"
    unnamed, names = TrainingFacts(), []
    save_folder(tmp_path / "mine", "diffusion", unnamed, _write_weights, lambda _, facts: names.append(facts.name))
    assert names == ["mine"]
    assert unnamed.name == "unnamed"
    _save(tmp_path / "other", name="cells")
    assert read_facts(tmp_path / "other", "diffusion", TrainingFacts).name == "cells"
