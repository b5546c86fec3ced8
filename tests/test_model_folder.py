"""Model folders: whole or not at all, and a sentence for everything that is none."""

import json
from pathlib import Path

import pytest

from napari_smdiffusion.model_folder import ModelFolderError, check_place, mend, read_facts, save_folder
from napari_smdiffusion.models import find_model


def _write_weights(path):
    (path / "a.safetensors").write_bytes(b"1")


def _save(folder, **facts):
    save_folder(folder, {"kind": "diffusion", **facts}, _write_weights)


def test_what_was_saved_is_read(tmp_path):
    _save(tmp_path / "m", seed=3)
    assert read_facts(tmp_path / "m", "diffusion")["seed"] == 3
    _save(tmp_path / "m", seed=4)
    assert read_facts(tmp_path / "m", "diffusion")["seed"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_failed_save_leaves_the_former_model(tmp_path):
    _save(tmp_path / "m", seed=3)

    def fail(path):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_folder(tmp_path / "m", {"kind": "diffusion", "seed": 4}, _write_weights, fail)
    assert read_facts(tmp_path / "m", "diffusion")["seed"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_run_killed_between_two_renames_is_mended(tmp_path):
    _save(tmp_path / "m", seed=3)
    (tmp_path / "m").rename(tmp_path / ".m.former")
    assert read_facts(tmp_path / "m", "diffusion")["seed"] == 3
    (tmp_path / "m").rename(tmp_path / ".m.former")
    assert find_model(tmp_path / "m", "diffusion") == tmp_path / "m"
    (tmp_path / "m").rename(tmp_path / ".m.former")
    with pytest.raises(OSError, match="There is a model in"):
        check_place(tmp_path / "m")


def test_what_is_no_model_is_named(tmp_path):
    folder = tmp_path / "m"
    with pytest.raises(ModelFolderError, match="There is no model folder"):
        read_facts(folder, "diffusion")
    folder.mkdir()
    with pytest.raises(ModelFolderError, match=r"has no model\.json"):
        read_facts(folder, "diffusion")
    for content in ("{", "[]", '{"kind": "diffusion"}', "\x00"):
        (folder / "model.json").write_text(content)
        with pytest.raises(ModelFolderError, match="is damaged"):
            read_facts(folder, "diffusion")
    (folder / "model.json").write_text(json.dumps({"format_version": 99, "kind": "diffusion"}))
    with pytest.raises(ModelFolderError, match="newer napari-smdiffusion"):
        read_facts(folder, "diffusion")
    (folder / "model.json").write_text(json.dumps({"format_version": 1, "kind": "enhancer"}))
    with pytest.raises(ModelFolderError, match="a diffusion model is needed"):
        read_facts(folder, "diffusion")
    with pytest.raises(ModelFolderError, match="has no weights"):
        read_facts(folder, "enhancer")


def test_nothing_of_others_is_overwritten(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("precious")
    with pytest.raises(OSError, match="holds other files"):
        _save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "precious"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="is a file"):
        check_place(tmp_path / "file")


def test_a_file_put_into_a_model_folder_is_kept(tmp_path):
    _save(tmp_path / "m", seed=3)
    (tmp_path / "m" / "generated.tif").write_text("precious")
    with pytest.raises(OSError, match=r"holds other files \(generated\.tif\)"):
        _save(tmp_path / "m", seed=4)
    assert (tmp_path / "m" / "generated.tif").read_text() == "precious"


def test_a_finished_model_is_no_place_for_a_new_one(tmp_path):
    _save(tmp_path / "m")
    with pytest.raises(OSError, match="There is a model in"):
        check_place(tmp_path / "m")


def test_a_full_disk_is_said_in_a_sentence(tmp_path):
    def fail(path):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0")

    with pytest.raises(OSError, match="free some space"):
        save_folder(tmp_path / "m", {"kind": "diffusion"}, _write_weights, fail)


def test_what_file_browsers_leave_behind_is_no_obstacle(tmp_path):
    _save(tmp_path / "m", seed=3)
    for name in (".DS_Store", "Thumbs.db", "._model.json"):
        (tmp_path / "m" / name).write_bytes(b"")
    _save(tmp_path / "m", seed=4)
    assert read_facts(tmp_path / "m", "diffusion")["seed"] == 4


def test_a_folder_that_is_mended_meanwhile_is_still_replaced(tmp_path, monkeypatch):
    _save(tmp_path / "m", seed=3)
    rename, interfered = Path.rename, []

    def with_a_reader_between(self, target):
        result = rename(self, target)
        if target.name == ".m.former" and not interfered:
            interfered.append(mend(tmp_path / "m"))
        return result

    monkeypatch.setattr(Path, "rename", with_a_reader_between)
    _save(tmp_path / "m", seed=4)
    assert interfered
    assert read_facts(tmp_path / "m", "diffusion")["seed"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_what_has_no_name_is_called_by_its_folder(tmp_path):
    _save(tmp_path / "mine", name="unnamed")
    assert read_facts(tmp_path / "mine", "diffusion")["name"] == "mine"
    _save(tmp_path / "other", name="given")
    assert read_facts(tmp_path / "other", "diffusion")["name"] == "given"
