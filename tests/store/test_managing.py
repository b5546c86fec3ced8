"""Renaming and deleting of the user's models."""

import json

import pytest

from napari_smdiffusion import InputError
from napari_smdiffusion.base.folders import bundled_folder, user_folder
from napari_smdiffusion.store.card import quoted
from napari_smdiffusion.store.catalogue import list_models
from napari_smdiffusion.store.folder import ModelFolderError, training_lock
from napari_smdiffusion.store.managing import delete_model, rename_model


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Return the folder of a model "my model" of the user."""
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path / "home"))
    folder = user_folder() / "diffusion" / "my model"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "unet.safetensors").write_bytes(b"weights")
    (folder / "training_state.pt").write_bytes(b"state")
    facts = {"format_version": 1, "kind": "diffusion", "name": "my model", "later": [1]}
    (folder / "model.json").write_text(json.dumps(facts))
    (folder / "README.md").write_text(
        '# my model: a diffusion model\n\n    smdiffusion generate "my model" --out x.tif\n\n- my model.tif, 9 pixels\n'
    )
    return folder


def _own():
    return [entry.name for entry in list_models("diffusion") if not entry.bundled]


def test_a_model_is_renamed_in_its_folder_its_facts_and_its_card(model):
    renamed = rename_model(model, " tubules ", "diffusion")
    assert renamed == model.with_name("tubules")
    assert _own() == ["tubules"]
    assert json.loads((renamed / "model.json").read_text()) == {
        "format_version": 1,
        "kind": "diffusion",
        "name": "tubules",
        "later": [1],
    }
    assert (renamed / "README.md").read_text() == (
        "# tubules: a diffusion model\n\n    smdiffusion generate tubules --out x.tif\n\n- my model.tif, 9 pixels\n"
    )
    assert (renamed / "training_state.pt").read_bytes() == b"state"
    assert {path.name for path in renamed.parent.iterdir()} == {"tubules"}


def test_a_name_that_is_taken_or_impossible_changes_nothing(model):
    (model.with_name("other")).mkdir()
    with pytest.raises(FileExistsError, match="choose another name"):
        rename_model(model, "other", "diffusion")
    with pytest.raises(InputError, match="cannot be the name of a model"):
        rename_model(model, "a/b", "diffusion")
    assert rename_model(model, "my model", "diffusion") == model
    (model / "model.json").write_text("{")
    with pytest.raises(ModelFolderError, match="damaged"):
        rename_model(model, "new", "diffusion")
    assert (model / "training_state.pt").exists()


def test_a_deleted_model_leaves_nothing(model):
    delete_model(model, "diffusion")
    assert _own() == []
    assert not list(model.parent.iterdir())


def test_a_model_in_training_or_of_another_folder_is_not_changed(model):
    with training_lock(model):
        for work in (lambda: delete_model(model, "diffusion"), lambda: rename_model(model, "new", "diffusion")):
            with pytest.raises(FileExistsError, match="Another training"):
                work()
    bundled = bundled_folder() / "diffusion" / "microtubules"
    for work in (lambda: delete_model(bundled, "diffusion"), lambda: rename_model(bundled, "new", "diffusion")):
        with pytest.raises(InputError, match="not in your folder of models"):
            work()
    assert bundled.exists()
    assert _own() == ["my model"]


@pytest.mark.parametrize(("name", "word"), [("mine", "mine"), ("my model", '"my model"'), ("a&b", '"a&b"')])
def test_names_with_blanks_are_quoted_in_commands(name, word):
    assert quoted(name) == word
